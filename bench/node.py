"""A node in a folder for the bench, and a containerd without us to hold it against."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from k0sruntime.cri import CRI
from k0sruntime.errors import CRIError

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parent.parent
LAB = Path(os.environ.get("K0SRUNTIME_LAB", ROOT / ".lab"))
SETTINGS = """
[node]
pause_image = "k0sruntime.local/probe:1"

[node.handlers.crun]
binary = "crun"
"""
READY_SECONDS = 20.0


class Node:
    """A sandbox that is removed at the end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="k0sr-", dir="/tmp"))
        settings = self.folder / "etc/k0sruntime/config.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(SETTINGS)
        images = self.folder / "var/lib/k0s/images"
        images.mkdir(parents=True)
        shutil.copy(LAB / "images/probe.tar", images)
        self.socket = self.folder / "run/k0s/containerd.sock"
        self.main_file = self.folder / "etc/k0s/containerd.toml"

    def __enter__(self) -> Node:  # noqa: PYI034 - typing.Self needs Python 3.11
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what runs and remove the folder."""
        self.run("down", "--pods", "--force")
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, *arguments: str) -> list[str]:
        """Return a command line on this node."""
        first, *rest = arguments
        program = Path(sys.executable).parent / "k0sruntime"
        return [str(program), first, "--sandbox", str(self.folder), *rest]

    def run(self, *arguments: str) -> None:
        """Run a command to its end."""
        subprocess.run(self.command(*arguments), capture_output=True, check=True, env=environment())

    def up_to_ready(self) -> float:
        """Start ``up`` and return the seconds until its CRI answers; then let it end."""
        started = time.perf_counter()
        with subprocess.Popen(
            self.command("up"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        ) as process:
            _ready(self.socket)
            elapsed = time.perf_counter() - started
            process.wait()
        return elapsed

    def bounce_gap(self, number: int) -> float:
        """Bounce containerd by a change, and return the seconds for which no CRI answers.

        Asked for every millisecond, from the first question without an answer to the first with.
        """
        settings = self.folder / "etc/k0sruntime/config.toml"
        settings.write_text(f"{SETTINGS}[node.handlers.n{number % 2}]\n")
        with (
            CRI(str(self.socket)) as cri,
            subprocess.Popen(
                self.command("up"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(),
            ) as process,
        ):
            while _answers(cri):
                time.sleep(0.001)
            started = time.perf_counter()
            cri.wait(READY_SECONDS, lambda: True)
            elapsed = time.perf_counter() - started
            process.wait()
        return elapsed


def _answers(cri: CRI) -> bool:
    try:
        cri.runtime()
    except CRIError:
        return False
    return True


def environment() -> dict[str, str]:
    """Return the environment in which the lab's programs are found.

    Bytecode is kept, as it is where pip has installed a package.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    path = f"{LAB}/bin:{os.environ['PATH']}"
    return {**kept, "PATH": path, "K0SRUNTIME_SUPERVISOR": "no"}


def bare_to_ready(config: str = "") -> float:
    """Start a containerd without us and return the seconds until its CRI answers.

    ``config`` is the main file to start it with; by default one that sets nothing.
    """
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as name:
        folder = Path(name)
        (folder / "config.toml").write_text(
            'version = 3\n[plugins."io.containerd.nri.v1.nri"]\ndisable = true\n'
            f'[plugins."io.containerd.internal.v1.opt"]\npath = "{name}/opt"\n'
        )
        socket = folder / "c.sock"
        started = time.perf_counter()
        process = subprocess.Popen(
            [
                LAB / "bin/containerd",
                f"--root={name}/root",
                f"--state={name}/state",
                f"--address={socket}",
                f"--config={config or folder / 'config.toml'}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        _ready(socket)
        elapsed = time.perf_counter() - started
        process.terminate()
        process.wait()
    return elapsed


def _ready(socket: Path) -> None:
    while not socket.exists():
        time.sleep(0.001)
    with CRI(str(socket)) as cri:
        cri.wait(READY_SECONDS, lambda: True)
