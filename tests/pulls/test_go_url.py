"""URLs are read as Go reads them, where Python would read them in another way."""

from __future__ import annotations

import pytest

from k0sruntime.pulls import go_url


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("https://a.local", ("https", "a.local", "")),
        ("HTTPS://A.local:5000/p", ("https", "A.local:5000", "/p")),
        ("https://[fd00::1]:5000/v2", ("https", "[fd00::1]:5000", "/v2")),
        ("https://u:p@a.local/p?q=1#f", ("https", "a.local", "/p")),
        ("httpbin.local", ("", "", "httpbin.local")),
        ("httpbin.local/p", ("", "", "httpbin.local/p")),
        ("httpbin.local:5000", ("httpbin.local", "", "")),
        ("https:a.local", ("https", "", "")),
        ("https:///p", ("https", "", "/p")),
        ("https://a.local/%C3%A9", ("https", "a.local", "/é")),
        ("https://a.local:", ("https", "a.local:", "")),
    ],
)
def test_its_parts(text: str, parts: tuple[str, str, str]) -> None:
    found = go_url.parse(text)
    assert found is not None
    assert (found.scheme, found.host, found.path) == parts


@pytest.mark.parametrize(
    "text",
    [
        ":a",
        "http-a_b:5000",
        "https://a b",
        "https://a.local:port",
        "https://[fd00::1",
        "https://a.local/%zz",
        "https://a\x7fb",
        "https://a{b}",
    ],
)
def test_what_go_has_an_error_for_is_none(text: str) -> None:
    assert go_url.parse(text) is None


@pytest.mark.parametrize(
    ("host", "split"),
    [
        ("a.local:5000", ("a.local", "5000")),
        ("a.local", ("a.local", "")),
        ("[::1]:5000", ("::1", "5000")),
        ("[::1]", ("[::1]", "")),
        ("::1", ("::1", "")),
    ],
)
def test_a_host_and_its_port(host: str, split: tuple[str, str]) -> None:
    assert go_url.split_port(host) == split


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.8.8.8:80", True),
        ("[::1]:5000", True),
        ("[::1]", False),
        ("a.local", False),
        ("localhost.local", False),
    ],
)
def test_what_containerd_takes_for_this_machine(host: str, here: bool) -> None:
    assert go_url.is_loopback(host) is here


def test_a_path_is_cleaned_and_escaped_as_go_does_it() -> None:
    assert go_url.clean("//v2") == "/v2"
    assert go_url.clean("/a/../b/./") == "/b"
    assert go_url.escaped("/a b/é", go_url.IN_PATH) == "/a%20b/%C3%A9"
    assert go_url.escaped("r.local:5000") == "r.local%3A5000"
