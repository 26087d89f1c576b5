"""The command line where no containerd is: streams, exit codes, documents, refusals."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from k0sruntime.cli.main import COMMANDS, run
from k0sruntime.errors import ExitCode, ProviderError

MANAGED = '[node]\nmode = "managed"\nk0s = "1.36"\n'
DROPIN = "etc/k0s/containerd.d/k0sruntime-node.toml"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JSON", "DEBUG", "SANDBOX", "ROOT", "SETTINGS", "WITHOUT", "MODE", "CONTAINERD"):
        monkeypatch.delenv(f"K0SRUNTIME_{name}", raising=False)


def sandbox(folder: Path, settings: str = MANAGED) -> list[str]:
    path = folder / "etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings)
    return ["--sandbox", str(folder)]


def untouched(path: Path) -> tuple[int, int, int]:
    """Return what a write would change; a read may change the time of access."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def loaded(*arguments: str) -> set[str]:
    """Return the top-level modules that one command imports, in a process of its own."""
    code = (
        "import sys; from k0sruntime.cli.main import run; code = run(sys.argv[1:]);"
        "print('\\n', *{m.split('.')[0] for m in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


def test_help_loads_neither_grpc_nor_rtoml_nor_pluggy() -> None:
    found = loaded("--help")
    assert "click" in found
    assert not found & {"grpc", "cri_api", "rtoml", "pluggy", "tomlkit", "msgspec", "packaging"}


def test_the_help_of_no_command_loads_a_provider_or_what_it_would_need() -> None:
    code = (
        "import sys; from k0sruntime.cli.main import COMMANDS, run;"
        "codes = {run([name, '--help']) for name in COMMANDS};"
        "print('\\n', *{m.split('.')[0] for m in sys.modules}, *codes, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *found, code = done.stderr.splitlines()[-1].split()
    assert code == "0"
    heavy = {"grpc", "cri_api", "pluggy", "rtoml", "tomlkit"}
    assert not [name for name in found if name in heavy or name.startswith("k0sruntime_")]


def test_providers_loads_no_grpc(tmp_path: Path) -> None:
    found = loaded("providers", *sandbox(tmp_path))
    assert "pluggy" in found
    assert not found & {"grpc", "cri_api", "tomlkit", "watchfiles"}


def test_render_asks_no_provider(tmp_path: Path) -> None:
    assert not loaded("render", "--dropins", str(tmp_path)) & {"grpc", "pluggy", "tomlkit"}


def render(folder: Path, *more: str) -> int:
    return run(["render", "--dropins", str(folder), *more])


def lay(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)


def test_render_prints_what_the_folder_comes_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(
        tmp_path,
        a='[plugins."io.containerd.cri.v1.runtime"]\nx = 1.0\n',
        b='[plugins."io.containerd.cri.v1.runtime"]\ny = 2\n',
    )
    for scheme in ("native", "merge-patch"):
        assert render(tmp_path, "--scheme", scheme) == 0
        said = capsys.readouterr().out
        assert "x = 1.0\n" in said
        assert "y = 2\n" in said


@pytest.mark.parametrize("scheme", ["native", "merge-patch"])
def test_render_refuses_bad_files_with_exit_3_and_names_them_all(
    tmp_path: Path, scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path, a="x =\n", b="[debug]\nlevel = 'info'\n", c="version = 2\n", d="debug = 3\n")
    assert render(tmp_path, "--scheme", scheme) == ExitCode.REFUSED == 3
    said = capsys.readouterr()
    assert said.out == ""
    for name in "acd":
        assert f"where: {tmp_path}/{name}.toml:1" in said.err
    assert "b.toml" not in said.err
    assert "(exit 3: refused)" in said.err


def test_render_gives_its_refusal_as_a_document_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path, a="x =\n", c="version = 2\n")
    assert render(tmp_path, "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["schema"], document["exit_code"]) == ("Error", 1, 3)
    assert [p["place"].split(":")[0] for p in document["problems"]] == [
        f"{tmp_path}/a.toml",
        f"{tmp_path}/c.toml",
    ]


def test_render_leaves_the_folder_as_it_is(tmp_path: Path) -> None:
    lay(tmp_path, a="debug = 3\n", b="[debug]\n")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    render(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("provider", "providers"), ("exlpain", "explain"), ("rolback", "rollback"), ("pln", "plan")],
)
def test_an_unknown_command_is_usage_with_the_nearest(
    word: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([word]) == ExitCode.USAGE == 2
    assert f"Did you mean '{nearest}'?" in capsys.readouterr().err


def test_a_command_like_no_other_is_usage_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["qqqqqq"]) == 2
    assert "qqqqqq" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["up", "down", "plan", "status", "providers", "explain"])
def test_sandbox_and_root_exclude_each_other(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--sandbox", str(tmp_path / "node"), "--root", str(tmp_path)]
    assert run([command, *options]) == 2
    assert "--sandbox and --root exclude each other" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_plan_exits_with_10_only_when_it_is_asked_for_and_something_is_to_do(
    tmp_path: Path,
) -> None:
    options = sandbox(tmp_path, MANAGED + "[node.handlers.crun]\n")
    assert run(["plan", *options]) == 0
    assert run(["plan", *options, "--exit-code"]) == ExitCode.PENDING == 10
    assert run(["up", *options]) == 0
    assert run(["plan", *options, "--exit-code"]) == 0


def test_plan_writes_nothing(tmp_path: Path) -> None:
    options = sandbox(tmp_path)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    assert run(["plan", *options]) == 0
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_up_twice_changes_nothing_and_down_leaves_nothing_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = sandbox(tmp_path, MANAGED + "[node.handlers.crun]\n")
    assert run(["up", *options]) == 0
    before = untouched(tmp_path / DROPIN)
    assert run(["up", *options]) == 0
    assert untouched(tmp_path / DROPIN) == before
    assert run(["down", *options]) == 0
    assert not (tmp_path / DROPIN).exists()
    assert not (tmp_path / "etc/k0s").exists()
    assert (tmp_path / "etc/k0sruntime/config.toml").exists()
    capsys.readouterr()
    assert run(["down", *options]) == 0
    assert "Nothing of ours is here" in capsys.readouterr().out


def test_an_edited_file_of_ours_is_refused_until_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = sandbox(tmp_path, MANAGED + "[node.handlers.crun]\n")
    assert run(["up", *options]) == 0
    (tmp_path / DROPIN).write_text("# edited\n")
    for command in ("up", "down"):
        assert run([command, *options]) == ExitCode.REFUSED
        assert "somebody edited it" in capsys.readouterr().err
        assert (tmp_path / DROPIN).read_text() == "# edited\n"
    assert run(["up", *options, "--force"]) == 0
    assert "crun" in (tmp_path / DROPIN).read_text()


def test_an_image_root_gets_its_files_below_it_and_nothing_is_started(tmp_path: Path) -> None:
    sandbox(tmp_path, MANAGED + "[node.handlers.crun]\n")
    assert run(["up", "--root", str(tmp_path)]) == 0
    text = (tmp_path / DROPIN).read_text()
    assert str(tmp_path) not in text
    assert not (tmp_path / "run/k0s/containerd.sock").exists()
    assert (tmp_path / "var/lib/k0sruntime/ledger.json").exists()


BAD = {
    "an unknown key": (MANAGED + "pause = 3\n", 3),
    "an unknown table": (MANAGED + "[gvsor]\n", 3),
    "a value in a table's place": ('node = "managed"\n', 3),
    "a value in a provider's place": (f"nvidia = 3\n{MANAGED}", 3),
    "a wrong version": ('[node]\nmode = "managed"\nk0s = "new"\n', 3),
    "no TOML": ("[node\n", 3),
    "a bad handler": (MANAGED + '[node.handlers."BAD NAME"]\n', (3, 4)),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_settings_are_refused_with_the_file_named(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, code = BAD[case]
    options = sandbox(tmp_path, text)
    found = run(["plan", *options])
    said = capsys.readouterr().err
    assert found in (code if isinstance(code, tuple) else (code,)), said
    assert f"{tmp_path}/etc/k0sruntime/config.toml" in said or "BAD NAME" in said
    assert "Traceback" not in said
    assert "bug:" not in said


def test_settings_that_were_named_and_are_not_there_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--sandbox", str(tmp_path), "--settings", str(tmp_path / "none.toml")]
    assert run(["plan", *options]) == 3
    assert f"where: {tmp_path}/none.toml" in capsys.readouterr().err


def test_a_provider_that_is_left_out_and_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = sandbox(tmp_path)
    run(["providers", *options, "--without", "nvidai"])
    said = capsys.readouterr()
    assert "nvidai" in said.err + said.out
    assert "nvidia" in said.err + said.out


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = run(arguments)
    said = capsys.readouterr()
    document: dict[str, Any] = json.loads(said.out)
    assert (document["kind"], document["schema"]) == ("Error", 1)
    assert document["exit_code"] == code
    assert said.err
    return document


def test_a_refusal_is_a_document_on_standard_output_and_a_text_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = sandbox(tmp_path, MANAGED + "pause = 3\n")
    document = error_of(["plan", *options, "--json"], capsys)
    assert document["name"] == "REFUSED"
    (problem,) = document["problems"]
    assert set(problem) == {"message", "place", "culprit", "remedy"}


def test_a_usage_error_is_a_document_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert error_of(["plan", "--json", "--sandbx", "x"], capsys)["name"] == "USAGE"


def test_a_fault_of_ours_is_a_document_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime import pipeline

    monkeypatch.setattr(pipeline, "prepare", lambda *_: 1 / 0)
    assert error_of(["plan", *sandbox(tmp_path), "--json"], capsys)["name"] == "BUG"


def test_a_name_that_is_left_out_in_vain_is_told_before_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime import pipeline

    def refuse(_: Any) -> None:
        raise ProviderError("nvidia is broken")

    monkeypatch.setattr(pipeline, "refuse_broken", refuse)
    assert run(["plan", *sandbox(tmp_path), "--without", "nvidai"]) == 4
    assert 'Did you mean "nvidia"?' in capsys.readouterr().err


@pytest.mark.parametrize("no", ["0", "false", "No", "off", ""])
def test_no_document_is_printed_where_the_environment_says_no(
    no: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("K0SRUNTIME_JSON", no)
    assert run(["plan", *sandbox(tmp_path, MANAGED + "pause = 3\n")]) == 3
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["plan", "providers", "explain", "status"])
def test_a_document_says_its_kind_and_schema_and_stands_alone_on_standard_output(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = sandbox(tmp_path)
    assert run(["up", *options]) == 0
    capsys.readouterr()
    run([command, *options, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["kind"]
    assert document["schema"] == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variable", "live"), [("", True), ("NO_COLOR", False)])
def test_no_color_is_honoured_on_a_terminal(
    variable: str, live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run(["plan", *sandbox(tmp_path)]) == 0
    said = terminal.getvalue()
    assert "discover" in said
    assert ("\x1b[" in said) is live


def test_the_story_has_one_line_a_stage_with_its_duration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", *sandbox(tmp_path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["discover", "collect", "compose", "plan"]
    assert all(line.endswith(" ms)") for line in lines)


def test_interrupted_exits_with_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime import pipeline

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "prepare", interrupted)
    assert run(["plan", *sandbox(tmp_path)]) == ExitCode.INTERRUPTED == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_traceback_is_shown_to_those_who_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime import pipeline

    monkeypatch.setattr(pipeline, "prepare", lambda *_: 1 / 0)
    assert run(["--debug", "plan", *sandbox(tmp_path)]) == ExitCode.BUG
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_option_shows_its_environment_variable(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime.cli.main import cli

    found = cli.get_command(None, command)  # type: ignore[arg-type]
    assert found is not None
    silent = [
        parameter.opts[-1]
        for parameter in found.params
        if parameter.param_type_name == "option" and not getattr(parameter, "show_envvar", False)
    ]
    assert not silent
