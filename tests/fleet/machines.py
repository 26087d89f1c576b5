"""Machines for a fleet: a network, mount and PID namespace each, which end with their first process.

Nothing of them is on the machine's own network, and nothing has a name there: when a namespace's
first process is gone, so are its processes, mounts and interfaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.conftest import LAB

APART = [
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
]


class Machine:
    """A namespace, from when it is switched on until it is switched off."""

    def __init__(self, script: str, log: Path) -> None:
        with log.open("ab") as output:
            self._outside = subprocess.Popen(
                [*APART, "sh", "-ec", script], stdin=subprocess.PIPE, stdout=output, stderr=output
            )
        self.pid = self._first_process()

    def _first_process(self) -> int:
        children = Path(f"/proc/{self._outside.pid}/task/{self._outside.pid}/children")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if found := children.read_text().split():
                return int(found[0])
            time.sleep(0.005)
        raise AssertionError("the namespace did not start")

    def enter(self, *command: str) -> list[str]:
        """Return the command line that runs a command in here."""
        spaces = ["--net", "--mount", "--pid"]
        return ["nsenter", "--target", str(self.pid), *spaces, "--", *command]

    def run(self, *command: str) -> None:
        subprocess.run(self.enter(*command), check=True, capture_output=True, timeout=30)

    def go(self) -> None:
        """Let the script go on that waits for its network."""
        assert self._outside.stdin is not None
        self._outside.stdin.write(b"\n")
        self._outside.stdin.close()

    def switch_off(self) -> None:
        """End it as a power cut does: all its processes at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._outside.wait(20)
        if self._outside.stdin is not None:
            self._outside.stdin.close()


WAIT = "read _"
CONTROLLER = "ip link set lo up; exec sleep infinity"
NODE = f"""
{WAIT}
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind {{folder}}/passwd /etc/passwd
ip link set lo up
ip address add {{address}}/30 dev eth0
ip link set eth0 up
exec {LAB}/bin/sshd -D -e -f {{folder}}/sshd_config
"""
SSHD = """
HostKey {keys}/host
AuthorizedKeysFile {keys}/operator.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
UseDNS no
PidFile none
Subsystem sftp internal-sftp
"""


@dataclass
class FleetNode:
    """A node: what is on its disk stays when it is switched off."""

    number: int
    base: Path
    controller: Machine
    machine: Machine | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def disk(self) -> Path:
        """All that is the node's own."""
        return self.base / self.name

    @property
    def sandbox(self) -> Path:
        """The folder that k0sruntime and containerd live in."""
        return self.disk / "k0s"

    @property
    def address(self) -> str:
        return f"192.0.2.{self.number * 4 + 2}"

    def switch_on(self) -> None:
        here = self.disk / "etc"
        here.mkdir(parents=True, exist_ok=True)
        users = [u for u in Path("/etc/passwd").read_text().splitlines() if u[:5] != "sshd:"]
        users.append("sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin")
        (here / "passwd").write_text("\n".join(users) + "\n")
        (here / "sshd_config").write_text(SSHD.format(keys=self.base))
        self.machine = Machine(NODE.format(folder=here, address=self.address), here / "log")
        wire = f"wire{self.number}"
        peer = ["peer", "name", "eth0", "netns", str(self.machine.pid)]
        into = ["nsenter", "--target", str(self.controller.pid), "--net", "--", "ip"]
        ours = f"192.0.2.{self.number * 4 + 1}/30"
        for words in (
            ["link", "add", wire, "type", "veth", *peer],
            ["address", "add", ours, "dev", wire],
            ["link", "set", wire, "up"],
        ):
            subprocess.run([*into, *words], check=True, capture_output=True, timeout=10)
        self.machine.go()

    def switch_off(self) -> None:
        if self.machine is not None:
            self.machine.switch_off()
            self.machine = None
        remove_cgroups(self.sandbox)


def remove_cgroups(sandbox: Path) -> None:
    """Remove the empty cgroups of sandboxes whose shims were not there to do it."""
    tasks = sandbox / "run/k0s/containerd/io.containerd.runtime.v2.task/k8s.io"
    for task in tasks.glob("*"):
        for group in Path("/sys/fs/cgroup").glob(f"*/k8s.io/{task.name}"):
            group.rmdir()


def keys(base: Path) -> None:
    """Make the keys of this fleet alone."""
    for name in ("host", "operator"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(base / name)]
        subprocess.run(command, check=True, timeout=10)


def needed() -> list[str]:
    """Return the programs that are missing on this machine."""
    programs = ("ip", "nsenter", "setpriv", "unshare", "ssh", "ssh-keygen", str(LAB / "bin/sshd"))
    return [name for name in programs if shutil.which(name) is None]
