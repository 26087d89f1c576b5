"""crun, which needs a newer C library than Debian 12 has.

The program is pointed at the loader and the libraries of its own suite, unpacked beside it. It
also refuses hybrid cgroups, so there it runs in a mount namespace that lacks the unified one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.debian import LabError, run

if TYPE_CHECKING:
    from lab.folder import Lab

SUITE = "trixie"
LIBRARIES = (
    "libc6", "libcap2", "libseccomp2", "libsystemd0", "libyajl2", "libgcrypt20",
    "libgpg-error0", "liblzma5", "libzstd1", "liblz4-1",
)  # fmt: skip
HYBRID = Path("/sys/fs/cgroup/unified")


def get(lab: Lab) -> str:
    """Bring crun into ``bin`` and return its version.

    Raises:
        LabError: it does not run, whatever was tried.
    """
    folder, version = lab.unpack(SUITE, "crun")
    lab.apt(SUITE).unpack_all(LIBRARIES, folder)
    program = folder / "usr/bin/crun"
    loaders = [p for p in folder.rglob("ld-linux-*.so.*") if p.is_file() and not p.is_symlink()]
    if not loaders:
        raise LabError(f"crun cannot be had: libc6 of {SUITE} has no loader")
    patchelf, _ = lab.unpack("bookworm", "patchelf")
    libraries = sorted({str(path.parent) for path in folder.rglob("*.so*")})
    run(
        [
            str(patchelf / "usr/bin/patchelf"),
            "--set-interpreter",
            str(loaders[0]),
            "--force-rpath",
            "--set-rpath",
            ":".join(libraries),
            str(program),
        ],
        "pointing crun at its libraries",
    )
    hybrid = HYBRID.exists()
    shown = lab.script("crun", _without_hybrid(program)) if hybrid else lab.link(program)
    run([str(shown), "--version"], "crun")
    return version


def _without_hybrid(program: Path) -> str:
    inner = f'umount {HYBRID} 2>/dev/null; exec {program} "$@"'
    return f"#!/bin/sh\nexec unshare -m sh -c '{inner}' crun \"$@\"\n"
