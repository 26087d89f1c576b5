"""Every distribution, built to a wheel and installed into a fresh environment."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.real.conftest import ROOT

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PLUGINS = ("gvisor", "nvidia", "dockerd", "mirrors")


def build(source: Path, target: Path) -> Path:
    """Build a source distribution, and out of that a wheel; return the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    name = source.name.replace("-", "_")
    (wheel,) = target.glob("k0sruntime-*.whl" if source == ROOT else f"k0sruntime_{name}-*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    target = tmp_path_factory.mktemp("wheels")
    built = {name: build(ROOT / "plugins" / name, target) for name in PLUGINS}
    return {"host": build(ROOT, target), **built}


@pytest.fixture(scope="module")
def fresh(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with nothing but the host's wheel and what it needs."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    run(folder, "python", "-m", "pip", "install", "--quiet", str(wheels["host"]))
    return folder


def run(folder: Path, program: str, *arguments: str) -> str:
    command = [folder / "bin" / program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def providers(folder: Path) -> dict[str, dict]:
    document = json.loads(run(folder, "k0sruntime", "providers", "--json", "--root", "/"))
    return {provider["name"]: provider for provider in document["providers"]}


def test_the_host_alone_has_its_own_provider_and_no_other(fresh: Path) -> None:
    assert list(providers(fresh)) == ["node"]


@pytest.mark.parametrize("name", PLUGINS)
def test_a_provider_installs_alone_from_its_wheel(
    name: str, fresh: Path, wheels: dict[str, Path]
) -> None:
    run(fresh, "python", "-m", "pip", "install", "--quiet", str(wheels[name]))
    try:
        found = providers(fresh)
        assert list(found) == ["node", name]
        assert found[name]["state"] in ("active", "inactive")
        assert found[name]["version"] == found["node"]["version"]
        assert found[name]["reason"]
    finally:
        run(fresh, "python", "-m", "pip", "uninstall", "--quiet", "--yes", f"k0sruntime-{name}")
    assert list(providers(fresh)) == ["node"]


def test_wheels_are_typed_and_carry_their_licence(wheels: dict[str, Path]) -> None:
    for wheel in wheels.values():
        names = zipfile.ZipFile(wheel).namelist()
        assert any(name.endswith("/py.typed") for name in names), wheel
        assert any(name.endswith("licenses/LICENSE") for name in names), wheel
        assert not any(name.startswith("tests/") for name in names), wheel


def test_the_hosts_source_distribution_holds_the_host_and_not_the_plugins(
    wheels: dict[str, Path],
) -> None:
    (source,) = wheels["host"].parent.glob("k0sruntime-*.tar.gz")
    with tarfile.open(source) as archive:
        names = archive.getnames()
    assert any(name.endswith("k0sruntime/pipeline.py") for name in names)
    assert not any("/plugins/" in name for name in names)
