"""The page as text: self-contained, escaped, and telling everything that a node's document has."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k0sruntime.cli.main import run
from k0sruntime.errors import RefusedError
from k0sruntime.seen import page, read
from k0sruntime.seen.document import NodeReport

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
