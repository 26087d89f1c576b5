"""A new provider's files, and what cannot be the name of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from k0sruntime import toml
from k0sruntime.cli.main import run
from k0sruntime.errors import UsageError
from k0sruntime.scaffold import files, scaffold


def test_a_name_is_enough() -> None:
    made = scaffold("acme")
    assert (made.distribution, made.module, made.handler) == (
        "k0sruntime-acme",
        "k0sruntime_acme",
        "acme",
    )
    assert (made.runtime_type, made.program) == ("", "acme")
    assert scaffold("k0sruntime-acme") == made


@pytest.mark.parametrize("shim", ["io.containerd.acme.v2", "containerd-shim-acme-v2"])
def test_a_shim_may_be_named_by_its_type_or_its_file(shim: str) -> None:
    made = scaffold("acme", "fast", shim)
    assert made.runtime_type == "io.containerd.acme.v2"
    assert made.program == "containerd-shim-acme-v2"
    provider = files(made)["k0sruntime_acme/provider.py"]
    assert 'runtime_type="io.containerd.acme.v2"' in provider
    assert 'handler: str = "fast"' in provider


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Acme",), "'Acme' cannot be the name of a provider"),
        (("",), "'' cannot be the name of a provider"),
        (("../acme",), "cannot be the name of a provider"),
        (("class",), "'class' cannot be the name of a provider"),
        (("node",), "'node' cannot be the name of a provider"),
        (("acme", "A_B"), "'A_B' cannot be the name of a handler"),
        (("acme", "a", "runc"), "'runc' cannot be the name of a shim"),
        (("acme", "a", "", "/bin/acme"), "'/bin/acme' cannot be the name of a program"),
    ],
)
def test_what_cannot_be_a_name_is_refused(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        scaffold(*arguments)
    assert told in str(refused.value)
    assert refused.value.problems[0].remedy


def test_every_file_is_complete_and_its_python_is_valid() -> None:
    for made in (scaffold("acme"), scaffold("fast-acme", shim="io.containerd.acme.v1")):
        found = files(made)
        assert not [
            path
            for path, text in found.items()
            if "@" in text.replace("actions/", "")
            and any(f"@{word}@" in text for word in ("NAME", "MODULE", "CLASS"))
        ]
        for path, text in found.items():
            if path.endswith(".py"):
                compile(text, path, "exec")
        project = toml.load(found["pyproject.toml"].encode(), "pyproject.toml")["project"]
        assert project["entry-points"]["k0sruntime"] == {made.name: f"{made.module}:provider"}
        assert (
            found[
                "k0sruntime_fast_acme/py.typed"
                if "fast" in made.name
                else "k0sruntime_acme/py.typed"
            ]
            == ""
        )
        assert "${{ matrix.python }}" in found[".github/workflows/ci.yml"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["acme"],
        ["acme", "--handler", "fast"],
        ["acme", "--shim", "io.containerd.acme.v1"],
        ["acme", "--shim", "containerd-shim-acme-v2", "--handler", "fast"],
        ["acme", "--program", "acme-run"],
        ["fast-acme", "--directory", "elsewhere"],
        ["a"],
        ["confidential-containers"],
    ],
    ids=" ".join,
)
def test_what_is_written_is_typed_linted_and_formatted(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a vendor would ask, in the new folder, with the settings of its own ``pyproject.toml``."""
    monkeypatch.chdir(tmp_path)
    assert run(["new", *arguments]) == 0
    (folder,) = tmp_path.iterdir()
    (package,) = (path.parent.name for path in folder.glob("*/py.typed"))
    cache = tmp_path / "cache"
    for command in (
        ["mypy", "--strict", f"--cache-dir={cache}", package, "tests"],
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", ["acme", "fast-acme"])
def test_the_made_up_node_shows_what_the_new_provider_comes_to(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", name]) == 0
    folder, module = tmp_path / f"k0sruntime-{name}", f"k0sruntime_{name.replace('-', '_')}"
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {folder.name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[k0sruntime]\n{name} = {module}:provider\n")
    monkeypatch.syspath_prepend(str(folder))
    (tmp_path / "node").mkdir()
    capsys.readouterr()
    words = ["--root", str(tmp_path / "node"), "--settings", str(folder / "node.toml")]
    assert run(["plan", *words]) == 0
    said = capsys.readouterr().out
    assert f"+ create    /etc/k0s/containerd.d/k0sruntime-{name}.toml" in said
    assert f'BinaryName = "/usr/bin/{name}"' in said
    assert not list((tmp_path / "node").iterdir()), "a plan writes nothing"


def test_it_is_written_into_a_new_folder_and_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "acme"]) == 0
    assert "pip install -e '.[testing]' && pytest" in capsys.readouterr().out
    assert (tmp_path / "k0sruntime-acme/k0sruntime_acme/provider.py").exists()


def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("x")
    assert run(["new", "acme", "--directory", str(tmp_path), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["problems"][0]["place"] == str(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_wrong_name_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "Acme!"]) == 2
    assert not list(tmp_path.iterdir())


def test_it_imports_neither_pluggy_nor_grpc() -> None:
    code = (
        "import sys, k0sruntime.scaffold; print({'pluggy', 'grpc', 'tomlkit'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
