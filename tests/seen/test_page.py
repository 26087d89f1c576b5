"""The page as text: self-contained, escaped, and telling everything that a node's document has."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k0sruntime.cli.main import run
from k0sruntime.errors import RefusedError
from k0sruntime.seen import page, read
from k0sruntime.seen.document import GPU, Machine, NodeReport

EXAMPLE = Path(__file__).parent.parent.parent / "examples/fleet"
AT = "2026-11-25T20:00:00+00:00"
VOID = {"meta", "input", "link", "br", "hr", "img", "rect"}


def example(number: int) -> NodeReport:
    return read.read(str(EXAMPLE / f"worker-{number}.json"))


class Reader(HTMLParser):
    """Reads a page as strictly as a person would wish: what opens is closed, ids are one's own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.headings: list[int] = []
        self.text: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        found = dict(attrs)
        if identity := found.get("id"):
            self.ids[identity] += 1
        if tag == "a":
            self.links.append(found["href"] or "")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).split())


PAGES = [pytest.param([number], id=f"worker-{number}") for number in range(1, 8)]
PAGES.append(pytest.param(list(range(1, 8)), id="fleet"))


@pytest.mark.parametrize("numbers", PAGES)
def test_a_page_is_sound_and_asks_nothing_of_any_network(numbers: list[int]) -> None:
    text = page.html([example(number) for number in numbers], AT)
    found = Reader(text)
    assert [name for name, times in found.ids.items() if times > 1] == []
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(found.headings, found.headings[1:], strict=False))
    for link in found.links:
        assert link.startswith("#")
        assert link[1:] in found.ids, link
    for tag, name, value in found.attributes:
        assert name not in ("src", "srcset", "action", "style", "background"), (tag, name, value)
        assert not name.startswith("on"), (tag, name)
        if name in ("aria-labelledby", "for"):
            assert value in found.ids
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_lets_in_this_style_and_this_script_alone() -> None:
    text = page.html([example(1)], AT)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    policy = policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    return [text for inner in value for text in strings(inner)] if isinstance(value, list) else []


TOLD_OTHERWISE = {"kind", "state", "at", "proved_at", "last_roll_back", "digest", "help"}
"""Shown in other words, or shortened; or, for an address, not as a link to the network."""


@pytest.mark.parametrize("number", range(1, 8))
def test_everything_that_a_document_says_is_on_the_page(number: int) -> None:
    node = example(number)
    said = "".join(Reader(page.html([node], AT)).said.split())

    def told(value: Any, path: tuple[str, ...] = ()) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key not in TOLD_OTHERWISE:
                    told(inner, (*path, key))
        elif isinstance(value, list):
            for inner in value:
                told(inner, path)
        elif isinstance(value, str) and path[-1] not in ("key", "owner", "verdict", "severity"):
            known = path[-1] in ("summary", "runtime_type", "containerd_path", "programs")
            for line in value.splitlines():
                assert known or "".join(line.split()) in said, (path, line)

    told(msgspec.to_builtins(node))
    for key in node.keys:
        assert key.key[-1] in said


HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<b>bold</b>&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "turned\u202egnp.exe",
    "bell\x07\x1b[31m\x00",
    "javascript:alert(1)",
)


def poisoned(value: Any, poison: str) -> Any:
    """Return a document with something hostile in all that is free text."""
    fixed = {"kind", "schema", "state", "verdict", "mode", "scheme"}
    if isinstance(value, dict):
        return {k: v if k in fixed else poisoned(v, poison) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(item, poison) for item in value]
    return f"{value}{poison}" if isinstance(value, str) else value


@pytest.mark.parametrize("poison", HOSTILE)
@pytest.mark.parametrize("many", [False, True], ids=["node", "fleet"])
def test_whatever_a_node_calls_itself_it_is_shown_and_not_obeyed(poison: str, many: bool) -> None:
    nodes = [
        msgspec.convert(poisoned(msgspec.to_builtins(example(number)), poison), NodeReport)
        for number in (range(1, 8) if many else [6])
    ]
    text = page.html(nodes, AT)
    found = Reader(text)
    assert text.count("<script>") == 1
    assert {tag for tag, _, _ in found.attributes} & {"img", "b", "iframe"} == set()
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert all(link.startswith("#") for link in found.links)
    assert "49{% raw %}" not in text
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    for hidden, spelled in (("\u202e", "\\u202e"), ("\x1b", "\\x1b"), ("\x00", "\\x00")):
        assert hidden not in poison or spelled in found.said


def test_a_document_of_the_least_is_a_page(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "n.json"
    path.write_text('{"kind":"NodeReport","schema":1,"name":"","at":"","state":"empty"}')
    assert run(["report", str(path)]) == 0
    assert "Nothing of ours is on this node." in Reader(capsys.readouterr().out).said


def test_states_are_words_and_signs_and_not_colours_alone() -> None:
    for state, (_, sign, word, meaning) in page.SHOWN.items():
        assert sign
        assert word
        assert meaning.endswith("."), state


def test_a_node_with_a_handler_that_nobody_tried_does_not_boast() -> None:
    assert "no sandbox ran under crun-debug" in page.meaning(example(4))
    assert page.meaning(example(1)) == "Every handler ran a real sandbox."


def test_the_page_of_a_roll_back_tells_why() -> None:
    said = Reader(page.html([example(5)], AT)).said
    assert "Generation 2 failed its proof and was rolled back" in said
    assert "back to generation 1" in said
    assert "broken did not terminate successfully: exit status 1" in said


def test_gpus_are_told_with_their_drivers() -> None:
    gpu = GPU(address="0000:41:00.0", vendor=0x10DE, device_class=0x0302, driver="nvidia", driver_version="580.1")  # fmt: skip
    node = msgspec.structs.replace(example(1), machine=Machine(gpus=[gpu]))
    assert "GPU 0000:41:00.0 vendor 10de, nvidia 580.1" in Reader(page.html([node], AT)).said


def test_what_json_cannot_carry_travels_all_the_same(tmp_path: Path, capsys: Any) -> None:
    dropins = tmp_path / "etc/k0s/containerd.d"
    dropins.mkdir(parents=True)
    (dropins / "vendor.toml").write_text(
        'version = 3\n[plugins."com.acme"]\nnumber = nan\nborn = 1979-05-27T07:32:00Z\n'
    )
    file = tmp_path / "etc/k0sruntime/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[node]\nmode = "managed"\nk0s = "1.36"\n')
    here = ["report", "--sandbox", str(tmp_path), "--no-providers"]
    assert run([*here, "--name", os.fsdecode(b"n\xff"), "--json"]) == 0
    document = tmp_path / "n.json"
    document.write_text(capsys.readouterr().out)
    node = read.read(str(document))
    assert node.name == "n?"
    assert {key.key[-1]: key.value for key in node.keys if "com.acme" in key.key} == {
        "number": "nan",
        "born": "1979-05-27T07:32:00Z",
    }
    assert run(here) == 0
    assert "1979-05-27" in Reader(capsys.readouterr().out).said


def test_an_image_root_has_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hostname").write_text("golden-image\n")
    assert run(["report", "--root", str(tmp_path), "--no-providers", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["containerd"]) == ("golden-image", None)


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
ANY = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()  # fmt: skip
    return [*([path] if path else []), *(p for key, v in inner for p in places(v, (*path, key)))]


DOCUMENT = json.loads((EXAMPLE / "worker-5.json").read_text())


@settings(max_examples=25, deadline=None)
@given(place=st.sampled_from(places(DOCUMENT)), value=ANY, gone=st.booleans())
def test_a_document_that_is_wrong_somewhere_is_refused_or_shown(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: Any, gone: bool
) -> None:
    document = copy.deepcopy(DOCUMENT)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    if gone:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    path = tmp_path_factory.mktemp("fuzz") / "n.json"
    path.write_text(json.dumps(document))
    try:
        nodes = read.read_all([str(path)])
    except RefusedError:
        return
    Reader(page.html([*nodes, example(1)], AT))


@pytest.mark.parametrize("depth", [100, 500, 900, 980, 2000])
def test_a_value_that_is_deep_is_refused_or_shown(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "n.json"
    deep = "[" * depth + "]" * depth
    path.write_text(
        '{"kind":"NodeReport","schema":1,"name":"","at":"","state":"empty",'
        f'"keys":[{{"key":["a"],"value":{deep}}}]}}'
    )
    assert run(["report", str(path)]) in (0, 3)


def test_without_jinja_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(RefusedError) as refused:
        page.html([example(1)], AT)
    assert "k0sruntime[report]" in refused.value.problems[0].remedy


def test_the_page_is_written_at_once_and_json_still_goes_without_jinja(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out/page.html"
    source = str(EXAMPLE / "worker-1.json")
    monkeypatch.setenv("K0SRUNTIME_JSON", "1")
    assert run(["report", source, "--html", str(target)]) == 0, "what is typed wins"
    assert target.read_text().startswith("<!doctype html>")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert run(["report", source]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "worker-1"


def test_a_terminal_is_spared_a_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(["report", str(EXAMPLE / "worker-1.json")]) == 2
    assert "--html FILE" in capsys.readouterr().err


def test_a_fleet_of_five_hundred_is_a_page_that_a_browser_bears() -> None:
    usual = example(1)
    nodes = [msgspec.structs.replace(usual, name=f"n{number:03}") for number in range(500)]
    text = page.html(nodes, AT)
    assert len(text) < 8 << 20
    assert text.count('class="tree"') == 1, "what is the same is told once"
