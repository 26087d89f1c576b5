"""What is looked at on the running node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import Check, CRIError, socket_fault

if TYPE_CHECKING:
    from k0sruntime import RunningCRI

SOCKET = "stargz socket"
START = "Start it (systemctl enable --now stargz-snapshotter), and look at its log."


def listens(path: str) -> Check:
    """Tell whether the snapshotter listens."""
    if fault := socket_fault(path):
        return Check(name=SOCKET, verdict="fail", detail=f"{path}: {fault.message}", remedy=START)
    return Check(name=SOCKET, verdict="pass", detail=f"{path} listens")


def unpacks(cri: RunningCRI, root: str) -> Check:
    """Tell whether it is the snapshotter of all pods: images lie in its folder."""
    name = "stargz is the default snapshotter"
    try:
        folders = [folder.rstrip("/") for folder in cri.image_folders()]
    except CRIError as exc:
        return Check(name=name, verdict="fail", detail=f"{exc.code}: {exc}", remedy=START)
    if folders[:1] == [root.rstrip("/")]:
        return Check(name=name, verdict="pass", detail=f"images are unpacked into {root}")
    detail = f"images are unpacked into {', '.join(folders) or 'no folder'}, not into {root}"
    return Check(name=name, verdict="fail", detail=detail)


def serves(cri: RunningCRI, handler: str, root: str, image: str) -> Check:
    """Tell whether the root of a container under a handler lies in its folder."""
    name = f"a container under {handler} has its root from stargz"
    if not image:
        detail = "no image to run; name one in [node] probe_image"
        return Check(name=name, verdict="unknown", detail=detail)
    try:
        mounts = cri.run_in_sandbox(handler, image, ["cat", "/proc/mounts"])
    except CRIError as exc:
        return Check(name=name, verdict="fail", detail=f"{exc.code}: {exc}")
    lines = [line.split() for line in mounts.splitlines()]
    options = next((words[3] for words in lines if words[1:2] == ["/"]), "")
    if "lowerdir=" not in options:
        detail = "its kernel does not tell where the root lies"
        return Check(name=name, verdict="unknown", detail=detail)
    here = f"{root.rstrip('/')}/" in options
    return Check(name=name, verdict="pass" if here else "fail", detail=options[:200])
