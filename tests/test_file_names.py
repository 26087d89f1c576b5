"""Names of files that are no text: told as what they are, never as a fault of ours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from k0sruntime.file_names import by_bytes, name_fault

NAME = b"caf\xe9.toml"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[node]\nmode = "managed"\nk0s = "1.36"\n')
    folder = tmp_path / "etc/k0s/containerd.d"
    folder.mkdir(parents=True)
    (folder / "plain.toml").write_text("version = 3\n")
    with open(os.fsencode(folder) + b"/" + NAME, "w", encoding="ascii") as file:
        file.write("version = 3\n")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["plan"],
        ["up"],
        ["status"],
        ["explain", "proxy_plugins"],
        ["rehearse", "--k0s", "1.36"],
    ],
    ids=" ".join,
)
def test_a_drop_in_whose_name_is_no_text_is_refused_with_its_place(
    node: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = 9 if command[0] == "rehearse" else 3  # nobody can tell what becomes of it
    assert run([*command, "--sandbox", str(node), "--json"]) == code
    said = json.loads(capsys.readouterr().out)
    (problem,) = said["unjudged" if code == 9 else "problems"]
    assert problem["message"] == "the name of the file is not UTF-8"
    assert problem["place"] == f"{node}/etc/k0s/containerd.d/caf\\xe9.toml"
    assert problem["culprit"] == "a foreign file"
    assert "move it away" in problem["remedy"]


def test_lint_says_it_of_a_folder_as_well(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in (["--sandbox", str(node)], ["--k0s", "1.36", str(node / "etc/k0s/containerd.d")]):
        assert run(["lint", *what]) == 3
        assert "caf\\xe9.toml" in capsys.readouterr().err


def test_providers_goes_on(node: Path) -> None:
    assert run(["providers", "--sandbox", str(node)]) == 0


def test_names_are_sorted_by_their_bytes() -> None:
    odd = os.fsdecode(NAME)
    assert sorted([odd, "cafz.toml", "café.toml", "cafa.toml"], key=by_bytes) == [
        "cafa.toml",
        "cafz.toml",
        "café.toml",
        odd,
    ]
    assert name_fault("/etc/café.toml") is None
