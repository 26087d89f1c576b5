"""Hosts files are written as containerd 1.7 and 2.x read them alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k0sruntime import toml
from k0sruntime.compose import hosts
from k0sruntime.contributions import Host, HostsFile, Owner
from k0sruntime.paths import hosts_folder

OWNER = Owner("mirrors", "k0sruntime-mirrors", "1.0", "contribute_hosts")
MIRROR = Host(url="https://m.local:5000", ca=["ca.crt"], header={"X-Token": ["s"]})
UPSTREAM = Host(url="https://registry-1.docker.io", header={"X-Up": ["u"]}, dial_timeout="5s")


def lines(file: HostsFile) -> list[str]:
    return hosts.render(file, OWNER).splitlines()


@pytest.mark.parametrize(
    ("registry", "folder"),
    [
        ("docker.io", "docker.io"),
        ("_default", "_default"),
        ("r.local:5000", "r.local_5000_"),
        ("[::1]:5000", "[::1]_5000_"),
        ("[::1]", "[::1]"),
        ("10.0.0.1:80", "10.0.0.1_80_"),
    ],
)
def test_the_folder_of_a_registry_is_the_one_that_containerd_looks_up_first(
    registry: str, folder: str
) -> None:
    assert hosts_folder(registry) == folder


def test_the_first_line_says_whose_the_file_is() -> None:
    first = lines(HostsFile(registry="docker.io"))[0]
    assert first.startswith("# Composed by k0sruntime for provider mirrors (k0sruntime-mirrors)")


def test_the_servers_keys_stand_before_the_first_table() -> None:
    """After a header they would belong to that host."""
    found = lines(HostsFile(registry="docker.io", hosts=[MIRROR], server=UPSTREAM))
    tables = [number for number, line in enumerate(found) if line.startswith("[")]
    for key in ("server", "capabilities", "dial_timeout"):
        assert found.index(next(line for line in found if line.startswith(key))) < tables[0]


def test_a_hosts_header_table_follows_the_host_at_once() -> None:
    """Otherwise containerd 2.x lists the host twice."""
    tables = [
        line
        for line in lines(HostsFile(registry="docker.io", hosts=[MIRROR, Host(url="https://n")]))
        if line.startswith("[")
    ]
    assert tables == [
        '[host."https://m.local:5000"]',
        '[host."https://m.local:5000".header]',
        '[host."https://n"]',
    ]


def test_the_hosts_stay_in_the_order_in_which_they_are_tried() -> None:
    urls = ["https://z", "https://a", "https://m"]
    text = hosts.render(HostsFile(registry="r", hosts=[Host(url=url) for url in urls]), OWNER)
    assert list(toml.load(text.encode(), "hosts.toml")["host"]) == urls


def test_every_key_of_a_host_is_written() -> None:
    host = Host(
        url="http://m/p",
        capabilities=["pull"],
        ca=["a.crt", "b.crt"],
        client=[("c.crt", "c.key"), ("d.pem", "")],
        skip_verify=True,
        header={"A": ["1", "2"]},
        override_path=True,
        dial_timeout="1m30s",
    )
    text = hosts.render(HostsFile(registry="r", hosts=[host]), OWNER)
    assert toml.load(text.encode(), "hosts.toml") == {
        "host": {
            "http://m/p": {
                "capabilities": ["pull"],
                "ca": ["a.crt", "b.crt"],
                "client": [["c.crt", "c.key"], ["d.pem", "d.pem"]],
                "skip_verify": True,
                "header": {"A": ["1", "2"]},
                "override_path": True,
                "dial_timeout": "1m30s",
            }
        }
    }


def test_a_file_without_hosts_has_an_empty_table_of_them() -> None:
    """Otherwise containerd 1.7 refuses it, and asks the upstream."""
    text = hosts.render(HostsFile(registry="r", server=UPSTREAM), OWNER)
    assert toml.load(text.encode(), "x")["host"] == {}
    assert text.endswith("\n[host]\n")


def test_what_is_not_asked_for_is_not_written() -> None:
    text = hosts.render(HostsFile(registry="r", hosts=[Host(url="https://m")]), OWNER)
    assert toml.load(text.encode(), "x") == {
        "host": {"https://m": {"capabilities": ["pull", "resolve"]}}
    }


ONE_LINE = st.text().filter(str.isprintable)
"""A control character has no place in a header (RFC 9110, 5.5), and is refused where one is made."""


@pytest.mark.property
@given(st.dictionaries(ONE_LINE.filter(bool), st.lists(ONE_LINE), max_size=3))
def test_any_header_is_read_back_as_it_was_given(header: dict[str, list[str]]) -> None:
    file = HostsFile(registry="r", hosts=[Host(url="https://m", header=header)])
    found = toml.load(hosts.render(file, OWNER).encode(), "x")["host"]["https://m"]
    assert found.get("header", {}) == header
