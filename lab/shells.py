"""zsh and fish, whose completion is asked for in the tests, and mandoc, which judges man pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.debian import run

if TYPE_CHECKING:
    from lab.folder import Lab

SUITE = "bookworm"


def zsh(lab: Lab) -> str:
    """Bring zsh with its functions into ``bin`` and return its version."""
    folder, version = lab.unpack(SUITE, "zsh-static")
    common, _ = lab.unpack(SUITE, "zsh-common")
    functions = sorted({str(path.parent) for path in common.rglob("functions/**/*")})
    paths = ":".join(path for path in functions if "/functions" in path)
    program = folder / "bin/zsh-static"
    shown = lab.script("zsh", f'#!/bin/sh\nFPATH="{paths}" exec {program} "$@"\n')
    run([str(shown), "-f", "-c", "zmodload zsh/complete && autoload +X compinit"], "zsh")
    return version


def fish(lab: Lab) -> str:
    """Bring fish with the library that it needs into ``bin`` and return its version."""
    folder, version = lab.unpack(SUITE, "fish")
    library, _ = lab.unpack(SUITE, "libpcre2-32-0")
    libraries = ":".join(sorted({str(path.parent) for path in library.rglob("*.so*")}))
    program = Path(folder) / "usr/bin/fish"
    shown = lab.script("fish", f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec {program} "$@"\n')
    run([str(shown), "--no-config", "-c", "complete -c x -a y; complete -C 'x '"], "fish")
    return version


def mandoc(lab: Lab) -> str:
    """Bring mandoc into ``bin`` and return its version."""
    folder, version = lab.unpack(SUITE, "mandoc")
    run([str(lab.link(folder / "usr/bin/mandoc")), "-Thtml", "/dev/null"], "mandoc")
    return version
