"""A provider's settings class is its code: whatever it does, it is told in the provider's name.

Its defaults and its ``__post_init__`` run before any hook; what a hook may not do, they may not.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime import hooks as hooks_
from k0sruntime.cli.main import run
from k0sruntime.errors import ProviderError
from k0sruntime.here import this_node
from tests.test_choice import MAY_CHOOSE, WORDS

NODE = '[node]\nmode = "managed"\nk0s = "1.36"\n'

SOURCE = """
import sys, time, msgspec
from k0sruntime import Problem, Refused, RuntimeHandler, Settings

class AcmeSettings(Settings, frozen=True):
    name: str = {default}

    def __post_init__(self):
        {body}

class Acme:
    settings = AcmeSettings
    summary = "acme"

    def contribute_dropin(self, node):
        yield RuntimeHandler(name="fast")

provider = Acme()
"""

BREAKS = {
    "exit with 0": "sys.exit(0)",
    "exit with 3": "sys.exit(3)",
    "an interrupt": "raise KeyboardInterrupt",
    "the end of a file": "raise EOFError",
    "an error": "raise KeyError('x')",
    "an error of ours": "from k0sruntime.errors import VerifyFailedError as E; raise E()",
    "a recursion": "self.__post_init__()",
    "a hang": "time.sleep(30)",
    "control codes": r"raise type('E\x1b[2J\nerror: all is well', (Exception,), {})('\x1b[2J')",
}
"""What a class does by itself: the provider is broken."""
FACTORY = {
    "a default that fails": "msgspec.field(default_factory=lambda: 1 / 0)",
    "a default that ends us": "msgspec.field(default_factory=lambda: sys.exit(0))",
}
CASES = {
    **{name: (body, "''") for name, body in BREAKS.items()},
    **{name: ("pass", default) for name, default in FACTORY.items()},
}
LOOKS = ("providers", "report", "rehearse")
"""These tell what is there, a broken provider among it, and end well."""
ASK_NONE = ("adopt", "down", "install-service", "man", "quarantine", "rollback", "schema")
"""These need no provider's settings."""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A node, and room for a provider ``acme``: see ``installed``."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    settings = tmp_path / "node/etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(NODE)
    yield tmp_path / "node"
    sys.modules.pop("settings_acme", None)


def installed(node: Path, body: str = "pass", default: str = "''") -> None:
    info = node.parent / "site/settings_acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-settings\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = settings_acme:provider\n")
    source = SOURCE.format(body=body, default=default)
    (node.parent / "site/settings_acme.py").write_text(source)


@pytest.mark.parametrize("case", CASES)
def test_whatever_a_settings_class_does_every_command_names_it_and_none_ends_well(
    case: str,
    node: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    installed(node, *CASES[case])
    if "hang" in case:
        monkeypatch.setattr(hooks_, "COLLECT_SECONDS", 0.2)
    for command in sorted({*MAY_CHOOSE} - {*ASK_NONE}):
        words = [word.format(out=node.parent / "out.tar") for word in WORDS.get(command, ())]
        began = time.monotonic()
        code = run([command, *words, "--sandbox", str(node)])
        said = capsys.readouterr()
        assert code == (0 if command in LOOKS else 4), command
        assert "acme" in said.out + said.err, command
        assert "\x1b" not in said.out + said.err, command
        assert "bug:" not in said.err, command
        assert time.monotonic() - began < 5, command
    assert not (node / "etc/k0s").exists()


def test_only_its_own_provider_is_broken_and_the_rest_goes_on_without_it(
    node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(node, "sys.exit(0)")
    place = ["--sandbox", str(node), "--json"]
    assert run(["providers", *place]) == 0
    found = {p["name"]: p for p in json.loads(capsys.readouterr().out)["providers"]}
    assert found["acme"]["state"] == "broken"
    assert "the settings of provider 'acme' cannot be made: SystemExit" in found["acme"]["reason"]
    assert {p["state"] for name, p in found.items() if name != "acme"} <= {"active", "inactive"}
    assert run(["providers", "acme", *place]) == 0
    assert "--without acme" in json.loads(capsys.readouterr().out)["remedy"]
    assert run(["plan", "--without", "acme", *place]) == 0


def test_what_is_wrong_with_other_tables_is_told_as_well(
    node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(node, "raise KeyError")
    (node / "etc/k0sruntime/config.toml").write_text(f"{NODE}[mirors]\n")
    assert run(["plan", "--sandbox", str(node)]) == 4
    said = capsys.readouterr().err
    assert "the settings of provider 'acme' cannot be made" in said
    assert "no provider called 'mirors' is installed" in said


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (r"raise ValueError('no\x1b[2J\nerror: all is well')", "no [2J error: all is well"),
        (r"raise Refused(Problem('no\x1b[2J', culprit='gvisor', remedy='a\nb'))", "no [2J"),
        ("raise ValueError('x' * 5_000_000)", "xxx"),
    ],
)
def test_what_a_settings_class_refuses_is_one_short_line(
    body: str, told: str, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(node, body)
    assert run(["plan", "--sandbox", str(node), "--json"]) == 3
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert told in problem["message"]
    assert "[acme]" in problem["place"]
    assert "gvisor" not in problem["culprit"]
    assert all(text.isprintable() and len(text) < 3000 for text in problem.values())


def test_what_it_prints_is_no_part_of_the_result(
    node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(node, "print('hello')")
    assert run(["plan", "--sandbox", str(node), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["kind"] == "Plan"
    assert "hello" in said.err


@pytest.mark.parametrize("body", ["sys.exit(0)", "raise KeyboardInterrupt", "time.sleep(30)"])
def test_a_command_of_the_providers_own_names_it_too(
    body: str, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(node, body)
    if "sleep" in body:
        monkeypatch.setattr(hooks_, "COLLECT_SECONDS", 0.2)
    import settings_acme  # type: ignore[import-not-found]

    with pytest.raises(ProviderError, match="the settings of provider 'acme'") as failed:
        this_node("acme", settings_acme.provider, sandbox=str(node))
    assert failed.value.problems[0].culprit == "acme-settings 1.0"
