"""Wheels are whole for the Python that they are meant for, whoever brought them."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from k0sruntime.bundle.closure import Target, missing, running, wheels_in
from k0sruntime.bundle.contents import requirements
from k0sruntime.bundle.wheels import Wanted, whole_for
from k0sruntime.errors import RefusedError
from tests.bundle.conftest import OTHER, Site, lay_wheel

HERE = platform.machine()
OURS = ("k0sruntime", "k0sruntime-gvisor")


def lay_ours(folder: Path, *needed: str) -> None:
    """Lay the host, a provider, pip, and nothing of what they need."""
    lay_wheel(
        folder, "k0sruntime", "0.1.0", "py3-none-any", *needed, 'ruamel.yaml; extra == "yaml"'
    )
    lay_wheel(folder, "k0sruntime-gvisor", "0.1.0", "py3-none-any", "k0sruntime>=0.1,<2")
    lay_wheel(folder, "pip", "26.0", "py3-none-any")
    lay_wheel(folder, "ruamel.yaml", "0.19", "py3-none-any")


def wanted(*pythons: str, arch: str = HERE) -> Wanted:
    return Wanted(tuple(f"{name}==0.1.0" for name in OURS), pythons, arch)


def test_what_another_python_needs_is_found_missing(tmp_path: Path) -> None:
    """pip judges markers by the Python that runs it; we by the one that it is for."""
    lay_ours(tmp_path, 'exceptiongroup; python_version < "3.11"')
    lacking = missing(wheels_in(str(tmp_path)), ["k0sruntime"], Target("3.10", HERE))
    assert lacking == {"exceptiongroup": "k0sruntime"}
    assert not missing(wheels_in(str(tmp_path)), ["k0sruntime"], Target("3.12", HERE))


def test_an_extra_is_asked_for_by_its_name(tmp_path: Path) -> None:
    lay_ours(tmp_path)
    (tmp_path / "ruamel.yaml-0.19-py3-none-any.whl").unlink()
    wheels = wheels_in(str(tmp_path))
    assert not missing(wheels, ["k0sruntime"], Target(running(), HERE))
    lacking = missing(wheels, ["k0sruntime[yaml]"], Target(running(), HERE))
    assert lacking == {"ruamel.yaml": "k0sruntime"}


@pytest.mark.parametrize(
    ("tag", "python", "arch", "fits"),
    [
        ("cp311-cp311-manylinux_2_17_{here}", "3.11", "{here}", True),
        ("cp311-cp311-manylinux2014_{other}", "3.11", "{other}", True),
        ("cp311-cp311-manylinux_2_28_{other}", "3.11", "{other}", True),
        ("cp311-cp311-manylinux_2_39_{other}", "3.11", "{other}", False),
        ("cp311-cp311-manylinux_2_17_{other}", "3.12", "{other}", False),
        ("cp39-abi3-manylinux_2_17_{other}", "3.12", "{other}", True),
        ("cp311-cp311-manylinux_2_17_{here}", "3.11", "{other}", False),
        ("cp311-cp311-musllinux_1_2_{other}", "3.11", "{other}", False),
        ("cp311-cp311-win_amd64", "3.11", "{other}", False),
        ("py3-none-any", "3.14", "{other}", True),
    ],
)
def test_a_wheel_counts_for_the_pythons_and_machines_of_its_tags(
    tmp_path: Path, tag: str, python: str, arch: str, fits: bool
) -> None:
    names = {"here": HERE, "other": OTHER}
    lay_wheel(tmp_path, "rtoml", "1.0", tag.format(**names))
    target = Target(python, arch.format(**names))
    assert (missing(wheels_in(str(tmp_path)), ["rtoml"], target) == {}) is fits


def test_a_version_that_does_not_do_is_missing(tmp_path: Path) -> None:
    lay_ours(tmp_path, "click>=8.1.7")
    lay_wheel(tmp_path, "click", "7.0", "py3-none-any")
    with pytest.raises(RefusedError) as refused:
        whole_for(str(tmp_path), wanted())
    (problem,) = refused.value.problems
    assert problem.message == f"no wheel of click>=8.1.7 for Python {running()} on {HERE}"
    assert problem.culprit == "k0sruntime needs it"


def test_a_folder_tells_for_which_pythons_it_is_whole(tmp_path: Path) -> None:
    lay_ours(tmp_path, "rtoml")
    for name in ("cp310", "cp312"):
        lay_wheel(tmp_path, "rtoml", "1.0", f"{name}-{name}-manylinux_2_17_{OTHER}")
    assert whole_for(str(tmp_path), wanted("3.12", arch=OTHER)) == ["3.10", "3.12"]
    with pytest.raises(RefusedError):
        whole_for(str(tmp_path), wanted("3.11", arch=OTHER))


def test_a_file_that_is_no_wheel_is_told(tmp_path: Path) -> None:
    lay_ours(tmp_path)
    (tmp_path / "k0sruntime-0.1.0-py3-none-any.whl").write_text("no archive")
    with pytest.raises(RefusedError, match="this wheel cannot be read"):
        whole_for(str(tmp_path), wanted())


def test_what_is_installed_is_what_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k0sruntime.bundle.contents.find_spec", lambda _: None)
    assert requirements({"k0sruntime": "0.1.0", "k0sruntime-acme": "2"}) == (
        "k0sruntime==0.1.0",
        "k0sruntime-acme==2",
    )
    monkeypatch.setattr("k0sruntime.bundle.contents.find_spec", lambda _: True)
    assert requirements({"k0sruntime": "0.1.0"}) == ("k0sruntime[yaml]==0.1.0",)


def pack(site: Site, wheels: Path, *more: str) -> Path:
    return site.pack("w.tar", "--python-version", "3.12", *more, wheels=f"--wheels {wheels}")


def test_a_folder_of_wheels_is_packed_as_it_is(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_ours(tmp_path / "wheels")
    bundle = pack(site, tmp_path / "wheels", "--json")
    document = json.loads(capsys.readouterr().out)
    names = [e["path"] for e in document["entries"] if e["path"].startswith("wheels/")]
    assert names == sorted(f"wheels/{path.name}" for path in (tmp_path / "wheels").iterdir())
    assert "3.12" in document["python"]
    assert bundle.read_bytes() == pack(site, tmp_path / "wheels").read_bytes()


def test_a_folder_that_lacks_something_is_refused(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_ours(tmp_path / "wheels", "msgspec")
    (tmp_path / "wheels/pip-26.0-py3-none-any.whl").unlink()
    assert site.bundle(tmp_path / "w.tar", "--wheels", str(tmp_path / "wheels")) == 3
    said = capsys.readouterr().err
    assert "no wheel of msgspec" in said
    assert "no wheel of pip" in said
    assert "--find-links DIR" in said
    assert not (tmp_path / "w.tar").exists()


def test_what_pip_cannot_get_is_told_in_its_own_words(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", ""), ("CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(f"PIP_{name}", value)
    (tmp_path / "links").mkdir()
    assert site.bundle(tmp_path / "w.tar", "--find-links", str(tmp_path / "links")) == 3
    said = capsys.readouterr().err
    assert "pip cannot get the wheels: " in said
    assert "No matching distribution found for pip" in said


def test_a_python_without_pip_is_told(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho "{sys.executable}: No module named pip" >&2\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    assert site.bundle(tmp_path / "w.tar") == 3
    assert "the Python that runs this has no pip" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [["--python-version", "3.x"], ["--wheels", "/", "--no-wheels"], ["--arch", "a b"]]
)
def test_what_contradicts_itself_is_usage(site: Site, more: list[str]) -> None:
    assert site.bundle(site.folder / "w.tar", *more) == 2


# -- install.sh, as far as it refuses; the real one is in tests/real/test_bundle.py ---------------


@pytest.fixture
def unpacked(site: Site, tmp_path: Path) -> Path:
    lay_ours(tmp_path / "wheels")
    bundle = site.pack("w.tar", wheels=f"--wheels {tmp_path / 'wheels'}")
    folder = tmp_path / "unpacked"
    folder.mkdir()
    command = ["tar", "-xf", bundle, "-C", folder, "manifest.json", "install.sh", "wheels"]
    subprocess.run(command, check=True)
    return folder


def install(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    target = folder.parent / "opt"
    return subprocess.run(
        ["sh", folder / "install.sh", target],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, **environment},
        timeout=60,
        check=False,
    )


def test_a_shell_reads_it(unpacked: Path) -> None:
    subprocess.run(["sh", "-n", unpacked / "install.sh"], check=True)
    assert (unpacked / "install.sh").stat().st_mode & 0o777 == 0o755


def test_another_python_is_told_before_anything_is_made(unpacked: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\necho 3.9\n")
    old.chmod(0o755)
    done = install(unpacked, PYTHON=str(old))
    assert done.returncode == 3
    assert "the wheels are for Python" in done.stderr
    assert "and here is 3.9" in done.stderr
    assert not (tmp_path / "opt").exists()


def test_a_folder_that_is_not_as_packed_is_told(unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "wheels/pip-26.0-py3-none-any.whl").write_text("spoilt")
    (unpacked / "wheels/ruamel.yaml-0.19-py3-none-any.whl").unlink()
    (unpacked / "wheels/evil-1.0-py3-none-any.whl").write_text("")
    done = install(unpacked)
    assert done.returncode == 3
    for told in (
        "wheels/pip-26.0-py3-none-any.whl is damaged",
        "wheels/ruamel.yaml-0.19-py3-none-any.whl is missing",
        "wheels/evil-1.0-py3-none-any.whl was not packed",
    ):
        assert told in done.stderr
    assert not (tmp_path / "opt").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/thesis").write_text("years of work")
    done = install(unpacked)
    assert done.returncode == 3
    assert "holds something else than a Python environment" in done.stderr
    assert [path.name for path in (tmp_path / "opt").iterdir()] == ["thesis"]


def test_what_was_begun_is_taken_away_when_it_fails(unpacked: Path, tmp_path: Path) -> None:
    """The pip of this bundle is none, so that the environment is made and nothing is installed."""
    done = install(unpacked)
    assert done.returncode != 0
    assert not (tmp_path / "opt").exists()
