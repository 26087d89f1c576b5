"""runsc and its shim: found on the node, or a release that the host installs.

Sources: gVisor ``g3doc/user_guide/install.md`` (files, readable and executable for everybody) and
``runsc/gvisorbinaries`` (what lies in ``gvisor-bin`` beside runsc).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime import Binary, Check, Download, Inactive, Problem, VersionCheck

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
    "2.1",
    "containerd 2.3 hands parameters to shims that it may not read",
)
"""containerd from which on, the k0s that brings it, the release from which on the shim is built
with libraries that know them, and the version of these, which the shim tells (gVisor b798cf611,
containerd ``pkg/shim/util.go`` and ``shim.go``)."""
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
        Binary(name=SHIM, installed=shim, check=_shim_check(node)),
    )
    return Programs(runsc, shim, binaries, tuple(_unfit(node, runsc, shim)))


def _check(node: Node[GVisorSettings]) -> VersionCheck:
    least, why = PARAMETERS[2], PARAMETERS[4]
    return VersionCheck(pattern=r"(\d{8}(?:\.\d+)?)", least=least if _young(node) else "", why=why)


def _shim_check(node: Node[GVisorSettings]) -> VersionCheck:
    """The shim tells the containerd that it is built of, and not gVisor's release."""
    least, why = PARAMETERS[3], PARAMETERS[4]
    pattern = r"Version:\s+v?(\d+\.\d+(?:\.\d+)?)"
    return VersionCheck(
        arguments=["-v"], pattern=pattern, least=least if _young(node) else "", why=why
    )


def _young(node: Node[GVisorSettings]) -> bool:
    containerd, k0s, *_ = PARAMETERS
    return (node.containerd is not None and node.containerd.version >= containerd) or (
        node.mode == "managed" and node.k0s is not None and node.k0s.version >= k0s
    )


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


def doubtful(node: Node[GVisorSettings], found: Programs) -> Iterator[Check]:
    """Tell what may go wrong with programs that were found, and need not."""
    if node.settings.release.date:
        return
    folders = [posixpath.dirname(path) for path in (found.runsc, found.shim)]
    if len(set(folders)) == 2 and not (node.settings.runsc and node.settings.shim):
        yield Check(
            name="runsc and its shim are of one release",
            verdict="warn",
            detail=f"{found.runsc} and {found.shim} lie in different folders",
            remedy="Put both of one release into one folder, or name them: runsc = …, shim = ….",
        )
    for folder in dict.fromkeys(above for beside in folders for above in _way(beside)):
        mode = node.files.mode(folder)
        if mode is not None and not mode & 0o001:
            yield Check(
                name="everybody can reach runsc",
                verdict="warn",
                detail=f"{folder} is closed to others, and runsc gives up its privileges",
                remedy=f"chmod a+x {folder}, or install gVisor elsewhere.",
            )


def _way(folder: str) -> Iterator[str]:
    """Yield a folder and all above it."""
    while folder not in ("/", ""):
        yield folder
        folder = posixpath.dirname(folder)


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
