"""runsc and its shim: found on the node, or a release that the host installs.

Sources: gVisor ``g3doc/user_guide/install.md`` (files, readable and executable for everybody) and
``runsc/gvisorbinaries`` (what lies in ``gvisor-bin`` beside runsc).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime import Binary, Download, Inactive, Problem, VersionCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node
    from k0sruntime_gvisor.settings import GVisorSettings, ReleaseSettings

RUNSC = "runsc"
SHIM = "containerd-shim-runsc-v1"
TARBALL = "gvisor.tar.bz2"
FIRST_TARBALL = "20260727"
"""The first release whose instructions name the archive with ``gvisor-bin``."""
SIDECARS = "gvisor-bin"
ARCHITECTURES = ("x86_64", "aarch64")
OTHER_FOLDERS = ("/usr/local/bin", "/opt/gvisor/bin", "/opt/gvisor", "/opt/bin")
"""Where instructions put the programs, which may not be on containerd's PATH."""
FOR_ALL = 0o555
PARAMETERS = (
    (2, 3),
    (1, 36),
    "20260520.0",
    "containerd 2.3 hands parameters to shims that it may not read",
)
"""containerd from which on, the k0s that brings it, and the release from which on the shim is built
with libraries that know them (gVisor b798cf611, containerd ``pkg/shim/util.go``)."""
INSTALL = "name a release in [gvisor.release] date, or see gvisor.dev/docs/user_guide/install"


@dataclass(frozen=True)
class Programs:
    """Where runsc and the shim are or will be, and what the host needs to know of them."""

    runsc: str
    shim: str
    binaries: tuple[Binary, ...]
    problems: tuple[Problem, ...] = ()


def programs(node: Node[GVisorSettings]) -> Programs:
    """Return the programs that the handlers use.

    Raises:
        Inactive: they are neither named nor found.
    """
    settings = node.settings
    if settings.release.date:
        return _released(node, settings.release)
    runsc = settings.runsc or _find(node, RUNSC)
    shim = settings.shim or _find(node, SHIM)
    binaries = (
        Binary(name=RUNSC, installed=runsc, check=_check(node)),
        Binary(name=SHIM, installed=shim),
    )
    return Programs(runsc, shim, binaries, tuple(_unfit(node, runsc, shim)))


def _check(node: Node[GVisorSettings]) -> VersionCheck:
    containerd, k0s, least, why = PARAMETERS
    young = (node.containerd is not None and node.containerd.version >= containerd) or (
        node.mode == "managed" and node.k0s is not None and node.k0s.version >= k0s
    )
    return VersionCheck(pattern=r"(\d{8}(?:\.\d+)?)", least=least if young else "", why=why)


def _released(node: Node[GVisorSettings], release: ReleaseSettings) -> Programs:
    binary = Binary(
        name="gvisor",
        version=release.date,
        programs=(RUNSC, SHIM),
        downloads={arch: _downloads(release, arch) for arch in ARCHITECTURES},
        check=_check(node),
    )
    runsc, shim = (node.binary_file(binary, name) for name in (RUNSC, SHIM))
    return Programs(runsc, shim, (binary,))


def _downloads(release: ReleaseSettings, arch: str) -> tuple[Download, ...]:
    layout = release.layout
    if layout == "auto":
        layout = "tarball" if release.date >= FIRST_TARBALL else "files"
    names = (TARBALL,) if layout == "tarball" else (RUNSC, SHIM)
    return tuple(_download(release, arch, name) for name in names)


def _download(release: ReleaseSettings, arch: str, name: str) -> Download:
    url = f"{release.source.rstrip('/')}/{release.date}/{arch}/{name}"
    pinned = release.sha512.get(f"{arch}/{name}", "")
    return Download(
        url=url,
        sha512=pinned,
        sha512_url="" if pinned else f"{url}.sha512",
        unpack=name == TARBALL,
    )


def _find(node: Node[GVisorSettings], name: str) -> str:
    folders = dict.fromkeys((*node.search_path, *OTHER_FOLDERS))
    paths = [path for folder in folders if node.files.exists(path := f"{folder}/{name}")]
    for path in paths:
        if node.files.is_executable(path):
            return path
    if paths:
        return paths[0]  # told as unfit
    where = f"on PATH, in {node.paths.bin} or in {', '.join(OTHER_FOLDERS)}"
    raise Inactive(f"no {name} {where}; {INSTALL}")


def _unfit(node: Node[GVisorSettings], runsc: str, shim: str) -> Iterator[Problem]:
    """Find programs that are not there, or that not everybody may read and execute."""
    beside = f"{posixpath.dirname(runsc)}/{SIDECARS}"
    sidecars = [f"{beside}/{name}" for name in node.files.names(beside)]
    for path in (runsc, shim, *([beside] if sidecars else []), *sidecars):
        mode = node.files.mode(path)
        if mode is None:
            yield Problem(f"{path} is not there", remedy="Correct the path, or install it.")
        elif mode & FOR_ALL != FOR_ALL:
            yield Problem(
                f"{path} is not readable and executable for everybody; runsc runs itself again"
                " without privileges",
                remedy=f"chmod a+rx {path}",
            )
