"""A node in a folder, run by the real containerd through the real command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.real.snapshotter import Snapshotter

ROOT = Path(__file__).parent.parent.parent
LAB = Path(os.environ.get("K0SRUNTIME_LAB", ROOT / ".lab"))
IMAGE = "k0sruntime.local/probe:1"
SETTINGS = f"""
[node]
pause_image = "{IMAGE}"

[node.handlers.crun]
binary = "{LAB}/bin/crun"
"""


@dataclass
class RealNode:
    """A sandbox, and the command line on it."""

    folder: Path
    containerd: Path
    without: Sequence[str] = ("gvisor", "nvidia", "dockerd", "mirrors")
    python_path: list[Path] = field(default_factory=list)
    first_on_path: list[Path] = field(default_factory=list)
    supervised: bool = False
    """``up`` leaves a supervisor behind, as it does for everybody; most tests do without."""

    @property
    def settings(self) -> Path:
        return self.folder / "etc/k0sruntime/config.toml"

    @property
    def dropins(self) -> Path:
        return self.folder / "etc/k0s/containerd.d"

    @property
    def socket(self) -> Path:
        return self.folder / "run/k0s/containerd.sock"

    def write_settings(self, text: str) -> None:
        self.settings.parent.mkdir(parents=True, exist_ok=True)
        self.settings.write_text(text)

    def put_image(self) -> None:
        images = self.folder / "var/lib/k0s/images"
        images.mkdir(parents=True, exist_ok=True)
        shutil.copy(LAB / "images/probe.tar", images)

    def environment(self) -> dict[str, str]:
        base = {key: value for key, value in os.environ.items() if not key.startswith("K0SRUNTIME")}
        first = "".join(f"{folder}:" for folder in self.first_on_path)
        path = f"{first}{self.containerd.parent}:{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        extra = ":".join(str(folder) for folder in self.python_path)
        supervised = {"K0SRUNTIME_SUPERVISOR": str(self.supervised).lower()}
        return {**base, **supervised, "PATH": path, "PYTHONPATH": extra, "NO_COLOR": "1"}

    def command(self, *arguments: str, without: Sequence[str] | None = None) -> list[str]:
        left_out = self.without if without is None else without
        options = [word for name in left_out for word in ("--without", name)]
        command, *rest = arguments
        sandbox = ["--sandbox", str(self.folder)]
        return [sys.executable, "-m", "k0sruntime", command, *sandbox, *options, *rest]

    def run(
        self, *arguments: str, without: Sequence[str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments, without=without),
            capture_output=True,
            text=True,
            env=self.environment(),
            cwd=ROOT,
            timeout=90,
            check=False,
        )

    @contextmanager
    def foreground(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """``up --foreground``, which tells its story in ``run/story``; ended at the end."""
        log = self.folder / "run/story"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command("up", "--foreground"),
                env={**self.environment(), **environment},
                stdout=output,
                stderr=output,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                assert process.wait(30) == 0

    def ok(self, *arguments: str, without: Sequence[str] | None = None) -> Any:
        """Run a command with --json, see that it succeeds, and return its document."""
        done = self.run(*arguments, "--json", without=without)
        assert done.returncode == 0, f"{done.stderr}\n{done.stdout}\n{self.log()}"
        return json.loads(done.stdout)

    def log(self) -> str:
        path = self.folder / "run/k0s/containerd.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def files(self) -> dict[str, bytes]:
        """Return what lies in the folders that we write to, containerd's own data left out."""
        found = {}
        for base in ("etc", "run/k0s/containerd-cri.toml"):
            start = self.folder / base
            paths = [start] if start.is_file() else sorted(start.rglob("*"))
            for path in paths:
                if path.is_file():
                    found[str(path.relative_to(self.folder))] = path.read_bytes()
        return found


def processes(folder: Path) -> list[str]:
    """Return the living processes whose command line names a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if state != "Z" and str(folder) in line:
            found.append(f"{entry.name} {line}")
    return found


def mounts(folder: Path) -> list[str]:
    """Return the mount points below a folder."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(f"{folder}/")]


@pytest.fixture(scope="session", autouse=True)
def _parts() -> None:
    """Fail, and do not skip, where a part is missing."""
    assert os.geteuid() == 0, "the tests of the real parts need root"
    missing = [n for n in ("containerd", "runc", "crun") if not (LAB / "bin" / n).exists()]
    assert not missing, f"{missing} missing from {LAB}: run `make lab-all`"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder: a Unix socket's path has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="k0sr-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def stargz() -> Iterator[Snapshotter]:
    """A snapshotter beside the node, which outlives it; a socket's path must be short."""
    program = LAB / "bin/containerd-stargz-grpc"
    assert program.exists(), f"{program} is missing: run `make lab-all`"
    made = Snapshotter(Path(tempfile.mkdtemp(prefix="k0sr-", dir="/tmp")))
    made.start()
    yield made
    if made.process:
        made.process.terminate()
        made.process.wait(10)
    assert not mounts(made.folder), "the test left mounts behind"
    shutil.rmtree(made.folder)


@pytest.fixture(scope="session")
def stargz_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's wheel in it, as pip would unpack it."""
    folder = tmp_path_factory.mktemp("stargz")
    source = folder / "k0sruntime-stargz"
    shutil.copytree(ROOT / "examples/vendors/k0sruntime-stargz", source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder]
    done = subprocess.run([*command, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


CONTAINERDS = {"2.1": LAB / "bin/containerd", "1.7": LAB / "containerd-1.7/bin/containerd"}


@pytest.fixture(params=list(CONTAINERDS))
def node(request: pytest.FixtureRequest, folder: Path) -> Iterator[RealNode]:
    """A node with two handlers, under each containerd in turn."""
    yield from _node(folder, CONTAINERDS[request.param])


@pytest.fixture
def node_2(folder: Path) -> Iterator[RealNode]:
    """A node with two handlers under containerd 2."""
    yield from _node(folder, CONTAINERDS["2.1"])


def _node(folder: Path, containerd: Path) -> Iterator[RealNode]:
    made = RealNode(folder, containerd)
    made.write_settings(SETTINGS)
    made.put_image()
    yield made
    made.run("down", "--pods", "--force", "--purge")
    left = processes(folder)
    assert not left, "the test left processes behind"
    assert not mounts(folder), "the test left mounts behind"
