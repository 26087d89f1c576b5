"""The provider: a GPU on the PCI bus, its driver, and the toolkit's runtime."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from k0sruntime import Check, DropIn, Inactive, Provider, RuntimeHandler, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node, RunningCRI

VENDOR = 0x10DE
CLASSES = (0x0300, 0x0302)
"""VGA and 3D controllers; NVIDIA's audio and USB functions have other classes."""
RUNTIME = "nvidia-container-runtime"
TOOLKIT_FOLDERS = ("/usr/local/nvidia/toolkit", "/usr/bin")
"""Where the GPU operator and the packages put it, in the order in which they count."""
VERSION_FILE = "/proc/driver/nvidia/version"
DEVICE = re.compile(r"nvidia(ctl|\d+)")
"""The control device and one device a GPU; a node may show any of its GPUs, not the first alone."""


class NvidiaSettings(Settings, frozen=True):
    """``[nvidia]``."""

    gpu: Literal["auto", "yes", "no"] = "auto"
    """Whether this node has a GPU; ``auto`` looks at the PCI bus."""
    handler: str = "nvidia"
    runtime_class: str = "nvidia"
    runtime: str = ""
    """Path of nvidia-container-runtime; empty: the toolkit's folders, then PATH."""
    cdi: bool = True
    """Let containerd resolve CDI devices; on by default in containerd 2, off in 1.7."""
    default: bool = False
    """Make it the node's default handler; every pod then runs under it."""

    def __post_init__(self) -> None:
        """Refuse a path that is not absolute: it would be looked for where containerd stands."""
        if self.runtime and not self.runtime.startswith("/"):
            raise ValueError(f"runtime = {self.runtime!r} must be an absolute path on the node")


class Nvidia(Provider[NvidiaSettings]):
    """The NVIDIA container runtime as a runtime handler."""

    settings = NvidiaSettings
    summary = "NVIDIA GPUs in containers (handler nvidia)"

    def contribute_dropin(self, node: Node[NvidiaSettings]) -> Iterator[RuntimeHandler | DropIn]:
        """Contribute the handler where there is a GPU with a driver and the toolkit."""
        _refuse_without_gpu(node)
        runtime = _runtime(node)
        yield RuntimeHandler(
            name=node.settings.handler,
            options={"BinaryName": runtime},
            runtime_class=node.settings.runtime_class,
            programs=[runtime],
        )
        if node.settings.cdi and node.containerd and node.containerd.version.major == 1:
            yield DropIn(
                runtime={"enable_cdi": True}, reason="containerd 1.7 resolves no CDI device without"
            )
        if node.settings.default:
            yield DropIn(
                runtime={"containerd": {"default_runtime_name": node.settings.handler}},
                reason="[nvidia] default = true",
            )

    def post_start_check(self, node: Node[NvidiaSettings], cri: RunningCRI) -> Iterator[Check]:
        """See that the driver is loaded and its device nodes are there."""
        del cri
        said = (node.files.read(VERSION_FILE) or b"").decode(errors="replace").partition("\n")[0]
        yield Check(
            name="NVIDIA driver",
            verdict="pass" if said else "fail",
            detail=said or f"{VERSION_FILE} is missing: the kernel module is not loaded",
            remedy="" if said else "Load the driver: modprobe nvidia",
        )
        nodes = [f"/dev/{name}" for name in node.files.names("/dev") if DEVICE.fullmatch(name)]
        yield Check(
            name="NVIDIA device nodes",
            verdict="pass" if nodes else "warn",
            detail=", ".join(nodes) or "none yet; the runtime makes them when the first pod starts",
        )


def _refuse_without_gpu(node: Node[NvidiaSettings]) -> None:
    if node.settings.gpu == "no":
        raise Inactive('[nvidia] gpu = "no"')
    if node.settings.gpu == "yes":
        return
    gpus = [g for g in node.gpus if g.vendor == VENDOR and g.device_class in CLASSES]
    if not gpus:
        raise Inactive("no NVIDIA GPU on the PCI bus")
    if not any(gpu.driver == "nvidia" for gpu in gpus):
        bound = gpus[0].driver or "no driver"
        raise Inactive(
            f"the GPU at {gpus[0].address} is bound to {bound}, not to nvidia: install the NVIDIA"
            ' driver, or set [nvidia] gpu = "yes" where it comes later'
        )


def _runtime(node: Node[NvidiaSettings]) -> str:
    if node.settings.runtime:
        return node.settings.runtime
    for folder in TOOLKIT_FOLDERS:
        if node.files.is_executable(f"{folder}/{RUNTIME}"):
            return f"{folder}/{RUNTIME}"
    found = node.which(RUNTIME)
    if found is None:
        where = f"in {', '.join(TOOLKIT_FOLDERS)} or on PATH"
        raise Inactive(f"no {RUNTIME} {where}: install the NVIDIA container toolkit")
    return found


provider = Nvidia()
