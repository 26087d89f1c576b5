"""A fleet on one machine: nodes that ansible-core reaches over SSH, and its collection installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from k0sruntime.__about__ import __version__
from tests.fleet import machines
from tests.real.conftest import LAB, ROOT, processes

BIN = Path(sys.executable).parent
COLLECTION = ROOT / "deploy/ansible"
ARCHIVE = f"k0sruntime-node-{__version__}.tar.gz"


@dataclass
class Run:
    """What a playbook came to."""

    code: int
    said: str
    recorded: dict[str, Any]

    def count(self, what: str) -> dict[str, int]:
        """Return one column of the recap by host: ok, changed, failures, unreachable, …"""
        return {host: counts[what] for host, counts in sorted(self.recorded["hosts"].items())}

    def of(self, host: str, action: str) -> list[dict[str, Any]]:
        """Return the results of a module on a host."""
        return [
            entry["result"]
            for entry in self.recorded["results"]
            if entry["host"] == host and entry["action"] == action
        ]


class Ansible:
    """ansible-core with our collection, in a folder of its own, wherever it is to run."""

    def __init__(self, base: Path, collections: Path) -> None:
        self.base = base
        self.collections = collections
        self.inventory = base / "inventory.yml"

    def write_inventory(self, content: dict[str, Any]) -> None:
        with self.inventory.open("w") as file:
            YAML().dump(content, file)

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE", "K0SRUNTIME"))}
        return {
            **kept,
            "PATH": f"{self.base}/bin:{BIN}:{os.environ['PATH']}",
            "HOME": str(self.base),
            "RECORDED": str(self.base / "recorded.json"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "recorded",
            "ANSIBLE_HOME": str(self.base / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.base / "cp"),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s"
            " -o ServerAliveInterval=1 -o ServerAliveCountMax=3",
            "ANSIBLE_TIMEOUT": "5",
        }

    def command(self, playbook: str, *arguments: str, **extra: Any) -> list[str]:
        variables = ["--extra-vars", json.dumps(extra)] if extra else []
        program = str(BIN / "ansible-playbook")
        return [program, "-i", str(self.inventory), playbook, *variables, *arguments]

    def start(self, playbook: str, *arguments: str, **extra: Any) -> subprocess.Popen[bytes]:
        (self.base / "recorded.json").unlink(missing_ok=True)
        with (self.base / "said").open("wb") as output:
            return subprocess.Popen(
                self.inside(self.command(playbook, *arguments, **extra)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment(),
                cwd=self.base,
            )

    def inside(self, command: list[str]) -> list[str]:
        return command

    def end(self, process: subprocess.Popen[bytes]) -> Run:
        try:
            process.wait(200)
        finally:
            process.kill()
        said = (self.base / "said").read_text()
        written = self.base / "recorded.json"
        assert written.exists(), said
        return Run(process.returncode, said, json.loads(written.read_text()))

    def run(self, playbook: str, *arguments: str, **extra: Any) -> Run:
        return self.end(self.start(playbook, *arguments, **extra))


class Fleet(Ansible):
    """Three nodes and the controller that reaches them."""

    python = os.path.realpath(sys.executable)
    """The Python on the nodes; the wheels are for this one."""

    def __init__(self, base: Path, collections: Path, wheels: Path) -> None:
        super().__init__(base, collections)
        self.wheels = wheels
        machines.keys(base)
        self.controller = machines.Machine(machines.CONTROLLER, base / "controller.log")
        self.nodes = [machines.FleetNode(number, base, self.controller) for number in (1, 2, 3)]
        for node in self.nodes:
            node.switch_on()
        host_key = (base / "host.pub").read_text()
        known = [f"{node.address} {host_key}" for node in self.nodes]
        (base / "known_hosts").write_text("".join(known))

    def inside(self, command: list[str]) -> list[str]:
        return self.controller.enter(*command)

    def switch_off(self) -> None:
        for node in self.nodes:
            node.switch_off()
        self.controller.switch_off()


@pytest.fixture(scope="session", autouse=True)
def _parts() -> None:
    """Fail, and do not skip, where a part is missing."""
    assert os.geteuid() == 0, "namespaces and containerd need root"
    assert not machines.needed(), f"{machines.needed()} missing: run `make lab-all`"
    assert (LAB / "bin/containerd").exists(), "containerd is missing: run `make lab-all`"


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as it is released: built, and installed from its archive."""
    base = tmp_path_factory.mktemp("collections")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE")}
    environment = {**kept, "HOME": str(base), "ANSIBLE_HOME": str(base / "ansible")}
    galaxy = [str(BIN / "ansible-galaxy"), "collection"]
    for command in (
        [*galaxy, "build", str(COLLECTION), "--output-path", str(base)],
        [*galaxy, "install", "--offline", "--force", "-p", str(base), str(base / ARCHIVE)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
    return base


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a node without a network needs, in one archive: ours, what they need, and pip."""
    folder = tmp_path_factory.mktemp("wheels")
    ours = [f"{ROOT}[yaml]", str(ROOT / "plugins/mirrors")]
    built = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder), "pip"]
    done = subprocess.run([*built, *ours], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    archive = folder / "wheels.tar"
    with tarfile.open(archive, "w") as file:
        for wheel in sorted(folder.glob("*.whl")):
            file.add(wheel, wheel.name)
    return archive


@pytest.fixture
def base() -> Iterator[Path]:
    """A short folder: a Unix socket's path has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="k0sf-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def fleet(base: Path, collections: Path, wheels: Path) -> Iterator[Fleet]:
    made = Fleet(base, collections, wheels)
    yield made
    made.switch_off()
    assert not processes(base), "the test left processes behind"
