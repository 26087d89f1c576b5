"""The container toolkit's programs, where they are."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from k0sruntime import Inactive, Problem, Refused
from k0sruntime_nvidia.settings import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime import Node
    from k0sruntime_nvidia.settings import NvidiaSettings

RUNTIME = "nvidia-container-runtime"
CTK = "nvidia-ctk"
FOLDERS = ("/usr/local/nvidia/toolkit", "/usr/bin")
"""Where the GPU operator and the packages put it, in the order in which they count."""


def runtime(node: Node[NvidiaSettings]) -> str:
    """Return the path of the plain runtime, set or found; empty where there is none."""
    return node.settings.runtime or find(node, RUNTIME)


def find(node: Node[NvidiaSettings], name: str) -> str:
    """Return the path of a program of the toolkit; empty where there is none."""
    for folder in FOLDERS:
        if node.files.is_executable(f"{folder}/{name}"):
            return f"{folder}/{name}"
    return node.which(name) or ""


def runtimes(node: Node[NvidiaSettings]) -> Mapping[str, str]:
    """Return the handlers' programs by suffix: an empty one, ``-cdi`` and ``-legacy``.

    Raises:
        Inactive: there is no toolkit.
        Refused: a variant that the settings name is not there.
    """
    plain = runtime(node)
    if not plain:
        where = f"in {', '.join(FOLDERS)} or on PATH"
        raise Inactive(f"no {RUNTIME} {where}: install the NVIDIA container toolkit")
    found = {"": plain}
    missing = []
    for variant in VARIANTS if node.settings.variants is None else node.settings.variants:
        path = posixpath.join(posixpath.dirname(plain), f"{RUNTIME}.{variant}")
        if node.files.is_executable(path):
            found[f"-{variant}"] = path
        elif node.settings.variants is not None:
            missing.append(path)
    if missing:
        raise Refused(*(_missing(path) for path in missing))
    return found


def _missing(path: str) -> Problem:
    return Problem(
        f"{path} is not there, or not executable for everybody",
        place="[nvidia] variants",
        remedy="Install the NVIDIA container toolkit whole, or take the variant out.",
    )
