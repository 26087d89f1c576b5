"""Platforms that containerd cannot parse: the plugin that is told of one does not load.

Sources: ``github.com/containerd/platforms`` (``Parse``, ``isKnownOS``, ``isKnownArch``), which
both lines share; containerd ``plugins/cri/images/plugin.go`` and ``plugins/transfer/plugin.go``, on
which CRI leans from 2.0 on. Seen on 1.7.24 and 2.1.9.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k0sruntime.compose.layers import dotted
from k0sruntime.compose.schema import IMAGES
from k0sruntime.lint.finding import Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path

TASK = "io.containerd.runtime.v2.task"
TRANSFER = "io.containerd.transfer.v1.local"
_OS = re.compile(r"[A-Za-z0-9_.-]+(\([^()/]*\))?")
"""With the version of an operating system, or features, in its brackets."""
_PART = re.compile(r"[A-Za-z0-9_.-]+")
_SYSTEMS = """aix android darwin dragonfly freebsd hurd illumos ios js linux macos nacl netbsd
    openbsd plan9 solaris wasip1 windows zos"""
_MACHINES = """386 i386 amd64 amd64p32 x86_64 x86-64 arm armbe arm64 arm64be aarch64 armhf armel
    loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 ppc64le riscv riscv64 s390
    s390x sparc sparc64 wasm"""
_ALONE = frozenset((*_SYSTEMS.split(), *_MACHINES.split()))
"""What may stand alone: an operating system or an architecture, in any spelling that is known."""


def is_platform(text: str) -> bool:
    """Tell whether a platform may be one to containerd: ``os``, ``arch``, ``os/arch[/variant]``."""
    first, *rest = text.split("/")
    if len(rest) > 2 or not _OS.fullmatch(first) or not all(map(_PART.fullmatch, rest)):
        return False
    return bool(rest) or first.partition("(")[0].lower() in _ALONE


def bad_platform(case: Case) -> Iterator[Hit]:
    """Find platforms that cannot be parsed; values of a wrong type are another matter."""
    for path, text in _named(case):
        if not is_platform(text):
            yield Hit(
                case.setter(path),
                f"{dotted(path[-1:])} has {text!r}, which is no platform",
                "Write os/arch or os/arch/variant, such as linux/amd64.",
                path,
            )


def _named(case: Case) -> Iterator[tuple[Path, str]]:
    """Yield the platforms on which CRI leans, and where they are set."""
    task = case.effective.table("plugins", TASK).get("platforms")
    for text in task if isinstance(task, list) else ():
        if isinstance(text, str):
            yield ("plugins", TASK, "platforms"), text
    if case.target.schema == 2:
        return
    where = ("plugins", IMAGES, "runtime_platforms")
    for name, table in case.effective.table(*where).items():
        text = table.get("platform") if isinstance(table, dict) else None
        if isinstance(text, str) and text:
            yield (*where, name, "platform"), text
    unpack = case.effective.table("plugins", TRANSFER).get("unpack_config")
    for table in unpack if isinstance(unpack, list) else ():
        text = table.get("platform") if isinstance(table, dict) else None
        if isinstance(text, str):
            yield ("plugins", TRANSFER, "unpack_config"), text


RULES = (
    Rule(
        "K0R313",
        "bad-platform",
        "a platform that containerd cannot parse",
        "kills CRI",
        bad_platform,
    ),
)
"""K0R313: platforms."""
