"""What the parts are, where each comes from, and how each shows that it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import browser, crun, probe_image, shells, stargz
from lab.debian import LabError, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.folder import Lab

K0S_CONTAINERD = Path("/var/lib/k0s/bin/containerd")


@dataclass(frozen=True)
class Got:
    """A part that is there: the path that proves it, its version, and where it came from."""

    path: str
    version: str
    source: str


def answer(program: Path | str, *arguments: str) -> str:
    """Return the first line that a program answers; a part that does not run is no part.

    Raises:
        LabError: it does not run.
    """
    return run([str(program), *(arguments or ("--version",))], str(program)).partition("\n")[0]


def program_in(folder: Path, name: str) -> Path:
    """Return the program of a name in an unpacked package, wherever the package puts it.

    Raises:
        LabError: there is none, or only a script of that name.
    """
    for path in sorted(folder.rglob(name)):
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            return path
    raise LabError(f"the package unpacked in {folder} has no program {name}")


def _runs(program: str) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.split()[2] if done.returncode == 0 and len(done.stdout.split()) > 2 else ""


def containerd(lab: Lab) -> Got:
    """containerd 2: the one named, k0s's own, one on PATH of version 2 or newer, or Debian's."""
    named = os.environ.get("K0SRUNTIME_CONTAINERD", "")
    if named and not _runs(named):
        raise LabError(f"K0SRUNTIME_CONTAINERD names {named}, which does not run")
    own = str(lab.bin)
    on_path = shutil.which("containerd", path=_path_without(own)) or ""
    for program, source in ((named, "env"), (str(K0S_CONTAINERD), "k0s"), (on_path, "path")):
        version = _runs(program) if program else ""
        if version and (source != "path" or version.lstrip("v").split(".")[0] >= "2"):
            for name in ("containerd", "containerd-shim-runc-v2", "ctr"):
                beside = Path(program).resolve().parent / name
                found = beside if beside.exists() else Path(shutil.which(name) or "")
                if found.is_file():
                    lab.link(found, name=name)
            return Got(program, version, source)
    folder, version = lab.unpack("forky", "containerd", "2.")
    for program in ("containerd", "containerd-shim-runc-v2", "ctr"):
        lab.link(folder / "usr/bin" / program)
    answer(lab.bin / "containerd")
    return Got(str(lab.bin / "containerd"), version, "debian forky")


def _path_without(folder: str) -> str:
    return os.pathsep.join(p for p in os.environ.get("PATH", "").split(os.pathsep) if p != folder)


def _older(suite: str, series: str) -> Callable[[Lab], Got]:
    def get(lab: Lab) -> Got:
        folder, version = lab.unpack(suite, "containerd", series)
        target = lab.folder / f"containerd-{series.rstrip('.')}" / "bin"
        for program in ("containerd", "containerd-shim-runc-v2", "ctr"):
            lab.link(folder / "usr/bin" / program, target)
        answer(target / "containerd")
        return Got(str(target / "containerd"), version, f"debian {suite}")

    get.__doc__ = f"containerd {series}* of Debian {suite}."
    return get


def runc(lab: Lab) -> Got:
    """runc of Debian bookworm, which runs without any other package."""
    folder, version = lab.unpack("bookworm", "runc")
    program = program_in(folder, "runc")
    answer(lab.link(program))
    return Got(str(lab.bin / "runc"), version, "debian bookworm")


def crun_(lab: Lab) -> Got:
    """crun of Debian trixie, with the loader and the libraries that it needs."""
    version = crun.get(lab)
    return Got(str(lab.bin / "crun"), version, "debian trixie")


def image(lab: Lab) -> Got:
    """The probe image, made of Debian's static busybox."""
    folder, version = lab.unpack("bookworm", "busybox-static")
    busybox = program_in(folder, "busybox")
    answer(busybox, "--help")
    target = lab.folder / "images" / "probe.tar"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(probe_image.build(busybox.read_bytes()))
    return Got(str(target), version, "debian bookworm")


def runsc(lab: Lab) -> Got:
    """gVisor's runsc, and a wrapper that runs without a network of its own.

    On a machine without the right to make network namespaces for it, ``--network=none`` is the
    way in; with the runc shim, ``BinaryName`` can name such a wrapper.
    """
    folder, version = lab.unpack("forky", "runsc")
    program = program_in(folder, "runsc")
    answer(lab.link(program))
    lab.script("runsc-in-lab", f'#!/bin/sh\nexec {program.resolve()} --network=none "$@"\n')
    return Got(str(lab.bin / "runsc"), version, "debian forky")


def registry(lab: Lab) -> Got:
    """Docker's registry, for mirrors on loopback."""
    folder, version = lab.unpack("bookworm", "docker-registry")
    answer(lab.link(folder / "usr/bin/docker-registry"))
    return Got(str(lab.bin / "docker-registry"), version, "debian bookworm")


def dockerd(lab: Lab) -> Got:
    """Docker's daemon, which runs with a containerd and a runc of the lab's.

    cri-dockerd is no package of Debian's: the tests have a stand-in for it.
    """
    folder, version = lab.unpack("forky", "docker.io")
    answer(lab.link(program_in(folder, "dockerd")))
    for name in ("docker-proxy", "docker-init"):
        for program in sorted(folder.rglob(name))[:1]:
            lab.link(program)
    return Got(str(lab.bin / "dockerd"), version, "debian forky")


def sshd(lab: Lab) -> Got:
    """OpenSSH's server with the two libraries that a machine without it lacks.

    It is started in the tests' own network namespaces alone.
    """
    folder, version = lab.unpack("bookworm", "openssh-server")
    lab.apt("bookworm").unpack_all(("libwrap0", "libnsl2"), folder)
    program = program_in(folder, "sshd")
    libraries = ":".join(sorted({str(path.parent) for path in folder.rglob("*.so*")}))
    started = lab.script(
        "sshd", f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {program.resolve()} "$@"\n'
    )
    answer("/bin/sh", "-c", f"{started} -V 2>&1 | grep OpenSSH")  # -V ends with 1 before 9.3
    return Got(str(started), version, "debian bookworm")


def zsh(lab: Lab) -> Got:
    """zsh of Debian bookworm, with its completion functions."""
    return Got(str(lab.bin / "zsh"), shells.zsh(lab), "debian bookworm")


def fish(lab: Lab) -> Got:
    """fish of Debian bookworm."""
    return Got(str(lab.bin / "fish"), shells.fish(lab), "debian bookworm")


def mandoc(lab: Lab) -> Got:
    """mandoc of Debian bookworm."""
    return Got(str(lab.bin / "mandoc"), shells.mandoc(lab), "debian bookworm")


def stargz_(lab: Lab) -> Got:
    """The stargz snapshotter, built of Debian's library, and ctr-remote, which makes its images."""
    folder, _ = lab.unpack("forky", "stargz-snapshotter")
    answer(lab.link(program_in(folder, "ctr-remote")))
    program, version = stargz.get(lab)
    answer(lab.link(program), "-version")
    return Got(str(lab.bin / "containerd-stargz-grpc"), version, "debian forky, built")


def browser_(lab: Lab) -> Got:
    """A headless Chromium, in which the tests look at the page of ``k0sruntime report``."""
    version = browser.get(lab)
    return Got(str(lab.bin / browser.PROGRAM), version, f"debian {browser.SUITE}")


def promtool(lab: Lab) -> Got:
    """Prometheus' own checker of metrics."""
    folder, version = lab.unpack("bookworm", "prometheus")
    answer(lab.link(program_in(folder, "promtool")))
    return Got(str(lab.bin / "promtool"), version, "debian bookworm")


PARTS: dict[str, Callable[[Lab], Got]] = {
    "containerd": containerd,
    "runc": runc,
    "crun": crun_,
    "probe-image": image,
    "containerd-1.7": _older("trixie", "1.7"),
    "containerd-1.6": _older("bookworm", "1.6"),
    "runsc": runsc,
    "registry": registry,
    "dockerd": dockerd,
    "sshd": sshd,
    "zsh": zsh,
    "fish": fish,
    "mandoc": mandoc,
    "stargz": stargz_,
    "browser": browser_,
    "promtool": promtool,
}
"""Every part by name."""

FIRST_NODE = ("containerd", "runc", "crun", "probe-image")
"""What ``make up`` needs."""
