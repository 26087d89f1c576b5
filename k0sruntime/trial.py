"""A trial start: containerd comes up with a configuration, or it shows that it would not.

``config dump`` and rules see much of what containerd dies of, never all. So the real one is started
for a moment, with the arguments that k0s gives it and the files as they would lie there, in a room
of its own (see ``namespaces``): its data, its state and its sockets are in memory, the machine's
sockets and ports are not there, nothing on a disk can be written. It is killed afterwards.

What is not tried: whether a port is free, and what the disk of the node's data is able to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import namespaces
from k0sruntime.errors import CRIError, Problem
from k0sruntime.modes import log
from k0sruntime.trial_room import SOCKET, plan, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.node import Node
    from k0sruntime.paths import Paths

SECONDS = 15.0
"""The longest that a trial start may take."""
END_SECONDS = 5.0
"""The longest that a killed one is waited for."""
STEADY_SECONDS = 0.2
"""A containerd whose CRI answers and that still runs after this has no plugin that panics."""
ON_ITS_DISK = ("btrfs", "zfs")
"""Snapshotters that need the node's own file system."""
DEVMAPPER = "io.containerd.snapshotter.v1.devmapper"


@dataclass(frozen=True)
class Trial:
    """What a trial start tells.

    Attributes:
        problem: why the node would have no runtime; ``None`` where containerd came up.
        untold: why nobody knows: no trial start was made, or it came to no end.
    """

    problem: Problem | None = None
    untold: str = ""


def start(
    composition: Composition, node: Node[Any], instead: Mapping[str, bytes | None] | None = None
) -> Trial:
    """Start the node's containerd with a composition, and see whether its CRI comes up.

    Args:
        composition: what containerd would load.
        node: tells the containerd, and where it looks for programs.
        instead: files of the node that would be others than they are, or gone (``None``).
    """
    if reason := cannot(composition, node):
        return Trial(untold=reason)
    version = f"containerd {node.containerd.version}" if node.containerd else ""
    with _begun(plan(composition, node, instead or {}), node.search_path) as begun:
        fault = _fault(begun.process)
        status, lines = begun.process.poll(), begun.lines()
    if status == namespaces.NOT_ENTERED:
        return Trial(untold=f"it was refused a room of its own: {(lines or ['?'])[-1]}")
    if fault == "DEADLINE_EXCEEDED":
        return Trial(untold=f"{version} did not answer within {SECONDS:g} s")
    if not fault:
        return Trial()
    how = "comes up without its CRI" if fault == "UNIMPLEMENTED" else "ends by itself"
    return Trial(
        Problem(
            f"a trial start: {version} {how}: {_reason(lines, node.paths)}",
            place=node.paths.main_file,
            remedy="Correct what containerd's own words name, in the file that sets it; k0sruntime"
            " explain KEY tells which.",
        )
    )


def _reason(lines: list[str], paths: Paths) -> str:
    """Return containerd's own words, with the node's folders in place of the room's."""
    said = log.reason(lines).replace(f"{namespaces.OWN}/root", paths.containerd_root)
    said = said.replace("(tmpfs)", f"({_file_system(paths)})")
    return said.replace(f"{namespaces.OWN}/state", paths.containerd_state)


def cannot(composition: Composition, node: Node[Any]) -> str:
    """Return why no trial start can be made; empty where it can."""
    if os.geteuid() != 0:
        return "it needs root"
    if node.paths.elsewhere:
        return "the node is not this machine"
    if composition.mode == "remote" or node.containerd is None or not node.containerd.path:
        return "there is no containerd to start"
    if table(composition.effective, "plugins", DEVMAPPER).get("pool_name"):
        return "the snapshotter devmapper works on the node's own devices"
    kind = _file_system(node.paths)
    if kind in ON_ITS_DISK and any(kind in layer.text for layer in composition.layers):
        return f"the snapshotter {kind} needs the node's own disk"
    return ""


def _file_system(paths: Paths) -> str:
    """Return the type of the file system that containerd's data lie on, or would."""
    real = os.path.realpath(paths.containerd_root)
    nearest, kind = "", ""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            point = before.split()[4].rstrip("/")
            if real.startswith(f"{point}/") and len(point) >= len(nearest):
                nearest, kind = point, after.split()[0]
    return kind


@dataclass(frozen=True)
class _Begun:
    """A trial start that goes on, and what it has said so far."""

    process: subprocess.Popen[bytes]
    output: int

    def lines(self) -> list[str]:
        size = os.fstat(self.output).st_size
        return os.pread(self.output, size, 0).decode(errors="replace").splitlines()


@contextlib.contextmanager
def _begun(room: Mapping[str, Any], search_path: tuple[str, ...]) -> Iterator[_Begun]:
    """Start it, and see that nothing of it is left: it and what it started are one group."""
    inherited = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    output = os.memfd_create("trial")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", namespaces.__file__],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd="/",
        env={**inherited, "PATH": ":".join(search_path)},
        start_new_session=True,
    )
    try:
        assert process.stdin is not None  # noqa: S101 - for the types
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(json.dumps(dict(room)).encode())
        yield _Begun(process, output)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # a dead NFS server may hold it
            process.wait(END_SECONDS)
        os.close(output)


def _fault(process: subprocess.Popen[bytes]) -> str:
    """Return how the CRI fails, as a gRPC code; empty where it answers, and goes on to.

    The socket is reached through the process's own look at the file system (proc(5)).
    """
    from k0sruntime.cri import CRI

    try:
        with CRI(f"/proc/{process.pid}/root{SOCKET}") as cri:
            cri.wait(SECONDS, lambda: process.poll() is None)
    except CRIError as exc:
        return exc.code
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STEADY_SECONDS)
        return "ABORTED"
    return ""
