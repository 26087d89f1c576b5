"""A new provider's files, and what cannot be the name of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from k0sruntime import toml
from k0sruntime.__about__ import CONTRACT, CONTRACT_SINCE, __version__
from k0sruntime.cli.main import run
from k0sruntime.errors import UsageError
from k0sruntime.scaffold import TAKEN, Scaffold, files, scaffold

ROOT = Path(__file__).parent.parent


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
        (("1acme",), "'1acme' cannot be the name of a provider"),
        (("acme-",), "'acme-' cannot be the name of a provider"),
        (("gvisor",), "'gvisor' cannot be the name of a provider"),
        (("k0sruntime-mirrors",), "'mirrors' cannot be the name of a provider"),
        (("node",), "'node' cannot be the name of a provider"),
        (("acme", "A_B"), "'A_B' cannot be the name of a handler"),
        (("runc",), "'runc' cannot be the name of a handler"),
        (("acme", "runc"), "'runc' cannot be the name of a handler"),
        (("acme", "a", "runc"), "'runc' cannot be the name of a shim"),
        (("acme", "a", "", "/bin/acme"), "'/bin/acme' cannot be the name of a program"),
    ],
)
def test_what_cannot_be_a_name_is_refused(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        scaffold(*arguments)
    assert told in str(refused.value)
    assert refused.value.problems[0].remedy


def test_what_is_wrong_with_a_name_is_said() -> None:
    for name, told in (
        ("1acme", "Begin with a lower-case letter"),
        ("acme-", "the last is no dash"),
        ("gvisor", "k0sruntime-gvisor has it already"),
        ("runc", "containerd's own; name another with --handler"),
    ):
        with pytest.raises(UsageError) as refused:
            scaffold(name)
        assert told in refused.value.problems[0].remedy


def test_the_names_that_are_taken_are_those_of_the_providers_that_share_our_version() -> None:
    folders = {path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert set(TAKEN) == folders


ODD = ("none", "check", "runtime-handler", "value-error", "provider", "class", "a--b", "runc")
"""Words of Python's, names of what a provider imports, and what is odd about a name by itself."""
ODD_PROGRAMS = {"plus": "crun++", "dots": "a..b", "digits": "9", "upper": "A_b-C.d+"}
"""Programs whose names are no names of Python's, and patterns, by the providers that look for them."""


def test_whatever_the_name_its_tests_and_the_conformance_kit_are_green(tmp_path: Path) -> None:
    """All of them in one run; what needs a containerd is left out."""
    names = (*ODD, *ODD_PROGRAMS)
    for name in names:
        handler = "my-runc" if name == "runc" else ""
        made = scaffold(name, handler, program=ODD_PROGRAMS.get(name, ""))
        folder = tmp_path / made.distribution
        info = folder / f"{made.module}-1.0.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {made.distribution}\nVersion: 1.0\n"
        points = f"[k0sruntime]\n{name} = {made.module}:provider\n"
        for path, text in {
            **files(made),
            f"{info.name}/METADATA": metadata,
            f"{info.name}/entry_points.txt": points,
        }.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    folders = sorted(tmp_path.iterdir())
    options = ["--k0sruntime-conformance", "--k0sruntime-containerd=", "--import-mode=importlib"]
    options += [f"--k0sruntime-provider={name}" for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "--rootdir=."]
        + [str(folder / "tests") for folder in folders],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(names)} skipped" in done.stdout, "the runs with a containerd, and nothing else"


def test_a_host_1_0_takes_what_was_written_for_its_contract() -> None:
    """The distribution's version and the contract's are two clocks; the contract alone decides."""
    from packaging.requirements import Requirement

    found = files(scaffold("acme"))["pyproject.toml"]
    project = toml.load(found.encode(), "pyproject.toml")["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["testing"]]
    for line in required:
        specifier = Requirement(line).specifier
        assert __version__ in specifier
        assert {"1.0", "2.0"} <= set(specifier.filter(["0.0.9", "1.0", "2.0"]))
        assert "0.0.9" not in specifier
    assert f"contract = {CONTRACT}" in files(scaffold("acme"))["k0sruntime_acme/provider.py"]


@pytest.mark.parametrize(
    "path",
    sorted(ROOT.glob("*/*/k0sruntime_*/provider.py"))
    + sorted(ROOT.glob("examples/vendors/*/*/provider.py")),
    ids=lambda path: path.parent.name,
)
def test_our_own_providers_keep_to_the_same_rule(path: Path) -> None:
    assert f"    contract = {CONTRACT}\n" in path.read_text()
    project = toml.load((path.parents[1] / "pyproject.toml").read_bytes(), "p")["project"]
    (line,) = [one for one in project["dependencies"] if one.startswith("k0sruntime")]
    assert line == f"k0sruntime>={CONTRACT_SINCE}"


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


@pytest.mark.parametrize("made", [scaffold("acme"), scaffold("fast-acme", program="crun++")])
def test_the_ci_file_does_on_each_python_what_the_readme_says(made: Scaffold) -> None:
    """``tests/real/test_vendor.py`` types the README's lines into a shell, and all is green."""
    found = files(made)
    ci = YAML(typ="safe").load(found[".github/workflows/ci.yml"])
    assert ci["on"] == ["push", "pull_request"]
    (job,) = ci["jobs"].values()
    steps = job["steps"]
    lines = [step["run"] for step in steps if "run" in step]
    block = found["README.md"].split("## Work on it")[1].split("```console\n")[1].split("```")[0]
    assert lines == [line.removeprefix("$ ") for line in block.splitlines()]
    used = {
        step["uses"].partition("@")[0]: step.get("with", {}) for step in steps if "uses" in step
    }
    assert list(used) == ["actions/checkout", "actions/setup-python"], "before the lines"
    assert [("run" in step) for step in steps] == [False, False, True, True]
    assert used["actions/setup-python"] == {"python-version": "${{ matrix.python }}"}
    project = toml.load(found["pyproject.toml"].encode(), "pyproject.toml")["project"]
    (oldest, *newer) = job["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={oldest}"
    assert newer
    assert all(isinstance(version, str) for version in (oldest, *newer)), "3.10 is no 3.1"


@pytest.mark.parametrize(
    "arguments",
    [
        ["acme"],
        ["acme", "--handler", "fast"],
        ["acme", "--shim", "io.containerd.acme.v1"],
        ["acme", "--shim", "containerd-shim-acme-v2", "--handler", "fast"],
        ["acme", "--program", "acme-run"],
        ["acme", "--program", "crun++"],
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
