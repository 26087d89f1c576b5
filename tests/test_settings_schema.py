"""What the settings file may hold, for people and for editors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from jsonschema import Draft202012Validator, ValidationError

from k0sruntime import Settings, toml
from k0sruntime import hooks as hooks_
from k0sruntime.cli.main import run
from k0sruntime.discovery import discover
from k0sruntime.errors import RefusedError
from k0sruntime.records import Record
from k0sruntime.settings import SettingsFile, convert
from k0sruntime.settings_schema import REQUIRED, fields, schema
from tests.docs.blocks import blocks, pages

ROOT = Path(__file__).parent.parent


class Rule(Settings, frozen=True):
    """Settings that hold themselves."""

    name: str = ""
    """What it is called."""
    children: list[Rule] = []
    otherwise: Rule | None = None
    by_name: dict[str, Rule] = {}


class Deep(Settings, frozen=True):
    way: Path = Path("/deep")
    """How to get there."""


class Placed(Settings, frozen=True):
    binary: Path = Path("/usr/bin/acme")
    """Where it is."""
    more: list[Path] = []
    one: Deep | None = None
    two: Deep | None = None
    at: dict[str, Path] = msgspec.field(default_factory=lambda: {"a": Path("/a")})


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
        name: str = ""

    made = schema([Record("a", "a", "1", "active", settings=Odd)])
    told = made["$defs"]["a.Odd"]["properties"]
    assert told["name"]["type"] == "string", "the rest of the table is told"
    Draft202012Validator(made).validate({"a": {"name": "x"}})
    assert not Draft202012Validator(made).is_valid({"a": {"kind": "str"}}), "no file can hold it"


def test_settings_that_hold_themselves_are_told_once() -> None:
    found = {field.key: field.type for field in fields(Rule)}
    assert found == {
        "name": "string",
        "children": "array of table",
        "otherwise": "table",
        "by_name": "table",
    }
    made = schema([Record("a", "a", "1", "active", settings=Rule)])
    rule = made["$defs"]["a.Rule"]["properties"]
    assert rule["children"]["items"] == {"$ref": "#/$defs/a.Rule"}
    assert rule["name"]["description"] == "What it is called."
    deep = {"a": {"children": [{"by_name": {"x": {"otherwise": {"name": "y"}}}}]}}
    Draft202012Validator(made).validate(deep)
    with pytest.raises(ValidationError, match="'nam': 'y'"):
        Draft202012Validator(made).validate({"a": {"otherwise": {"nam": "y"}}})
    assert (
        convert(SettingsFile("c", deep), "a", Rule).children[0].by_name["x"].otherwise.name == "y"
    )


def test_a_path_is_a_string_in_the_file() -> None:
    found = {field.key: (field.type, field.default) for field in fields(Placed)}
    assert found == {
        "binary": ("string", '"/usr/bin/acme"'),
        "more": ("array of string", "[]"),
        "one.way": ("string", '"/deep"'),
        "two.way": ("string", '"/deep"'),
        "at": ("table", '{"a": "/a"}'),
    }
    made = schema([Record("a", "a", "1", "active", settings=Placed)])
    told = made["$defs"]["a.Placed"]["properties"]["binary"]
    assert told == {"type": "string", "default": "/usr/bin/acme", "description": "Where it is."}
    assert made["$defs"]["a.Deep"]["properties"]["way"]["description"] == "How to get there."
    assert not Draft202012Validator(made).is_valid({"a": {"one": {"way": 5}}})
    assert not Draft202012Validator(made).is_valid({"a": {"other": 5}})
    read = convert(SettingsFile("c", {"a": {"binary": "/b", "more": ["/m"]}}), "a", Placed)
    assert (read.binary, read.more) == (Path("/b"), [Path("/m")])
    with pytest.raises(RefusedError) as refused:
        convert(SettingsFile("c", {"a": {"binary": 5, "more": ["/m", 6]}}), "a", Placed)
    assert [str(p.place) for p in refused.value.problems] == ["c: [a] binary", "c: [a] more[1]"]
    assert "expected str" in refused.value.problems[0].message


def left_out(name: str) -> Record:
    return Record(name, name, "1", "blocked", reason="left out with --without")


def test_the_table_of_a_provider_that_is_left_out_may_hold_anything() -> None:
    made = schema([left_out("a"), Record("b", "b", "1", "active", settings=Inner)])
    Draft202012Validator(made).validate({"a": {"any": ["thing"]}, "b": {"size": 1}})
    assert made["properties"]["a"]["description"] == "blocked: left out with --without"
    with pytest.raises(ValidationError, match="'c' was unexpected"):
        Draft202012Validator(made).validate({"c": {}})


def test_the_schema_has_the_table_of_one_that_is_left_out_and_does_not_import_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path, monkeypatch, "left_acme", "raise SystemExit('imported')")
    settings = tmp_path / "c.toml"
    settings.write_text('[node]\nwithout = ["acme"]\n\n[acme]\nanything = 1\n')
    node = ["--sandbox", str(tmp_path / "node"), "--settings", str(settings)]
    assert run(["schema", *node]) == 0
    made = json.loads(capsys.readouterr().out)
    Draft202012Validator(made).validate(toml.load(settings.read_bytes(), "c"))


def lay(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, code: str) -> None:
    """Install a distribution with the provider ``acme``."""
    site = folder / f"site-{module}"
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(code)
    name = module.replace("_", "-")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[k0sruntime]\nacme = {module}\n")
    monkeypatch.syspath_prepend(str(site))


def test_one_name_of_two_distributions_is_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("twice_one", "twice_two"):
        lay(tmp_path, monkeypatch, module, "raise SystemExit('imported')")
    options = ["acme", "--sandbox", str(tmp_path / "node")]
    assert run(["providers", *options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["state"], document["distribution"]) == ("duplicate", "twice-one")
    assert document["also"] == ["twice-two 1.0"]
    assert run(["providers", *options]) == 0
    text = capsys.readouterr().out
    assert "from      twice-one 1.0\n          and twice-two 1.0\n" in text
    assert text.count("state  ") == 1


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every TOML text of docs and examples that is a settings file, or a part of one."""
    for page in pages():
        for block in blocks(page):
            if block.language == "toml":
                yield block.where, toml.load(block.text.encode(), block.where)
    for path in sorted((ROOT / "examples").rglob("config.toml")):
        yield str(path.relative_to(ROOT)), toml.load(path.read_bytes(), str(path))


DOCUMENTS = {
    where: document
    for where, document in _documents()
    if not {"version", "plugins", "project", "tool"} & set(document)
}


@pytest.fixture(scope="module")
def judge() -> Draft202012Validator:
    made = schema(discover().records)
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


@pytest.mark.parametrize("where", DOCUMENTS)
def test_an_editor_takes_every_settings_file_of_the_docs(
    where: str, judge: Draft202012Validator
) -> None:
    judge.validate(DOCUMENTS[where])


def test_an_editor_refuses_what_the_host_refuses(judge: Draft202012Validator) -> None:
    assert len(DOCUMENTS) > 15, "the docs were found"
    for wrong in ({"gvisr": {}}, {"node": {"mod": "managed"}}, {"node": {"mode": "manged"}}):
        assert not judge.is_valid(wrong)


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


ODD = """
import collections.abc, datetime, enum, ipaddress, sys, time, typing, msgspec
from k0sruntime import Settings

class Rude:
    pass

Rude.__name__ = "R\\x1b[2J"

class C(enum.Enum):
    A = "a"
    B = "b"

Port = typing.NewType("Port", int)

class AcmeSettings(Settings, frozen=True):
    key: {kind} = {default}
    name: str = ""

settings = AcmeSettings

def contribute_hosts(node):
    return ()
"""
KINDS = {
    "typing.List": ("[]", "array", "[]"),
    "list": ("[]", "array", "[]"),
    "tuple[()]": ("()", "array", "[]"),
    "tuple[int, str]": ("(1, 'a')", "array of integer or string", '[1, "a"]'),
    "collections.abc.Sequence[str]": ("()", "array of string", "[]"),
    "typing.Dict": ("{}", "table", "{}"),
    "float": ("float('inf')", "number", "inf"),
    "list[float]": (
        "msgspec.field(default_factory=lambda: [1.0, float('nan')])",
        "array of number",
        "[1.0, nan]",
    ),
    "typing.Annotated[int, msgspec.Meta(ge=1)]": ("1", "integer", "1"),
    "typing.Annotated[int, msgspec.Meta(ge=1)] | None": ("None", "integer", "-"),
    "Port": ("1", "integer", "1"),
    "int | str | None": ("None", "integer or string", "-"),
    "None": ("None", "nothing", "-"),
    "C": ("C.A", '"a" | "b"', '"a"'),
    "datetime.date": ("datetime.date(2026, 1, 2)", "date", '"2026-01-02"'),
    "Rude | None": ("None", "R [2J, which no file can hold", "-"),
    "str": (r"'\x9b2J'", "string", '" 2J"'),
    "ipaddress.IPv4Address": (
        "ipaddress.IPv4Address('1.2.3.4')",
        "IPv4Address, which no file can hold",
        '"1.2.3.4"',
    ),
}


def strict(text: str) -> Any:
    """Read JSON as an editor does: ``Infinity`` is none."""

    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_whatever_a_third_partys_settings_are_of_they_are_told_in_tomls_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"key{n}: {kind} = {default}" for n, (kind, (default, *_)) in enumerate(KINDS.items())]
    code = ODD.replace("key: {kind} = {default}", "\n    ".join(lines))
    lay(tmp_path, monkeypatch, "odd_acme", code)
    place = ["--sandbox", str(tmp_path / "node")]
    assert run(["providers", "acme", *place, "--json"]) == 0
    document = strict(capsys.readouterr().out)
    found = {key["key"]: (key["type"], key["default"]) for key in document["settings"]}
    wanted = {f"key{n}": (words, shown) for n, (_, words, shown) in enumerate(KINDS.values())}
    assert found == {**wanted, "name": ("string", '""')}
    assert run(["providers", "acme", *place]) == 0
    text = capsys.readouterr().out
    assert "IPv4Address, which no file can hold" in text
    assert text.replace("\n", "").isprintable()
    assert run(["schema", *place]) == 0
    made = strict(capsys.readouterr().out)
    Draft202012Validator.check_schema(made)
    Draft202012Validator(made).validate({"acme": {"name": "x"}})
    for wrong in ({"nam": "x"}, {"name": 5}, {"key6": "x"}):
        assert not Draft202012Validator(made).is_valid({"acme": wrong}), "its table is typed"


@pytest.mark.parametrize(
    "body", ["1 / 0", "sys.exit(0)", "exec('raise KeyboardInterrupt')", "time.sleep(30)"]
)
def test_a_default_that_cannot_be_told_is_its_providers_fault(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "sleep" in body:
        monkeypatch.setattr(hooks_, "COLLECT_SECONDS", 0.2)
    module = f"bad_acme_{len(body)}"
    factory = f"msgspec.field(default_factory=lambda: {body})"
    lay(tmp_path, monkeypatch, module, ODD.replace("{kind}", "str").replace("{default}", factory))
    settings = tmp_path / "c.toml"
    settings.write_text('[acme]\nkey = "it is not asked for its default"\n')
    place = ["--sandbox", str(tmp_path / "node"), "--settings", str(settings)]
    assert run(["plan", *place]) in (0, 3)
    capsys.readouterr()
    assert run(["providers", "acme", *place, "--json"]) == 0
    assert strict(capsys.readouterr().out)["settings"] == []
    assert run(["providers", "acme", *place]) == 0
    assert "bug:" not in capsys.readouterr().err
    assert run(["schema", *place]) == 0
    made = strict(capsys.readouterr().out)
    assert not Draft202012Validator(made).is_valid({"acme": {"nam": "x"}}), "without the default"


def test_a_table_that_cannot_be_told_to_an_editor_may_hold_anything_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = ODD.replace("{kind}", "str").replace('name: str = ""', 'way: Path = Path("/x")')
    factory = "msgspec.field(default_factory=lambda: sys.exit(0))"
    code = f"from pathlib import Path\n{code.replace('{default}', factory)}"
    lay(tmp_path, monkeypatch, "untold_acme", code)  # a path is told anew, with all defaults
    assert run(["schema", "--sandbox", str(tmp_path / "node")]) == 0
    said = capsys.readouterr()
    made = strict(said.out)
    assert made["properties"]["acme"]["description"].startswith("broken: its settings cannot be")
    Draft202012Validator(made).validate({"acme": {"any": ["thing"]}})
    assert not Draft202012Validator(made).is_valid({"mirrors": 5}), "the others' are as they were"
    assert "acme is broken, and its keys are not known: its settings cannot be told" in said.err
