"""The folder that the parts lie in."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from lab.debian import Apt, Archive, archive

if TYPE_CHECKING:
    from pathlib import Path


class Lab:
    """The folder that the parts lie in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self._archive: Archive | None = None
        self._apts: dict[str, Apt] = {}

    def apt(self, suite: str) -> Apt:
        """Return the private apt of a suite."""
        if self._archive is None:
            self._archive = archive()
        if suite not in self._apts:
            self._apts[suite] = Apt(suite, self.folder / "cache", self._archive)
        return self._apts[suite]

    def unpack(self, suite: str, package: str, prefix: str = "") -> tuple[Path, str]:
        """Unpack a package into a folder of its own; return the folder and the version."""
        target = self.folder / "packages" / suite / package
        shutil.rmtree(target, ignore_errors=True)
        return target, self.apt(suite).unpack(package, target, prefix)

    def link(self, program: Path, folder: Path | None = None, name: str = "") -> Path:
        """Put a program into a folder of programs, by default ``bin``."""
        folder = folder or self.bin
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / (name or program.name)
        link.unlink(missing_ok=True)
        link.symlink_to(program.resolve())
        return link

    def script(self, name: str, text: str) -> Path:
        """Write a small program into ``bin``."""
        self.bin.mkdir(parents=True, exist_ok=True)
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path
