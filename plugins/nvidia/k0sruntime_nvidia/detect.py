"""What of NVIDIA's is on the node, told by the kernel and the file system, without NVML.

Sources: NVIDIA go-nvlib ``pkg/nvpci`` (vendor and classes), the kernel's sysfs, and the GPU
operator, whose driver container has its root at ``/run/nvidia/driver``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime import Inactive

if TYPE_CHECKING:
    from k0sruntime import GPU, Node
    from k0sruntime_nvidia.settings import NvidiaSettings

VENDOR = 0x10DE
CLASSES = (0x0300, 0x0302)
"""VGA and 3D controllers; NVIDIA's audio and USB functions have other classes."""
DRIVER = "nvidia"
MODULE = "/sys/module/nvidia"
NVRM = "/proc/driver/nvidia/version"
DEVICE = re.compile(r"nvidia(ctl|\d+)")
"""The control device and one device a GPU; a node may show any of its GPUs, not the first alone."""
WSL = "/dev/dxg"
"""The GPU of a Windows host, which is on no PCI bus of ours (WSL 2)."""
OPERATORS_ROOT = "/run/nvidia/driver"
"""Where the GPU operator's driver container shows its root to the node."""


@dataclass(frozen=True)
class Detected:
    """What was found.

    Attributes:
        gpus: NVIDIA's GPUs on the PCI bus.
        wsl: the GPU of a Windows host is there.
        loaded: the kernel module is loaded.
        driver_version: the module's version, such as ``580.95.05``; empty where nobody says.
        device_nodes: paths of the control device and of the GPUs' devices.
        driver_root: where the driver's files lie, ``/`` for the node's own.
    """

    gpus: tuple[GPU, ...] = ()
    wsl: bool = False
    loaded: bool = False
    driver_version: str = ""
    device_nodes: tuple[str, ...] = ()
    driver_root: str = "/"

    @property
    def operator_managed(self) -> bool:
        """The driver does not lie in the node's own root: the operator's container brought it."""
        return self.driver_root != "/"

    @property
    def bound(self) -> tuple[GPU, ...]:
        """The GPUs that the driver has; one for a virtual machine has another (vfio-pci)."""
        return tuple(gpu for gpu in self.gpus if gpu.driver == DRIVER)


def detect(node: Node[NvidiaSettings]) -> Detected:
    """Look at the node; never raises."""
    gpus = tuple(gpu for gpu in node.gpus if gpu.vendor == VENDOR and gpu.device_class in CLASSES)
    version = _text(node, f"{MODULE}/version") or _nvrm_version(node)
    root = node.settings.driver_root or _driver_root(node)
    return Detected(
        gpus,
        wsl=node.files.exists(WSL),
        loaded=bool(version) or any(node.files.exists(path) for path in (MODULE, NVRM)),
        driver_version=version,
        device_nodes=_device_nodes(node, root),
        driver_root=root,
    )


def refuse_without_gpu(node: Node[NvidiaSettings], found: Detected) -> None:
    """Rest where there is nothing to do.

    Raises:
        Inactive: no GPU, or none that the driver has; the operator's word counts more.
    """
    if node.settings.gpu == "no":
        raise Inactive('[nvidia] gpu = "no"')
    if node.settings.gpu == "yes" or found.wsl or found.bound:
        return
    if not found.gpus and found.loaded:
        raise Inactive(
            "the NVIDIA driver is loaded, and no GPU of NVIDIA's is on the PCI bus: where it is"
            ' integrated, set [nvidia] gpu = "yes"'
        )
    if not found.gpus:
        raise Inactive("no NVIDIA GPU on the PCI bus")
    first = found.gpus[0]
    bound = first.driver or "no driver"
    raise Inactive(
        f"the GPU at {first.address} is bound to {bound}, not to nvidia: install the NVIDIA"
        ' driver, or set [nvidia] gpu = "yes" where it comes later'
    )


def _text(node: Node[NvidiaSettings], path: str) -> str:
    return (node.files.read(path) or b"").decode(errors="replace").strip()


def _nvrm_version(node: Node[NvidiaSettings]) -> str:
    """Return the version in the line ``NVRM version: NVIDIA UNIX … Kernel Module  580.95.05 …``."""
    first = _text(node, NVRM).partition("\n")[0]
    match = re.search(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b", first)
    return match[1] if match else ""


def _driver_root(node: Node[NvidiaSettings]) -> str:
    """The folder is there on every node of the operator; the driver's own files tell."""
    folders = ("usr/bin", "usr/lib", "usr/lib64")
    used = any(node.files.names(f"{OPERATORS_ROOT}/{folder}") for folder in folders)
    return OPERATORS_ROOT if used else "/"


def _device_nodes(node: Node[NvidiaSettings], root: str) -> tuple[str, ...]:
    folders = dict.fromkeys(("/dev", f"{root.rstrip('/')}/dev"))
    for folder in folders:
        found = [name for name in node.files.names(folder) if DEVICE.fullmatch(name)]
        if found:
            return tuple(f"{folder}/{name}" for name in found)
    return ()
