"""The node's own containerd reads the staged whole before anything is switched.

``containerd config dump`` is the first gate, never the only one: it accepts an unknown plugin ID
or an undefined default runtime. It runs on a copy of all files in a folder of its own.
"""

from __future__ import annotations

import contextlib
import platform
import re
from typing import TYPE_CHECKING, Any

from k0sruntime.apply import scratch_copy
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.loaded import MAIN, copy_of
from k0sruntime.programs import ask, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from k0sruntime.compose import Composition
    from k0sruntime.node import Node
    from k0sruntime.paths import Paths

DUMP_SECONDS = 15.0
COPY = "check"
"""The folder of the copy, among our volatile files."""


@contextlib.contextmanager
def begun(composition: Composition, node: Node[Any]) -> Iterator[Callable[[], None]]:
    """Let the node's containerd begin to read the composition.

    Yields a function that waits for its verdict, so that files are staged meanwhile. It raises
    ``RefusedError`` with containerd's own words and the files' real names.
    """
    if not reads(composition, node):
        yield lambda: None
        return
    files, names = copy_of(composition)
    with scratch_copy(files, f"{State(node.paths).run}/{COPY}") as folder:
        assert node.containerd is not None  # noqa: S101 - for the types
        command = _command(node.paths, node.containerd.path, folder)
        asked = begin(command, DUMP_SECONDS)

        def approve() -> None:
            answer = asked.answer()
            if answer.status:
                raise RefusedError(_problem(answer.errors, names, node))

        try:
            yield approve
        finally:
            asked.answer()


def _command(paths: Paths, containerd: str, folder: str) -> list[str]:
    """Return what lets containerd read the copy; an image's may need its own libraries."""
    direct, words = paths.on_disk(containerd), ["config", "dump"]
    if paths.root == "/" or ask([direct, "--version"], DUMP_SECONDS).status == 0:
        return [direct, f"--config={folder}/{MAIN}", *words]
    return ["chroot", paths.root, containerd, f"--config={paths.own_run}/{COPY}/{MAIN}", *words]


def reads(composition: Composition, node: Node[Any]) -> bool:
    """Tell whether the node's containerd is asked.

    It is where it is ours to start, and runs on this machine; an image's may be for another.
    """
    here = not node.paths.elsewhere or node.arch == platform.machine()
    return composition.mode == "standalone" and node.containerd is not None and here


def _problem(stderr: str, names: dict[str, str], node: Node[Any]) -> Problem:
    lines = [line for line in stderr.splitlines() if line and "level=info" not in line]
    message = lines[-1].removeprefix("containerd: ") if lines else "no reason given"
    place = node.paths.main_file
    for copy, real in names.items():
        if copy in message:
            place = real
            message = re.sub(rf"\S*{re.escape(copy)}", real, message)
    version = node.containerd.version if node.containerd else ""
    return Problem(
        f"containerd {version} refuses the composed configuration: {message}",
        place=place,
        remedy="Correct the file or the settings behind it; nothing was written.",
    )
