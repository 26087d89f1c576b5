"""Which wheels a Python on a machine needs, and which of them are not in a folder.

pip's own resolver judges markers by the Python that runs it, so what it brings for another one may
lack something; this reads the wheels' own metadata for the Python that they are meant for. Sources:
packaging.python.org, Core metadata, Dependency specifiers, Platform compatibility tags.
"""

from __future__ import annotations

import email.parser
import os
import platform
import sys
import zipfile
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.tags import Tag
    from packaging.version import Version

NEWEST_GLIBC = 28
"""Minor version of the newest glibc that is taken for granted elsewhere, of 2018."""
OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
"""The first for which there are wheels (PEP 600)."""


@dataclass(frozen=True)
class Target:
    """A Python that the wheels are meant for.

    Attributes:
        python: such as ``3.11``.
        arch: the machine, as ``uname -m`` spells it.
        platforms: pip's names of it, such as ``manylinux_2_28_aarch64``; empty: this machine, or
            every glibc up to 2.28.
    """

    python: str
    arch: str
    platforms: tuple[str, ...] = ()

    @property
    def here(self) -> bool:
        """It is the Python that runs this, on this machine."""
        return (self.python, self.arch, self.platforms) == (running(), platform.machine(), ())

    def named(self) -> tuple[str, ...]:
        """Return pip's names of the platform, those that ask for most first."""
        if self.platforms:
            return self.platforms
        oldest = OLDEST_GLIBC.get(self.arch, 17)
        names = [
            f"manylinux_2_{minor}_{self.arch}" for minor in range(NEWEST_GLIBC, oldest - 1, -1)
        ]
        return (*names, f"manylinux2014_{self.arch}", f"linux_{self.arch}")

    @cached_property
    def tags(self) -> frozenset[Tag]:
        """The tags of wheels that this Python takes."""
        from packaging import tags

        if self.here:
            return frozenset(tags.sys_tags())
        version = tuple(map(int, self.python.split(".")))
        name = f"cp{version[0]}{version[1]}"
        native = tags.cpython_tags(version, [name], self.named())
        return frozenset([*native, *tags.compatible_tags(version, name, self.named())])

    def environment(self) -> dict[str, str]:
        """Return what markers are judged by."""
        from packaging.markers import default_environment

        found: dict[str, str] = {str(k): str(v) for k, v in default_environment().items()}
        if self.python != running():
            found |= {"python_version": self.python, "python_full_version": f"{self.python}.0"}
        return {**found, "platform_machine": self.arch}


@dataclass(frozen=True)
class Wheel:
    """A wheel in a folder."""

    path: str
    version: Version
    tags: frozenset[Tag]

    def requires(self) -> list[str]:
        """Return the requirements in its metadata.

        Raises:
            RefusedError: it is no wheel.
        """
        try:
            with regular.opened(self.path) as file, zipfile.ZipFile(file) as wheel:
                (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
                text = wheel.read(name).decode(errors="replace")
        except (OSError, ValueError, zipfile.BadZipFile) as exc:
            message = f"this wheel cannot be read: {exc}"
            raise RefusedError(Problem(message, self.path, remedy="Get it anew.")) from exc
        return email.parser.HeaderParser().parsestr(text).get_all("Requires-Dist") or []


def running() -> str:
    """Return the version of the Python that runs this, such as ``3.11``."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def wheels_in(folder: str) -> dict[str, list[Wheel]]:
    """Return the wheels of a folder by distribution, the newest first.

    Raises:
        RefusedError: the folder cannot be read, or a file in it is called as no wheel may be.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    found: dict[str, list[Wheel]] = {}
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".whl"))
    except OSError as exc:
        raise RefusedError(Problem(f"cannot be read: {exc.strerror}", folder)) from exc
    for name in names:
        try:
            distribution, version, _, tags = parse_wheel_filename(name)
        except InvalidWheelFilename as exc:
            raise RefusedError(Problem(str(exc), f"{folder}/{name}")) from exc
        found.setdefault(distribution, []).append(Wheel(f"{folder}/{name}", version, tags))
    return {name: sorted(group, key=_version, reverse=True) for name, group in found.items()}


def _version(wheel: Wheel) -> Version:
    return wheel.version


def missing(
    wheels: Mapping[str, Sequence[Wheel]], requirements: Iterable[str], target: Target
) -> dict[str, str]:
    """Return the requirements that no wheel meets, and for whom each is needed.

    Args:
        wheels: what is there.
        requirements: what shall be installed.
        target: for which Python.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    environment = target.environment()
    queue = [(Requirement(text), "") for text in requirements]
    lacking: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    while queue:
        wanted, whom = queue.pop()
        name = canonicalize_name(wanted.name)
        fits = [w for w in wheels.get(name, ()) if _fits(w, wanted, target)]
        if not fits:
            lacking[_bare(wanted)] = whom
            continue
        for extra in ("", *sorted(wanted.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for needed in map(Requirement, fits[0].requires()):
                asked = {**environment, "extra": extra}
                if needed.marker is None or needed.marker.evaluate(asked):
                    queue.append((needed, name))
    return lacking


def _fits(wheel: Wheel, wanted: Requirement, target: Target) -> bool:
    version = wanted.specifier.contains(wheel.version, prereleases=True)
    return version and not wheel.tags.isdisjoint(target.tags)


def _bare(wanted: Requirement) -> str:
    extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    return f"{wanted.name}{extras}{wanted.specifier}"
