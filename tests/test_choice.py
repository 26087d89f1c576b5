"""Which providers may be used: allow-list, deny-list, --without and --no-providers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Context

from k0sruntime.choice import Choice
from k0sruntime.cli.main import COMMANDS, cli, run

NODE = '[node]\nmode = "managed"\nk0s = "1.36"\n'


def states(
    folder: Path, capsys: pytest.CaptureFixture[str], settings: str, *options: str
) -> dict[str, str]:
    path = folder / "etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(NODE + settings)
    assert run(["providers", "--sandbox", str(folder), "--json", *options]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)["providers"]
    return {p["name"]: p["reason"] if p["state"] == "blocked" else "" for p in found} | {
        "said": said.err
    }


def test_without_a_word_all_are_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = states(tmp_path, capsys, "")
    assert {name: found[name] for name in ("mirrors", "gvisor")} == {"mirrors": "", "gvisor": ""}


def test_an_allow_list_lets_in_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = states(tmp_path, capsys, 'providers = ["mirrors"]\n')
    assert found["node"] == found["mirrors"] == ""
    assert {found[n] for n in ("gvisor", "nvidia", "dockerd")} == {"not among [node] providers"}


def test_an_empty_allow_list_lets_in_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = states(tmp_path, capsys, "providers = []\n")
    assert found["mirrors"] == found["gvisor"] == "not among [node] providers"


def test_a_deny_list_counts_more_than_an_allow_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = states(tmp_path, capsys, 'providers = ["mirrors"]\nwithout = ["mirrors"]\n')
    assert found["mirrors"] == "left out with [node] without"


def test_no_providers_leaves_the_hosts_own_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = states(tmp_path, capsys, "", "--no-providers")
    assert found["node"] == ""
    assert {found[n] for n in ("mirrors", "gvisor")} == {"left out with --no-providers"}


def test_the_table_of_a_provider_that_is_left_out_is_no_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = 'without = ["gvisor"]\n\n[gvisor]\nplatform = "kvm"\n'
    assert states(tmp_path, capsys, settings)["gvisor"] == "left out with [node] without"


def test_a_name_without_effect_is_told_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = states(tmp_path, capsys, 'providers = ["mirors"]\nwithout = ["gvisr"]\n')["said"]
    assert "[node] providers mirors has no effect: no such provider is installed. Did you" in said
    assert 'Did you mean "mirrors"?' in said
    assert "[node] without gvisr has no effect" in said


def test_a_preference_for_nobody_is_told_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = states(tmp_path, capsys, 'prefer = ["mirors", "node", "gvisor"]\n')["said"]
    assert (
        '[node] prefer mirors has no effect: no such provider is installed. Did you mean "mirrors"?'
        in said
    )
    assert said.count("has no effect") == 1, "the host's own may be preferred"


def test_providers_tells_whose_handler_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("acme", "bcme"):
        info = tmp_path / f"site/prefer_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        code = "from k0sruntime import RuntimeHandler\ndef contribute_dropin(node):\n    yield RuntimeHandler(name='fast')\n"
        (tmp_path / f"site/prefer_{name}.py").write_text(code)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: prefer-{name}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[k0sruntime]\n{name} = prefer_{name}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    path = tmp_path / "node/etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(NODE + 'prefer = ["bcme"]\n')
    seen = {}
    for name in ("acme", "bcme"):
        assert run(["providers", name, "--sandbox", str(tmp_path / "node"), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        seen[name] = document["state"], document["reason"], len(document["contributions"])
    assert seen == {
        "acme": ("inactive", "handler fast is left to bcme: [node] prefer", 0),
        "bcme": ("active", "", 1),
    }


def test_one_that_is_left_out_is_not_imported(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from k0sruntime.cli.main import COMMANDS, cli, run;"
        "code = run(sys.argv[1:]); print([m for m in sys.modules if m.startswith('k0sruntime_')])"
    )
    command = [sys.executable, "-c", code, "providers", "--no-providers", "--sandbox", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_up_was_asked_for_is_asked_for_again(tmp_path: Path) -> None:
    from k0sruntime import request_record
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Request

    paths = Paths.in_sandbox(str(tmp_path))
    request_record.save(Request(paths, no_providers=True), {})
    assert "--no-providers" in request_record.last(paths).options


def test_the_command_line_counts_first() -> None:
    choice = Choice(["a"], allowed=["a", "b"], denied=["b"])
    assert choice.blocked("a") == "left out with --without"
    assert choice.blocked("b") == "left out with [node] without"
    assert choice.blocked("c") == "not among [node] providers"


def test_a_service_keeps_to_what_it_was_installed_with() -> None:
    from k0sruntime.cli.install_service import _command_line

    options = dict.fromkeys(("sandbox", "settings", "containerd", "mode"))
    given = {**options, "no_providers": True, "without": ("acme",)}
    assert _command_line(given)[-2:] == ["--no-providers", "--without=acme"]


EVIL = """
from pathlib import Path

Path(__file__).with_name("imported").touch()

class Evil:
    def contribute_hosts(self, node):
        return []

provider = Evil()
"""

TAKES_NONE = {
    "completion": ("bash",),
    "completion of theirs": ("bash", "k0sruntime-evil"),
    "lint": ("{out}", "--k0s", "1.36"),
    "migrate": ("{out}/x.toml",),
    "new": ("acme", "--directory", "{out}"),
    "render": ("--dropins", "{out}"),
    "supervise": ("--help",),  # it starts the commands above, with what they were given
}
"""The commands that cannot be told what to leave out: they import no provider at all."""

WORDS = {
    "adopt": ("k0sruntime-evil.toml",),
    "bundle": ("{out}",),
    "man": ("{out}",),
    "export": ("k0s-config",),
    "quarantine": ("evil.toml",),
    "rehearse": ("--k0s", "1.37"),
}
"""What commands must be given."""
MAY_CHOOSE = [
    name
    for name in COMMANDS
    if any(p.name == "no_providers" for p in cli.get_command(Context(cli), name).params)
]


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A provider that leaves a file beside it when it is imported; yields that file."""
    site = tmp_path / "site"
    info = site / "choice_evil-1.dist-info"
    info.mkdir(parents=True)
    (site / "choice_evil.py").write_text(EVIL)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: choice-evil\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[k0sruntime]\nevil = choice_evil:provider\n"
        "[k0sruntime.commands]\nk0sruntime-evil = choice_evil:cli\n"
    )
    monkeypatch.syspath_prepend(str(site))
    yield site / "imported"
    sys.modules.pop("choice_evil", None)


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ('without = ["evil"]\n', ()),
        ("providers = []\n", ()),
        ("", ("--no-providers",)),
        ("", ("--without", "evil")),
    ],
    ids=["deny-list", "allow-list", "no-providers", "without"],
)
@pytest.mark.parametrize("command", MAY_CHOOSE)
def test_no_command_imports_one_that_is_left_out(
    tmp_path: Path, evil: Path, command: str, settings: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / "node/etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(NODE + settings)
    words = [word.format(out=tmp_path / "out.tar") for word in WORDS.get(command, ())]
    code = run([command, *words, "--sandbox", str(tmp_path / "node"), *options])
    assert code not in (1, 2), "the command did not get so far"
    assert not evil.exists()


def test_every_command_either_can_be_told_or_imports_none() -> None:
    assert {*COMMANDS} == {*MAY_CHOOSE, *(name.partition(" ")[0] for name in TAKES_NONE)}


@pytest.mark.parametrize("command", TAKES_NONE)
def test_the_other_commands_import_none(tmp_path: Path, evil: Path, command: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/x.toml").write_text("version = 2\n")
    words = [word.format(out=tmp_path / "etc") for word in TAKES_NONE[command]]
    assert run([command.partition(" ")[0], *words]) not in (1, 2)
    assert not evil.exists()


def test_schema_imports_nothing_where_it_is_unknown_what_is_left_out(
    tmp_path: Path, evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(NODE + 'k0z = "1"\nwithout = ["evil"]\n')
    assert run(["schema", "--sandbox", str(tmp_path)]) == 3
    said = capsys.readouterr()
    assert (said.out, evil.exists()) == ("", False)
    assert "unknown key 'k0z' in [node]" in said.err


def test_a_provider_that_is_not_left_out_is_imported(tmp_path: Path, evil: Path) -> None:
    assert run(["fetch", "--sandbox", str(tmp_path), "--offline"]) == 0
    assert evil.exists()
