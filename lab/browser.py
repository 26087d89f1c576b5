"""A headless Chromium, for the page that ``k0sruntime report`` makes.

Debian's ``chromium-headless-shell`` has no windows and so few dependencies. Those that the machine
lacks are unpacked beside it and found through ``LD_LIBRARY_PATH``; fonts are Debian's as well, so
that a page looks the same on every machine.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from lab.debian import LabError, run

if TYPE_CHECKING:
    from pathlib import Path

    from lab.folder import Lab

SUITE = "bookworm"
PACKAGE = "chromium-headless-shell"
FONTS = ("fonts-inter", "fonts-dejavu-core")
"""Inter for text, DejaVu for code and signs."""
FAMILIES = {
    "system-ui": "Inter",
    "sans-serif": "Inter",
    "serif": "DejaVu Serif",
    "monospace": "DejaVu Sans Mono",
    "ui-monospace": "DejaVu Sans Mono",
}
PROGRAM = "chromium-in-lab"
LEFT_OUT = ("xdg-utils",)
"""Opens pages in other programs."""


def get(lab: Lab) -> str:
    """Bring the browser into ``bin`` and return its version.

    Raises:
        LabError: it cannot be had, or does not run.
    """
    folder = lab.folder / "packages" / SUITE / PACKAGE
    shutil.rmtree(folder, ignore_errors=True)
    apt = lab.apt(SUITE)
    version = apt.version(PACKAGE, "")
    wanted = {name.partition("=")[0]: name for name in apt.lacking(PACKAGE)}
    wanted |= {name: name for name in (PACKAGE, *FONTS)}
    apt.unpack_all([spelled for name, spelled in wanted.items() if name not in LEFT_OUT], folder)
    programs = [path for path in folder.rglob(PACKAGE) if _is_program(path)]
    if not programs:
        raise LabError(f"the package {PACKAGE} has no program of its name")
    lab.script(PROGRAM, _wrapper(folder, programs[0]))
    said = run([str(lab.bin / PROGRAM), "--version"], PACKAGE)
    return f"{version} ({' '.join(said.split())})" if re.search(r"\d", said) else version


def _is_program(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:4] == b"\x7fELF"


def _wrapper(folder: Path, program: Path) -> str:
    libraries = sorted({str(path.parent) for path in folder.rglob("*.so*") if path.is_file()})
    fonts = folder / "fonts.conf"
    aliases = "".join(
        f"<alias binding='same'><family>{name}</family><prefer><family>{family}</family></prefer>"
        "</alias>\n"
        for name, family in FAMILIES.items()
    )
    fonts.write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig>\n'
        f"<dir>{folder / 'usr/share/fonts'}</dir>\n<cachedir>{folder / 'font-cache'}</cachedir>\n"
        f"{aliases}</fontconfig>\n"
    )
    return (
        f"#!/bin/sh\nexport LD_LIBRARY_PATH={':'.join(libraries)}\n"
        f'export FONTCONFIG_FILE={fonts}\nexec {program} "$@"\n'
    )
