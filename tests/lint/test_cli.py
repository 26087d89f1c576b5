"""``k0sruntime lint`` as a person or a script calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k0sruntime.cli import main

GOOD = 'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.crun]\nruntime_type = "io.containerd.runc.v2"\n'
BAD = GOOD.replace("version = 3", "version = 2")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without k0s and containerd, in an empty folder."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("CONTAINERD", "K0S", "HOST", "SANDBOX", "FORMAT"):
        monkeypatch.delenv(f"K0SRUNTIME_{name}", raising=False)
    (tmp_path / "containerd.d").mkdir()
    monkeypatch.chdir(tmp_path)


def fake(path: Path, says: str) -> Path:
    """Lay down a program that says one line, and refuses nothing."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "{says}"\n')
    path.chmod(0o755)
    return path


def test_a_good_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("containerd.d/a.toml").write_text(GOOD)
    assert main.run(["lint", "--k0s", "1.36", "containerd.d"]) == 0
    assert (
        capsys.readouterr().out
        == "no errors and no warnings in 1 file, judged for k0s 1.36 with containerd 2.3.3\n"
    )


def test_a_bad_folder_exits_with_3_and_shows_paths_as_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("containerd.d/a.toml").write_text(BAD)
    assert main.run(["lint", "--k0s", "1.36", "containerd.d"]) == 3
    out = capsys.readouterr().out
    assert out.startswith("containerd.d/a.toml:1: error K0R202 version-too-low: ")


def test_several_paths_and_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Path("a.toml").write_text(GOOD.replace("runtime_type", "runtime_tipe"))
    Path("b.toml").write_text("x")
    assert (
        main.run(
            [
                "lint",
                "--k0s=1.36",
                "--format=json",
                str(tmp_path / "a.toml"),
                str(tmp_path / "b.toml"),
            ]
        )
        == 3
    )
    document = json.loads(capsys.readouterr().out)
    assert {finding["code"] for finding in document["findings"]} == {"K0R001", "K0R104", "K0R303"}
    assert document["files"] == [str(tmp_path / "a.toml"), str(tmp_path / "b.toml")]


def test_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    Path("containerd.d/a.toml").write_text(BAD)
    assert main.run(["lint", "--k0s", "1.36", "--format", "sarif", "containerd.d/a.toml"]) == 3
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "containerd.d/a.toml"


def test_warnings_exit_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    Path("containerd.d/a.toml").write_text("nonsense = 1\n")
    assert main.run(["lint", "--k0s", "1.36", "containerd.d"]) == 0
    assert "K0R102" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["containerd.d"],
        ["containerd.d", "--k0s", "1.20"],
        ["containerd.d", "--k0s", "x"],
        ["nowhere", "--k0s", "1.36"],
        ["containerd.d", "--k0s", "1.36", "--containerd", "containerd.d/a.toml"],
        ["containerd.d", "--format", "xml"],
        [],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("containerd.d/a.toml").write_text(GOOD)
    assert main.run(["lint", *arguments]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_without_a_target_it_says_what_to_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lint", "containerd.d"]) == 2
    assert "--k0s 1.36" in capsys.readouterr().err


def test_the_machine_is_judged_with_host_only(capsys: pytest.CaptureFixture[str]) -> None:
    Path("containerd.d/a.toml").write_text(GOOD + 'options = {BinaryName = "/nowhere/crun"}\n')
    assert main.run(["lint", "--k0s", "1.36", "containerd.d"]) == 0
    assert "K0R802" not in capsys.readouterr().out
    assert main.run(["lint", "--k0s", "1.36", "--host", "containerd.d"]) == 0
    assert "K0R802" in capsys.readouterr().out


def test_the_target_is_the_containerd_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("containerd.d/a.toml").write_text(GOOD)
    binary = fake(
        tmp_path / "c" / "containerd", "containerd github.com/containerd/containerd 1.7.30 x"
    )
    assert main.run(["lint", "--containerd", str(binary), "containerd.d"]) == 3
    assert capsys.readouterr().out.endswith("judged for containerd 1.7.30\n")


def test_a_line_on_the_command_line_wins_over_a_containerd_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = fake(tmp_path / "c" / "containerd", "containerd x 1.7.30 x")
    monkeypatch.setenv("K0SRUNTIME_CONTAINERD", str(binary))
    assert main.run(["lint", "--k0s", "1.36", "containerd.d"]) == 0
    assert "2.3.3" in capsys.readouterr().out
    assert main.run(["lint", "containerd.d"]) == 0
    assert "1.7.30" in capsys.readouterr().out


def test_a_sandbox_is_a_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "node/etc/k0s/containerd.d"
    folder.mkdir(parents=True)
    (folder / "a.toml").write_text(GOOD + 'options = {BinaryName = "/nowhere/crun"}\n')
    fake(tmp_path / "bin" / "containerd", "containerd x 2.1.9 x")
    assert main.run(["lint", "--sandbox", str(tmp_path / "node")]) == 0
    out = capsys.readouterr().out
    assert "K0R802" in out
    assert "judged for containerd 2.1.9" in out


def test_the_nodes_settings_name_its_containerd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "node/etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    (tmp_path / "node/etc/k0s/containerd.d").mkdir(parents=True)
    binary = fake(tmp_path / "elsewhere" / "containerd", "containerd x 2.2.1 x")
    settings.write_text(f'[node]\ncontainerd = "{binary}"\n')
    assert main.run(["lint", "--sandbox", str(tmp_path / "node")]) == 0
    assert (
        capsys.readouterr().out
        == "no errors and no warnings in no files, judged for containerd 2.2.1\n"
    )


def test_an_unreadable_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("containerd.d/a.toml").symlink_to("nowhere")
    assert main.run(["lint", "--k0s", "1.36", "containerd.d"]) == 3
    assert "cannot be read" in capsys.readouterr().err
