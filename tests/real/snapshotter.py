"""The stargz snapshotter of the lab, as a process beside a node."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import LAB


@dataclass
class Snapshotter:
    """The daemon, its socket and its folder."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def socket(self) -> Path:
        return self.folder / "s.sock"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def settings(self) -> str:
        return f'\n[stargz]\nsocket = "{self.socket}"\nroot = "{self.root}"\n'

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            program = [LAB / "bin/containerd-stargz-grpc", "-address", self.socket]
            command = [*program, "-root", self.root]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self.socket.is_socket():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def mounted(self) -> list[str]:
        """Return the layers that are mounted through FUSE."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        here = [line for line in lines if line.split()[4].startswith(f"{self.root}/")]
        return [line for line in here if line.partition(" - ")[2].startswith("fuse")]

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """End it without a word, so that its socket stays behind."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.process = None
