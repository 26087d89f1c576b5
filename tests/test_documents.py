"""What ``--json`` prints has the shapes of which the page of the docs is made: no key more or less."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from docs.generate.texts import filled
from k0sruntime import documents
from k0sruntime.cli.main import run
from k0sruntime.seen.document import NodeReport
from tests.bundle.conftest import Site
from tests.made_up_releases import bare_environment

KINDS = {"NodeReport": NodeReport} | {
    name: kind
    for name in documents.__all__
    if isinstance(kind := getattr(documents, name), type) and issubclass(kind, documents.Document)
}
PLAIN: dict[Any, Any] = {
    str: str,
    bool: bool,
    int: int,
    float: (int, float),
    type(None): type(None),
}


def unlike(value: Any, hint: Any, place: str) -> list[str]:  # noqa: PLR0911 - one a kind of hint
    """Return where a value is not what a shape says."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return []
    if origin is list:
        if not isinstance(value, list):
            return [f"{place} is no array"]
        return [w for n, item in enumerate(value) for w in unlike(item, inner[0], f"{place}[{n}]")]
    if origin is dict:
        return [] if isinstance(value, dict) else [f"{place} is no object"]
    if origin is typing.Literal:
        return [] if value in inner else [f"{place} is {value!r}"]
    if origin in (typing.Union, types.UnionType):
        return [] if any(not unlike(value, one, place) for one in inner) else [f"{place}: {hint}"]
    if dataclasses.is_dataclass(hint) or issubclass(hint, msgspec.Struct):
        return of_shape(value, hint, place)
    right = isinstance(value, PLAIN[hint]) and (hint is bool or not isinstance(value, bool))
    return [] if right else [f"{place} is {value!r}, no {hint.__name__}"]


def of_shape(value: Any, kind: Any, place: str) -> list[str]:
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict):
        return [f"{place} is no object"]
    added = (
        {"kind": str, "schema": int} if isinstance(kind, type) and kind in KINDS.values() else {}
    )
    hints |= added
    wrong = [f"{place}.{key} is not told" for key in hints.keys() - value.keys()]
    wrong += [f"{place}.{key} is in no shape" for key in value.keys() - hints.keys()]
    both = hints.keys() & value.keys()
    return wrong + [w for key in both for w in unlike(value[key], hints[key], f"{place}.{key}")]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command and check what it prints against its kind's shape."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) in (0, 3, 8)
    document = json.loads(capsys.readouterr().out)
    assert unlike(document, KINDS[document["kind"]], document["kind"]) == []
    return document


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_environment(monkeypatch, tmp_path / "user")


@pytest.fixture
def node(tmp_path: Path) -> list[str]:
    """The options of a node in a folder, with a handler, a mirror, a foreign file and drift."""
    root = tmp_path / "node"
    settings = root / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        '[node]\nmode = "managed"\nk0s = "1.36"\n[node.handlers.crun]\nruntime_class = "crun"\n'
        '[mirrors."r.example"]\nendpoints = ["https://m.example"]\n'
    )
    options = ["--root", str(root)]
    assert run(["up", *options]) == 0
    dropins = root / "etc/k0s/containerd.d"
    (dropins / "foreign.toml").write_text('version = 3\n[plugins."io.containerd.nri.v1.nri"]\n')
    with (dropins / "k0sruntime-node.toml").open("a") as file:
        file.write("# edited\n")
    return options


@pytest.mark.parametrize(
    "command", ["report", "status", "plan", "providers", "explain", "up", "rehearse"]
)
def test_what_a_command_prints_of_a_node_has_its_shape(
    command: str, node: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"explain": ("--all",), "rehearse": ("--k0s", "1.36")}
    printed(capsys, command, *node, *words.get(command, ()))


def test_a_nodes_report_and_that_of_a_fleet_have_their_shapes(
    node: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(capsys, "report", *node, "--name", "one")
    assert said["kind"] == "NodeReport"
    assert said["handlers"]
    assert said["hosts"]
    assert said["foreign"]
    assert said["drift"]
    assert said["generations"]
    paths = []
    for name, digest in (("one", "a"), ("two", "a"), ("three", "")):
        paths.append(str(tmp_path / f"{name}.json"))
        Path(paths[-1]).write_text(json.dumps({**said, "name": name, "digest": digest}))
    fleet = printed(capsys, "report", *paths)
    assert fleet["kind"] == "FleetReport"
    assert [group["digest"] for group in fleet["groups"]] == ["a", None]
    assert fleet["attention"]


def test_a_bundle_and_the_list_of_one_have_the_same_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)
    capsys.readouterr()
    assert site.bundle(tmp_path / "site.tar", "--no-wheels", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert unlike(made, KINDS["Bundle"], "Bundle") == []
    listed = printed(capsys, "bundle", "--list", made["file"])
    assert made["kind"] == listed["kind"] == "Bundle"
    assert {**made, "notes": []} == {**listed, "notes": []}
    assert made["programs"]
    assert made["entries"]


def test_every_kind_and_every_part_of_it_is_on_the_page_and_links_lead_somewhere() -> None:
    page = filled((Path(__file__).parent.parent / "docs/reference/json.md").read_text())
    anchors = re.findall(r"\{ #([\w-]+) \}", page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= set(anchors)
    assert {kind.lower() for kind in KINDS if kind != "Document"} <= set(anchors)
