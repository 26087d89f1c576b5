"""A NODE.json may be anything; what is none is refused with its reason, and all of them at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from k0sruntime.errors import RefusedError
from k0sruntime.seen import read

GOOD = (Path(__file__).parent.parent.parent / "examples/fleet/worker-1.json").read_text()
HEAD = '{"kind": "NodeReport", "schema": 1, "name": "n", "at": "", "state": "proved"'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no report of a node"),
        ("<html>", "no report of a node"),
        ("[]", "no report of a node"),
        ("null", "no report of a node"),
        ('{"kind": "Plan", "schema": 1}', "of kind 'Plan', not NodeReport"),
        ('{"kind": "NodeReport"}', "missing required field `schema`"),
        ('{"kind": "NodeReport", "schema": 2, "version": "9.1"}', "schema 2, written by k0sruntime 9.1; this one reads schema 1"),
        ('{"kind": "NodeReport", "schema": 0}', "schema 0"),
        ('{"kind": "NodeReport", "schema": 1}', "missing required field `name`"),
        (f'{HEAD}, "proofs": [{{"name": "x", "verdict": "maybe"}}]}}', "Invalid enum value 'maybe' - at `$.proofs[0].verdict`"),
        (f'{HEAD}, "generation": "<b>"}}', "Expected `int`, got `str` - at `$.generation`"),
        (f'{HEAD}, "keys": [{{"key": "a"}}]}}', "Expected `array`, got `str` - at `$.keys[0].key`"),
        (f'{HEAD}, "keys": [{{"key": ["a"], "value": {"[" * 5000}{"]" * 5000}}}]}}', "nested too deep"),
        (f'{HEAD}, "name": "\\ud800"}}', "no report of a node"),
        (f'{HEAD}, "generation": NaN}}', "no report of a node"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused_with_its_reason(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "n.json"
    path.write_text(text)
    page = tmp_path / "page.html"
    assert run(["report", "--html", str(page), str(path)]) == 3
    err = capsys.readouterr().err
    assert told in err
    assert str(path) in err
    assert "do: " in err
    assert not page.exists()


def test_a_newer_node_is_told_to_wait_for_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    path.write_text('{"kind": "NodeReport", "schema": 7, "version": "9.1"}')
    with pytest.raises(RefusedError) as refused:
        read.read(str(path))
    assert refused.value.problems[0].remedy == "Upgrade k0sruntime on this machine."


def test_keys_that_a_later_version_has_added_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    path.write_text(json.dumps({**json.loads(GOOD), "brand_new": {"a": [1]}}))
    assert read.read(str(path)).name == "worker-1"


def test_a_file_that_is_too_large_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "LARGEST", 1 << 10)
    path = tmp_path / "n.json"
    path.write_text(GOOD)
    with pytest.raises(RefusedError, match="larger than"):
        read.read(str(path))


@pytest.mark.parametrize("what", ["missing", "folder", "binary"])
def test_what_cannot_be_read_is_said(tmp_path: Path, what: str) -> None:
    path = tmp_path / "n.json"
    if what == "folder":
        path.mkdir()
    elif what == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RefusedError):
        read.read(str(path))


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    bad = [tmp_path / f"bad-{number}.json" for number in range(3)]
    for path in bad:
        path.write_text("{")
    twin = tmp_path / "twin.json"
    good = tmp_path / "good.json"
    for path in (good, twin):
        path.write_text(GOOD)
    with pytest.raises(RefusedError) as refused:
        read.read_all([str(path) for path in (*bad, good, twin)])
    assert len(refused.value.problems) == 4
    assert "two reports are of the node 'worker-1'" in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--html", "x.html", "--json"], "exclude each other"),
        (["--name", "n", "some.json"], "excludes NODE.json"),
    ],
)
def test_a_wrong_command_line_is_usage(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", *arguments]) == 2
    assert told in capsys.readouterr().err
