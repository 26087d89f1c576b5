"""The vendor's way from outside: only the host's wheel, then new, install, pytest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from k0sruntime.testing.real import Parts, runs_for_real
from tests.real.conftest import CONTAINERDS, IMAGE, LAB, ROOT
from tests.real.snapshotter import Snapshotter

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
PROMISES = 19
"""Eighteen judged on made-up nodes, and the run for real."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", target, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (found,) = target.glob("k0sruntime-*.whl")
    return found


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with nothing but the host's wheel and what it needs."""
    folder = tmp_path_factory.mktemp("vendor-env")
    venv.create(folder, with_pip=True)
    ok(folder, folder, "python", "-m", "pip", "install", "--quiet", str(wheel))
    return folder


def tried(
    environment: Path, where: Path, *command: str, path: str = "/usr/bin:/bin"
) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("K0SRUNTIME", "PYTHON"))}
    return subprocess.run(
        [environment / "bin" / command[0], *command[1:]],
        capture_output=True,
        text=True,
        cwd=where,
        env={**kept, "PATH": f"{environment}/bin:{path}"},
        check=False,
    )


def ok(environment: Path, where: Path, *command: str, path: str = "/usr/bin:/bin") -> str:
    done = tried(environment, where, *command, path=path)
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    return done.stdout


def test_the_host_alone_brings_no_pytest_and_its_command_works(fresh: Path) -> None:
    assert not (fresh / "bin/pytest").exists()
    assert "new" in ok(fresh, fresh, "k0sruntime", "--help")


def typed(environment: Path, where: Path, line: str) -> str:
    """Return what a line says that is typed into a shell, as it stands in a page."""
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        cwd=where,
        env={**os.environ, "PATH": f"{environment}/bin:/usr/bin:/bin", "PIP_QUIET": "2"},
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    return done.stdout


def consoles(page: Path) -> list[list[str]]:
    """Return the lines of each console block, without their prompts."""
    found = page.read_text().split("```console\n")[1:]
    return [[line[2:] for line in one.split("```")[0].splitlines()] for one in found]


def test_a_new_provider_is_green_at_once(wheel: Path, fresh: Path, tmp_path: Path) -> None:
    """By the lines of its README where only the host is, and by the docs' where pytest is, too."""
    ok(fresh, tmp_path, "k0sruntime", "new", "acme", "--handler", "fast")
    project = tmp_path / "k0sruntime-acme"
    install, run = consoles(project / "README.md")[1]
    assert (install, run) == ("pip install -e '.[testing]'", "pytest")
    ok(fresh, project, "python", "-m", "pip", "uninstall", "--quiet", "--yes", "pytest")
    assert not (fresh / "bin/pytest").exists()
    typed(fresh, project, install)
    said = typed(fresh, project, f"{run} -rs")
    assert f"{9 + PROMISES - 1} passed, 1 skipped" in said, said
    assert "no containerd at hand" in said
    document = ok(fresh, project, "k0sruntime", "providers", "acme", "--root", str(tmp_path))
    assert "written for 1.0, this host has 1.0" in document
    assert "inactive: no acme on the node's PATH" in document

    # The extra of the host has brought pytest: the docs' line is green as it stands.
    typed(fresh, tmp_path, f"pip install '{wheel}[testing]'")
    typed(fresh, tmp_path, "k0sruntime new shimmy --shim io.containerd.shimmy.v1")
    line = "pip install -e . && pytest"
    assert f"$ {line}\n" in (ROOT / "docs/vendors.md").read_text()
    said = typed(fresh, tmp_path / "k0sruntime-shimmy", line)
    assert f"{9 + PROMISES - 1} passed, 1 skipped" in said

    # With a containerd at hand, the same suite runs the handler for real.
    settings = tmp_path / "real.toml"
    settings.write_text(f'[node]\npause_image = "{IMAGE}"\n[acme]\nbinary = "{LAB}/bin/crun"\n')
    real = [f"--k0sruntime-settings={settings}", f"--k0sruntime-images={LAB}/images/probe.tar"]
    path = f"{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    said = ok(fresh, project, "pytest", *real, path=path)
    assert f"{9 + PROMISES} passed" in said, said

    # A handler that does not run is found out, and so is nothing else.
    settings.write_text(f'[node]\npause_image = "{IMAGE}"\n[acme]\nbinary = "/bin/false"\n')
    done = tried(fresh, project, "pytest", *real, path=path)
    assert done.returncode == 1
    assert "acme, runs_for_real:" in done.stdout
    assert "1 failed" in done.stdout
    for name in ("k0sruntime-acme", "k0sruntime-shimmy"):
        ok(fresh, tmp_path, "python", "-m", "pip", "uninstall", "--quiet", "--yes", name)


def built(source: Path, target: Path) -> Path:
    """Build a source distribution, and out of that a wheel; return the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (found,) = target.glob("*.whl")
    return found


def test_a_provider_that_is_built_to_a_wheel_installs_into_the_hosts_environment(
    fresh: Path, tmp_path: Path
) -> None:
    ok(fresh, tmp_path, "k0sruntime", "new", "wheely")
    wheel = built(tmp_path / "k0sruntime-wheely", tmp_path / "dist")
    ok(fresh, tmp_path, "python", "-m", "pip", "install", "--quiet", str(wheel))
    assert "wheely" in ok(fresh, tmp_path, "k0sruntime", "providers", "--root", str(tmp_path))
    assert '"wheely"' in ok(fresh, tmp_path, "k0sruntime", "schema", "--root", str(tmp_path))
    ok(fresh, tmp_path, "python", "-m", "pip", "uninstall", "--quiet", "--yes", "k0sruntime-wheely")


def test_what_pip_uninstalls_is_taken_away_by_the_next_up(
    fresh: Path, tmp_path: Path, folder: Path
) -> None:
    ok(fresh, tmp_path, "k0sruntime", "new", "wheely")
    wheel = built(tmp_path / "k0sruntime-wheely", tmp_path / "dist")
    ok(fresh, tmp_path, "python", "-m", "pip", "install", "--quiet", str(wheel))
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/wheely").symlink_to(LAB / "bin/crun")
    (folder / "var/lib/k0s/images").mkdir(parents=True)
    shutil.copy(LAB / "images/probe.tar", folder / "var/lib/k0s/images")
    (folder / "etc/k0sruntime").mkdir(parents=True)
    settings = f'[node]\npause_image = "{IMAGE}"\n'
    (folder / "etc/k0sruntime/config.toml").write_text(settings)
    path = f"{tmp_path}/programs:{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def host(command: str, *more: str) -> Any:
        words = ["k0sruntime", command, "--sandbox", str(folder), "--json", *more]
        return json.loads(ok(fresh, tmp_path, *words, path=path))

    try:
        up = host("up", "--no-supervisor")
        assert "wheely" in {handler["name"] for handler in up["handlers"]}
        ok(fresh, tmp_path, "python", "-m", "pip", "uninstall", "-q", "-y", "k0sruntime-wheely")
        planned = {f["path"]: f["action"] for f in host("plan")["files"] if f["owner"] == "wheely"}
        dropin = f"{folder}/etc/k0s/containerd.d/k0sruntime-wheely.toml"
        assert planned == {dropin: "remove"}
        up = host("up", "--no-supervisor")
        assert "wheely" not in {handler["name"] for handler in up["handlers"]}
        assert not Path(dropin).exists()
    finally:
        host("down", "--pods", "--purge")


def test_pipx_injects_a_provider_into_the_host(fresh: Path, wheel: Path, tmp_path: Path) -> None:
    ok(fresh, tmp_path, "k0sruntime", "new", "wheely")
    provider = built(tmp_path / "k0sruntime-wheely", tmp_path / "dist")
    places = {"PIPX_HOME": f"{tmp_path}/home", "PIPX_BIN_DIR": f"{tmp_path}/bin"}
    for words in (["install", wheel], ["inject", "k0sruntime", provider]):
        done = subprocess.run(
            [sys.executable, "-m", "pipx", *words],
            capture_output=True,
            text=True,
            env={**os.environ, **places, "PIPX_MAN_DIR": f"{tmp_path}/man"},
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
    command = [f"{tmp_path}/bin/k0sruntime", "providers", "--root", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "wheely    inactive  k0sruntime-wheely 0.1.0" in done.stdout, done.stderr


def test_the_example_crun_is_built_installed_and_proved_on_the_real_crun(
    fresh: Path, tmp_path: Path
) -> None:
    source = tmp_path / "k0sruntime-crun"
    shutil.copytree(ROOT / "examples/vendors/k0sruntime-crun", source)
    wheel = built(source, tmp_path / "dist")
    ok(fresh, tmp_path, "python", "-m", "pip", "install", "--quiet", f"{wheel}[testing]")
    settings = tmp_path / "real.toml"
    settings.write_text(
        f'[node]\npause_image = "{IMAGE}"\nprobe_image = "{IMAGE}"\n'
        f'[crun]\nbinary = "{LAB}/bin/crun"\n'
    )
    real = [f"--k0sruntime-settings={settings}", f"--k0sruntime-images={LAB}/images/probe.tar"]
    real += [f"--k0sruntime-containerd={path}" for path in CONTAINERDS.values()]
    said = ok(fresh, source, "pytest", "-v", *real, path=f"{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert f"{8 + PROMISES + len(CONTAINERDS) - 1} passed" in said, said
    for path in CONTAINERDS.values():
        assert f"runs_for_real[{path}] PASSED" in said, "the lines up to 1.35, and the newer ones"
    ok(fresh, tmp_path, "python", "-m", "pip", "uninstall", "--quiet", "--yes", "k0sruntime-crun")


@pytest.mark.parametrize("line", list(CONTAINERDS))
def test_the_example_stargz_is_built_installed_and_proved_on_the_real_snapshotter(
    fresh: Path, tmp_path: Path, stargz: Snapshotter, line: str
) -> None:
    source = tmp_path / "k0sruntime-stargz"
    shutil.copytree(ROOT / "examples/vendors/k0sruntime-stargz", source)
    wheel = built(source, tmp_path / "dist")
    ok(fresh, tmp_path, "python", "-m", "pip", "install", "--quiet", f"{wheel}[testing]")
    settings = tmp_path / "real.toml"
    images = f'[node]\npause_image = "{IMAGE}"\nprobe_image = "{IMAGE}"\n'
    settings.write_text(images + stargz.settings)
    real = [f"--k0sruntime-settings={settings}", f"--k0sruntime-images={LAB}/images/probe.tar"]
    real += [f"--k0sruntime-containerd={CONTAINERDS[line]}"]
    said = ok(fresh, source, "pytest", *real, path=f"{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert f"{15 + PROMISES} passed" in said, said
    ok(fresh, tmp_path, "python", "-m", "pip", "uninstall", "--quiet", "--yes", "k0sruntime-stargz")


LEAVES_A_SANDBOX = """
from k0sruntime import Check, Provider, RuntimeHandler

class Acme(Provider):
    def contribute_dropin(self, node):
        yield RuntimeHandler(name="acme", options={"BinaryName": "CRUN"})

    def post_start_check(self, node, cri):
        from cri_api.v1 import api_pb2 as api
        from k0sruntime.cri import _sandbox_config
        config = _sandbox_config("acme", "")
        request = api.RunPodSandboxRequest(config=config, runtime_handler="acme")
        cri._runtime.RunPodSandbox(request, timeout=20)
        yield Check(name="acme", verdict="pass")

provider = Acme()
"""


def test_a_check_that_leaves_its_sandbox_behind_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_leaves.py").write_text(LEAVES_A_SANDBOX.replace("CRUN", f"{LAB}/bin/crun"))
    info = tmp_path / "acme_leaves-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-leaves\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = acme_leaves:provider\n")
    settings = tmp_path / "real.toml"
    settings.write_text(f'[node]\npause_image = "{IMAGE}"\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    others = ("gvisor", "nvidia", "dockerd", "mirrors")
    parts = Parts(f"{LAB}/bin/containerd", str(settings), f"{LAB}/images/probe.tar", others)
    found = list(runs_for_real("acme", parts))
    assert [line for line in found if line.startswith("a sandbox is left behind")], found
