"""A real Docker in a folder, on a real containerd, and the stand-in for cri-dockerd on top of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from tests.real.conftest import LAB, ROOT

SECONDS = 30.0


def wait_for(path: Path, process: subprocess.Popen[Any], log: Path) -> None:
    """Wait until somebody listens on a socket."""
    deadline = time.monotonic() + SECONDS
    while not path.is_socket():
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        time.sleep(0.05)


@dataclass
class Docker:
    """A Docker that runs in a folder of its own."""

    folder: Path
    configuration: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    processes: list[subprocess.Popen[Any]] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "d.sock"

    @property
    def cri(self) -> Path:
        return self.folder / "cri-dockerd.sock"

    @property
    def daemon_json(self) -> Path:
        return self.folder / "daemon.json"

    @property
    def pid_file(self) -> Path:
        return self.folder / "docker.pid"

    @property
    def program(self) -> Path:
        """The stand-in as a program, for its ``--version``."""
        return self.folder / "cri-dockerd"

    def start(self) -> None:
        """Start containerd without CRI, and Docker on it."""
        config = self.folder / "containerd.toml"
        config.write_text(
            f'version = 3\nroot = "{self.folder}/cr"\nstate = "{self.folder}/cs"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime",'
            ' "io.containerd.cri.v1.images", "io.containerd.nri.v1.nri"]\n'
            f'[grpc]\naddress = "{self.folder}/c.sock"\n'
            f'[plugins."io.containerd.internal.v1.opt"]\npath = "{self.folder}/opt"\n'
        )
        self._run([LAB / "bin/containerd", "-c", config], self.folder / "c.sock", "containerd.log")
        if self.configuration or not self.daemon_json.exists():
            self.daemon_json.write_text(json.dumps(self.configuration, indent=4) + "\n")
        self.start_docker()

    def start_docker(self) -> None:
        command = [
            LAB / "bin/dockerd",
            f"--config-file={self.daemon_json}",
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
            f"--containerd={self.folder}/c.sock",
            f"--host=unix://{self.socket}",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.pid_file}",
            *self.flags,
        ]
        self._run(command, self.socket, "docker.log")
        with self.client() as client:
            client.ping()

    def _run(self, command: list[Any], socket: Path, log: str) -> None:
        path = f"{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        with (self.folder / log).open("wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, env={**os.environ, "PATH": path}
            )
        self.processes.append(process)
        wait_for(socket, process, self.folder / log)

    @contextmanager
    def client(self) -> Iterator[Any]:
        client = docker.APIClient(base_url=f"unix://{self.socket}", version="auto")
        try:
            yield client
        finally:
            client.close()

    def stand_in(self, version: str = "0.3.17", driver: str = "") -> None:
        """Start the stand-in for cri-dockerd of a version."""
        script = ROOT / "tests/real/cri_dockerd_stand_in.py"
        self.program.write_text(
            f"#!/bin/sh\nSTAND_IN_VERSION={version} exec {sys.executable} {script} --version\n"
        )
        self.program.chmod(0o755)
        with (self.folder / "cri.log").open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, script, self.cri, self.socket, version],
                stdout=file,
                stderr=file,
                env={**os.environ, "STAND_IN_DRIVER": driver},
            )
        self.processes.append(process)
        wait_for(self.cri, process, self.folder / "cri.log")

    def settings(self, **more: str) -> str:
        """Return the settings of a node that runs on it; they go on where ``[node]`` stands."""
        keys = {
            "enabled": '"yes"',
            "socket": f'"{self.cri}"',
            "docker": f'"{self.socket}"',
            "cri_dockerd": f'"{self.program}"',
            "daemon_json": f'"{self.daemon_json}"',
            **more,
        }
        let = f'json_files = ["{self.daemon_json}"]\n'
        return f"{let}[dockerd]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())

    def stop(self) -> None:
        """End what was started, the last first."""
        for process in reversed(self.processes):
            process.terminate()
            process.wait(SECONDS)
        self.processes.clear()


@contextmanager
def running_docker(*flags: str, **configuration: Any) -> Iterator[Docker]:
    """Run a Docker with a ``daemon.json``, whose keys have ``_`` for ``-``."""
    folder = Path(tempfile.mkdtemp(prefix="k0sr-d-", dir="/tmp"))
    keys = {key.replace("_", "-"): value for key, value in configuration.items()}
    found = Docker(folder, keys, flags)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)
