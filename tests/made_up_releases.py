"""Releases of gVisor's that hold scripts, and a machine on which nothing is said by variables."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

DATE = "20260720.0"
SHIM = "containerd-shim-runsc-v1"
SETTINGS = """
[node]
mode = "managed"
k0s = "1.36"

[gvisor.release]
date = "{date}"
source = "{source}"
"""


def settings(source: Path) -> str:
    """The settings of a node that takes its programs from a folder."""
    return SETTINGS.format(date=DATE, source=source)


def lay_release(folder: Path, date: str, arch: str) -> None:
    """Lay a release of scripts that answer as gVisor's programs do."""
    release = folder / date / arch
    release.mkdir(parents=True)
    for name in ("runsc", SHIM):
        content = f"#!/bin/sh\necho {name} release-{date}\n".encode()
        (release / name).write_bytes(content)
        digest = hashlib.sha512(content).hexdigest()
        (release / f"{name}.sha512").write_text(f"{digest}  {name}\n")


def bare_environment(monkeypatch: pytest.MonkeyPatch, user_cache: Path) -> None:
    """Take all our variables away, and give the user a cache of the test's own."""
    for name in [name for name in os.environ if name.startswith("K0SRUNTIME_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(user_cache))


def without(*providers: str) -> list[str]:
    """The options that leave providers out."""
    return [word for name in providers for word in ("--without", name)]
