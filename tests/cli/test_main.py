"""The command line as a whole: laziness, exit codes, errors, streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from k0sruntime.cli.main import COMMANDS, run
from k0sruntime.errors import ExitCode


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "k0sruntime", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def loaded(*arguments: str) -> set[str]:
    """Return the top-level modules that a command imports."""
    code = (
        "import sys; from k0sruntime.cli.main import run; run(sys.argv[1:]);"
        "print(*{m.split('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    return set(done.stderr.splitlines()[-1].split())


def test_help_loads_click_and_nothing_of_weight() -> None:
    heavy = {"grpc", "cri_api", "pluggy", "rtoml", "tomlkit", "msgspec", "importlib_metadata"}
    assert not loaded("--help") & heavy


def test_providers_loads_no_grpc() -> None:
    assert not loaded("providers") & {"grpc", "cri_api", "tomlkit", "watchfiles"}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_and_the_one_that_the_list_shows(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert COMMANDS[name].rstrip(".")[:30] in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plna"], "Did you mean 'plan'"),
        (["plan", "--sandbx", "x"], "--sandbox"),
        (["plan", "--sandbox", "a", "--root", "/"], "exclude each other"),
        (["explain", "a", "--all"], "exclude each other"),
    ],
)
def test_a_wrong_command_line_is_usage(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitCode.USAGE
    assert told in capsys.readouterr().err


def sandbox(tmp_path: Path, settings: str) -> list[str]:
    path = tmp_path / "etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings)
    return ["--sandbox", str(tmp_path)]


MANAGED = '[node]\nmode = "managed"\nk0s = "1.36"\n'


def test_an_error_says_what_where_and_what_to_do_and_comes_as_json_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = sandbox(tmp_path, MANAGED + "pause = 3\n")
    assert run(["plan", *options, "--json"]) == ExitCode.REFUSED
    said = capsys.readouterr()
    assert "error: unknown key 'pause' in [node]" in said.err
    assert f"where: {tmp_path}/etc/k0sruntime/config.toml: [node] pause" in said.err
    assert 'do:    Did you mean "pause_image"?' in said.err
    document = json.loads(said.out)
    assert (document["kind"], document["exit_code"], document["name"]) == ("Error", 3, "REFUSED")


def test_plan_and_render_of_a_node_that_is_elsewhere_need_no_containerd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = sandbox(tmp_path, MANAGED + "[node.handlers.crun]\n")
    assert run(["plan", *options, "--json", "--exit-code"]) == ExitCode.PENDING
    document = json.loads(capsys.readouterr().out)
    assert document["containerd_schema"] == 3
    assert [file["action"] for file in document["files"]] == ["create", "create"]


def test_explain_prints_a_tree_with_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = sandbox(tmp_path, MANAGED + "[node.handlers.crun]\n")
    assert run(["explain", "containerd.runtimes.crun", *options]) == 0
    text = capsys.readouterr().out
    assert 'runtime_type = "io.containerd.runc.v2"' in text
    assert "hook contribute_dropin" in text
    assert run(["explain", "--handler", "crun", *options, "--json"]) == 0
    (key,) = json.loads(capsys.readouterr().out)["keys"]
    assert key["set_by"]["path"].endswith("k0sruntime-node.toml")


def test_without_leaves_a_provider_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = sandbox(tmp_path, MANAGED)
    assert run(["providers", *options, "--without", "nvidia", "--json"]) == 0
    states = {p["name"]: p["state"] for p in json.loads(capsys.readouterr().out)["providers"]}
    assert states["nvidia"] == "blocked"


def test_runtime_classes_are_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = sandbox(tmp_path, MANAGED + '[node.handlers.crun]\nruntime_class = "fast"\n')
    assert run(["export", "runtimeclasses", *options]) == 0
    assert "name: fast\nhandler: crun\n" in capsys.readouterr().out


def test_options_can_be_given_by_the_environment(tmp_path: Path) -> None:
    sandbox(tmp_path, MANAGED)
    done = command("plan", "--json", K0SRUNTIME_SANDBOX=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mode"] == "managed"


def test_the_story_is_on_standard_error_and_the_result_on_standard_output(tmp_path: Path) -> None:
    done = command("plan", *sandbox(tmp_path, MANAGED))
    assert done.stderr.startswith("discover ")
    assert "discover" not in done.stdout
    assert "\x1b" not in done.stderr


def test_a_reader_that_goes_away_harms_nothing(tmp_path: Path) -> None:
    options = sandbox(tmp_path, MANAGED + "[node.handlers.crun]\n")
    line = f"{sys.executable} -m k0sruntime up {' '.join(options)} 2>&1 | head -1"
    subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert (tmp_path / "etc/k0s/containerd.d/k0sruntime-node.toml").exists()


def test_a_fault_of_ours_says_so_and_what_to_send(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime import pipeline

    monkeypatch.setattr(pipeline, "prepare", lambda *_: 1 / 0)
    assert run(["plan"]) == ExitCode.BUG
    said = capsys.readouterr().err
    assert "bug: ZeroDivisionError" in said
    assert "Please report it" in said
    assert "Traceback" not in said
