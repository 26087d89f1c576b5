"""A stand-in for k0s: it treats containerd and its drop-in folder as k0s does, and nothing else.

k0s itself cannot run here: it wants a cluster. What it does to containerd is small and known
(``pkg/component/worker/containerd/component.go``, ``pkg/supervisor/supervisor.go``):

- any file made, written, renamed or removed in ``containerd.d`` itself, whatever its name, and
  three seconds of quiet, then SIGHUP, of which containerd dies; a new one five seconds later;
- up to 1.35 the CRI configuration is composed first, and a failure keeps containerd as it is;
- from 1.36 on it restarts blindly, and at its own start refuses drop-ins of another schema than 3;
- with ``--cri-socket`` it starts no containerd, and watches and imports nothing;
- ``k0s version``, ``k0s status --out=json``, ``/run/k0s/containerd.pid``.

``program`` lays it out as an executable ``k0s``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import rtoml

from k0sruntime.compose import rendered
from k0sruntime.errors import K0sRuntimeError

HURRY = float(os.environ.get("K0S_STAND_IN_HURRY", "1"))
"""How many times sooner than k0s it starts a new containerd: a page of the docs need not wait."""
DEBOUNCE_SECONDS = 3.0
RESPAWN_SECONDS = 5.0 / HURRY
PAUSE = "k0sruntime.local/probe:1"
IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
EVENTS = IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE


def program(folder: Path, version: str) -> Path:
    """Lay the stand-in out as ``folder/k0s`` of a version, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).parent.parent.parent
    path = folder / "k0s"
    path.write_text(
        f"#!/bin/sh\nK0S_VERSION={version} PYTHONPATH={root} exec {sys.executable}"
        f' -m tests.real.k0s_stand_in "$@"\n'
    )
    path.chmod(0o755)
    return path


class K0s:
    """The part of a worker that concerns containerd."""

    def __init__(self, node: Path, containerd: str, version: str) -> None:
        self.etc, self.run, self.logs = node / "etc/k0s", node / "run/k0s", node / "var/log"
        self.data = node / "var/lib/k0s"
        self.containerd, self.version = containerd, version
        self.native = tuple(map(int, version.lstrip("v").split(".")[:2])) >= (1, 36)
        self.dropins = self.etc / "containerd.d"
        for folder in (self.dropins, self.run, self.logs, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        self.log = (self.logs / "k0sworker.log").open("a", buffering=1)
        self.process: subprocess.Popen[bytes] | None = None
        self.ending = threading.Event()

    def tell(self, level: str, message: str, more: str = "") -> None:
        """Write a line to the log, as logrus does."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.log.write(f'time="{moment}" level={level} msg={json.dumps(message)} {more}\n')

    def preflight(self) -> list[str]:
        """Return the drop-ins that k0s refuses to start with: all that are not plain schema 3."""
        refused = []
        for path in sorted(self.dropins.glob("*.toml")) if self.native else ():
            document = rtoml.loads(path.read_text())
            if document.get("version") != 3 or "io.containerd.grpc.v1.cri" in document.get(
                "plugins", {}
            ):
                refused.append(path.name)
        return refused

    def main_file(self, imports: list[str], version: int) -> None:
        plugins: dict[str, Any] = {
            "io.containerd.nri.v1.nri": {
                "disable": True,
                "socket_path": f"{self.run}/nri.sock",
            },
            "io.containerd.internal.v1.opt": {"path": f"{self.data}/opt"},
        }
        if self.native:
            plugins["io.containerd.cri.v1.images"] = {"pinned_images": {"sandbox": PAUSE}}
        document = {"version": version, "imports": imports, "plugins": plugins}
        (self.etc / "containerd.toml").write_text("# k0s_managed=true\n" + rtoml.dumps(document))

    def configure(self) -> bool:
        """Write containerd's configuration; tell whether that could be done."""
        if self.native:
            self.main_file([f"{self.dropins}/*.toml"], 3)
            return True
        files = {path.name: path.read_bytes() for path in self.dropins.glob("*.toml")}
        try:
            document = rendered.merge_patch(str(self.dropins), files, 2, PAUSE)
        except K0sRuntimeError as exc:
            self.tell("warning", f"failed to merge CRI configuration: {exc}")
            return False
        cri = self.run / "containerd-cri.toml"
        cri.write_text(rtoml.dumps(document["containerd-cri.toml"]))
        plain = [f"{self.dropins}/{name}" for name in document["imports"]]
        self.main_file([*plain, str(cri)], 2)
        return True

    def supervise(self) -> None:
        """Keep containerd running: a new one five seconds after the old one died."""
        while not self.ending.is_set():
            self.process = subprocess.Popen(
                [
                    self.containerd,
                    f"--root={self.data}/containerd",
                    f"--state={self.run}/containerd",
                    f"--address={self.run}/containerd.sock",
                    "--log-level=info",
                    f"--config={self.etc}/containerd.toml",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "PATH": f"{self.data}/bin:{os.environ['PATH']}"},
            )
            (self.run / "containerd.pid").write_text(f"{self.process.pid}\n")
            assert self.process.stderr is not None
            for line in self.process.stderr:
                text = line.decode(errors="replace").rstrip()
                self.tell("info", text, "component=containerd stream=stderr")
            code = self.process.wait()
            said = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            if self.ending.is_set():
                return
            self.tell("warning", f"Process terminated unexpectedly: {said}", "component=containerd")
            self.ending.wait(RESPAWN_SECONDS)

    def watch(self) -> None:
        """Send SIGHUP three seconds after the last event in the folder, if k0s would."""
        libc = ctypes.CDLL(None, use_errno=True)
        events = libc.inotify_init()
        libc.inotify_add_watch(events, os.fsencode(self.dropins), EVENTS)
        last = 0.0
        while not self.ending.is_set():
            if select.select([events], [], [], 0.1)[0]:
                os.read(events, 1 << 16)
                last = time.monotonic()
            if last and time.monotonic() - last >= DEBOUNCE_SECONDS:
                last = 0.0
                if self.configure() and self.process and self.process.poll() is None:
                    self.tell("info", "restarting containerd: its drop-ins have changed")
                    self.process.send_signal(signal.SIGHUP)

    def answer(self, silent: bool) -> None:
        """Serve ``k0s status``; a silent one waits for its kubelet, for minutes."""
        path = self.run / "status.sock"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        document = {
            "Version": self.version,
            "Pid": os.getpid(),
            "Role": "worker",
            "Args": [word for word in sys.argv if not word.startswith("--stand-in")],
            "K0sVars": {"RunDir": str(self.run), "DataDir": str(self.data)},
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(str(path))
            server.listen()
            kept = []
            while True:
                client, _ = server.accept()
                kept.append(client)
                if not silent:
                    client.sendall(json.dumps(document).encode())
                    client.close()

    def import_images(self) -> None:
        """Import the image bundles, as k0s does at its start."""
        ctr = str(Path(self.containerd).parent / "ctr")
        address = str(self.run / "containerd.sock")
        for bundle in sorted((self.data / "images").glob("*.tar")):
            command = [ctr, "-a", address, "-n", "k8s.io", "images", "import", str(bundle)]
            for _ in range(50):
                if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                    break
                time.sleep(0.1)

    def work(self, *, silent: bool, another: bool = False) -> int:
        """Run until SIGTERM; with another runtime's CRI there is no containerd to run."""
        refused = self.preflight()
        if refused:
            self.tell("error", f"pre-flight checks failed: {', '.join(refused)}")
            return 1
        signal.signal(signal.SIGTERM, lambda *_: self.ending.set())
        if another:
            threading.Thread(target=lambda: self.answer(silent), daemon=True).start()
            self.ending.wait()
            (self.run / "status.sock").unlink(missing_ok=True)
            return 0
        self.configure()
        keeper = threading.Thread(target=self.supervise)
        keeper.start()
        for task in (self.watch, lambda: self.answer(silent), self.import_images):
            threading.Thread(target=task, daemon=True).start()
        self.ending.wait()
        if self.process:
            self.process.terminate()
        keeper.join()
        for name in ("status.sock", "containerd.pid"):
            (self.run / name).unlink(missing_ok=True)
        return 0


def status(path: str) -> int:
    """Print what the running k0s says, or that there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(path)
        except OSError:
            print("Error: k0s is not running", file=sys.stderr)
            return 1
        answer = b""
        while part := client.recv(1 << 16):
            answer += part
    print(answer.decode())
    return 0


def main(words: list[str]) -> int:
    """Be ``k0s``: version, status, or a worker."""
    version = os.environ["K0S_VERSION"]
    options = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
    if words[0] == "version":
        print(version)
        return 0
    if words[0] == "status":
        return status(options.get("--status-socket", "/run/k0s/status.sock"))
    node = K0s(Path(options["--stand-in-node"]), options["--stand-in-containerd"], version)
    return node.work(
        silent="--stand-in-silent=yes" in words, another=bool(options.get("--cri-socket"))
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
