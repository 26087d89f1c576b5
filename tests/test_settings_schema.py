"""What the settings file may hold, for people and for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from k0sruntime import Settings
from k0sruntime.cli.main import run
from k0sruntime.records import Record
from k0sruntime.settings_schema import REQUIRED, fields, schema

ROOT = Path(__file__).parent.parent


class Inner(Settings, frozen=True):
    size: int = 3
    """How many."""


class Outer(Settings, frozen=True, kw_only=True):
    platform: Literal["a", "b"] = "a"
    """What it runs on;
    more on the next line."""
    path: str
    names: list[str] = []
    inner: Inner = Inner()
    tables: dict[str, Inner] = {}
    limit: float | None = None


def test_every_key_is_told_with_type_default_and_words() -> None:
    found = {field.key: (field.type, field.default, field.words) for field in fields(Outer)}
    assert found == {
        "platform": ('"a" | "b"', '"a"', "What it runs on; more on the next line."),
        "path": ("string", REQUIRED, ""),
        "names": ("array of string", "[]", ""),
        "inner.size": ("integer", "3", "How many."),
        "tables.NAME.size": ("integer", "3", "How many."),
        "limit": ("number", "-", ""),
    }


def test_settings_that_are_tables_by_name_are_told_with_a_name_of_the_operators() -> None:
    assert [field.key for field in fields(dict[str, Inner])] == ["NAME.size"]
    assert fields(dict[str, str]) == []
    assert fields(None) == []
    assert fields(Settings) == []


def test_two_providers_may_call_their_classes_the_same() -> None:
    class Other(Settings, frozen=True):
        inner: str = ""

    Other.__name__ = "Outer"
    records = [
        Record(n, n, "1", "active", settings=kind) for n, kind in (("a", Outer), ("b", Other))
    ]
    made = schema(records)
    assert made["properties"]["a"]["$ref"] == "#/$defs/a.Outer"
    assert made["properties"]["b"]["$ref"] == "#/$defs/b.Outer"
    assert set(made["$defs"]["b.Outer"]["properties"]) == {"inner"}
    references = set(_references(made))
    assert references <= {f"#/$defs/{name}" for name in made["$defs"]}


def _references(part: Any) -> Any:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def test_a_type_that_json_schema_does_not_have_spoils_nothing() -> None:
    class Odd(Settings, frozen=True):
        kind: type = str

    made = schema([Record("a", "a", "1", "active", settings=Odd)])
    assert made["properties"]["a"] == {"type": "object"}


def test_the_command_prints_a_table_for_every_installed_provider(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["schema", "--sandbox", str(tmp_path)]) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made["properties"]) == {"node", "gvisor", "nvidia", "dockerd", "mirrors"}
    assert made["additionalProperties"] is False
    node = made["$defs"]["node.NodeSettings"]
    assert node["additionalProperties"] is False
    assert node["properties"]["path"]["description"].startswith("Folders searched for programs")
    assert node["properties"]["mode"]["default"] == "auto"


def test_all_about_one_provider(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        '[node]\nmode = "managed"\nk0s = "1.36"\n\n[node.handlers.crun]\nruntime_class = "crun"\n'
    )
    options = ["--sandbox", str(tmp_path)]
    assert run(["providers", "node", *options]) == 0
    text = capsys.readouterr().out
    assert "handler crun (io.containerd.runc.v2), RuntimeClass crun" in text
    assert "contract  this host has 1.0" in text
    assert "log_level" in text
    assert run(["providers", "node", *options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "Provider"
    assert document["host_contract"] == "1.0"
    assert {"hook", "kind", "what"} == set(document["contributions"][0])
    assert {"key", "type", "default", "words"} == set(document["settings"][0])


def test_a_provider_that_rests_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["providers", "nvidia", "--sandbox", str(tmp_path)]) == 0
    assert "state     inactive: no NVIDIA GPU" in capsys.readouterr().out


def test_a_provider_that_is_not_there_is_told_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["providers", "gvisr", "--sandbox", str(tmp_path)]) == 2
    assert 'Did you mean "gvisor"?' in capsys.readouterr().err
