"""A private apt: packages of any suite, downloaded and unpacked into a folder of ours.

The machine's own source list says where the archive is and which key signs it; only the suite is
another one. Needs ``apt-get`` and ``dpkg``, and no root.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = Path("/etc/apt")
INSTALLED = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", re.MULTILINE)
"""A line of ``apt-get --simulate``."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class LabError(Exception):
    """A part cannot be had; the message names it and says what to do."""


@dataclass(frozen=True)
class Archive:
    """Where Debian's archive is, and the keyring that its signatures are checked with."""

    uri: str
    keyring: str = KEYRING


def parse_deb822(text: str) -> list[Archive]:
    """Return the binary archives that a ``.sources`` file names (sources.list(5))."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = dict(re.findall(r"^([A-Za-z-]+):\s*(\S.*)$", "\n".join(lines), re.MULTILINE))
        if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
            keyring = fields.get("Signed-By", KEYRING)
            found += [Archive(uri, keyring) for uri in fields.get("URIs", "").split()]
    return found


def parse_one_line(text: str) -> list[Archive]:
    """Return the binary archives that a ``sources.list`` names."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+\S+", line)
        if match:
            options = dict(part.split("=", 1) for part in (match[1] or "").split() if "=" in part)
            found.append(Archive(match[2], options.get("signed-by", KEYRING)))
    return found


def archive(sources: Path = SOURCES) -> Archive:
    """Return the machine's Debian archive: the first whose path ends in ``/debian``.

    Raises:
        LabError: the machine has none.
    """
    found: list[Archive] = []
    for path in sorted((sources / "sources.list.d").glob("*.sources")):
        found += parse_deb822(path.read_text())
    for path in [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*.list"))]:
        if path.exists():
            found += parse_one_line(path.read_text())
    for entry in found:
        if entry.uri.rstrip("/").endswith("/debian"):
            return entry
    raise LabError(f"no Debian archive in {sources}: the lab's parts are Debian's packages")


def series(versions: list[str], prefix: str) -> str:
    """Return the first version (apt lists the newest first) whose upstream part has the prefix."""
    for version in versions:
        if version.partition(":")[2].startswith(prefix) or version.startswith(prefix):
            return version
    return ""


class Apt:
    """Downloads packages of one suite into a cache folder."""

    def __init__(self, suite: str, cache: Path, source: Archive) -> None:
        self.suite = suite
        self._base = cache / "apt" / suite
        self._source = source
        self._ready = False

    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self._base / "sources",
            "Dir::State": self._base / "state",
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": self._base / "cache",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def update(self) -> None:
        """Fetch the suite's package list, once."""
        if self._ready:
            return
        for folder in ("sources", "state/lists/partial", "cache/archives/partial"):
            (self._base / folder).mkdir(parents=True, exist_ok=True)
        (self._base / "sources" / "lab.sources").write_text(
            f"Types: deb\nURIs: {self._source.uri}\nSuites: {self.suite}\n"
            f"Components: main\nSigned-By: {self._source.keyring}\n"
        )
        run(["apt-get", *self._options(), "-qq", "update"], f"the package list of {self.suite}")
        self._ready = True

    def version(self, package: str, prefix: str) -> str:
        """Return the newest version of a package in a series.

        Raises:
            LabError: the suite has none.
        """
        self.update()
        said = run(["apt-cache", *self._options(), "madison", package], package)
        versions = [line.split("|")[1].strip() for line in said.splitlines() if "|" in line]
        found = series(versions, prefix)
        if not found:
            wanted = f"{package} {prefix}*" if prefix else package
            raise LabError(f"Debian {self.suite} has no {wanted}; it has {versions or 'none'}")
        return found

    def show(self, package: str) -> str:
        """Return what the suite says of a package: its control fields."""
        self.update()
        return run(["apt-cache", *self._options(), "show", package], package)

    def lacking(self, package: str) -> list[str]:
        """Return what an installation would bring, as ``name=version``: what the machine lacks."""
        self.update()
        command = ["apt-get", *self._options(), "--simulate", "--no-install-recommends"]
        said = run([*command, "install", package], package)
        return [f"{name}={version}" for name, version in INSTALLED.findall(said)]

    def unpack(self, package: str, target: Path, prefix: str = "") -> str:
        """Download a package and unpack it into ``target``; return its version."""
        version = self.version(package, prefix)
        self.unpack_all([f"{package}={version}"], target)
        return version

    def unpack_all(self, packages: Sequence[str], target: Path) -> None:
        """Download packages (``name`` or ``name=version``) at once and unpack them."""
        self.update()
        downloads = self._base / "downloads"
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir(parents=True)
        target.mkdir(parents=True, exist_ok=True)
        command = ["apt-get", *self._options(), "-qq", "download", *packages]
        run(command, f"{', '.join(packages)} of {self.suite}", downloads)
        for file in sorted(downloads.glob("*.deb")):
            run(["dpkg", "-x", str(file), str(target)], f"unpacking {file.name}")
            file.unlink()


def run(command: list[str], what: str, folder: Path | None = None) -> str:
    """Run a command and return what it printed.

    Raises:
        LabError: it failed, with the end of what it said.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=folder, check=False, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise LabError(f"{what} cannot be had: {exc}") from exc
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-400:]
        raise LabError(f"{what} cannot be had: {command[0]} said: {said}")
    return done.stdout
