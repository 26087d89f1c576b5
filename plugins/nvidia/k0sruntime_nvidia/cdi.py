"""CDI specs: is there one for NVIDIA's GPUs, and does it fit the driver and the devices?

A spec names files of one driver version. After an upgrade it names files that are gone, and every
container that asks for a device fails. Read as text: a spec is YAML or JSON, and what counts are a
few words of it. Source: the CDI specification (v0.8), and what ``nvidia-ctk cdi generate`` writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime import Check
from k0sruntime_nvidia import toolkit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node
    from k0sruntime_nvidia.detect import Detected
    from k0sruntime_nvidia.settings import NvidiaSettings

KIND = re.compile(r"""\bkind["']?\s*:\s*["']?([\w.-]*nvidia\.com/[\w.-]+)""")
"""``nvidia.com/gpu``, and the operator's own: ``management.nvidia.com/gpu``, ``k8s.device-…``."""
LIBRARY = re.compile(r"\blib(?:cuda|nvidia-ml)\.so\.(\d{3,}\.\d+(?:\.\d+)?)")
"""The driver's libraries carry its version in their names."""
DEVICE = re.compile(r"/dev/nvidia\d+\b")
OUTPUT = "/var/run/cdi/nvidia.yaml"
"""Where NVIDIA's own service refreshes it (nvidia-cdi-refresh.service)."""


@dataclass(frozen=True)
class Spec:
    """A CDI spec of NVIDIA's devices.

    Attributes:
        path: the file.
        kind: such as ``nvidia.com/gpu``.
        drivers: driver versions that it names files of.
        devices: the GPUs' devices that it names.
    """

    path: str
    kind: str
    drivers: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()

    def stale(self, found: Detected) -> str:
        """Return why it does not fit the node, as a clause; empty where it does."""
        if found.driver_version and self.drivers and found.driver_version not in self.drivers:
            named = ", ".join(sorted(self.drivers))
            return f"it is made for the driver {named}, and {found.driver_version} is loaded"
        there = {f"/dev/{node.rpartition('/')[2]}" for node in found.device_nodes} - {
            "/dev/nvidiactl"
        }
        if there and (gone := sorted(self.devices - there)):
            return f"it names {', '.join(gone)}, which is not there"
        if self.devices and (new := sorted(there - self.devices)):
            return f"it does not name {', '.join(new)}"
        return ""


def specs(node: Node[NvidiaSettings]) -> tuple[Spec, ...]:
    """Return NVIDIA's specs, folder by folder."""
    found = []
    for folder in node.settings.cdi_spec_dirs:
        for name in node.files.names(folder):
            if not name.endswith((".yaml", ".json")):
                continue
            text = (node.files.read(f"{folder}/{name}") or b"").decode(errors="replace")
            if match := KIND.search(text):
                drivers = frozenset(LIBRARY.findall(text))
                devices = frozenset(DEVICE.findall(text))
                found.append(Spec(f"{folder}/{name}", match[1], drivers, devices))
    return tuple(found)


def checks(node: Node[NvidiaSettings], found: Detected) -> Iterator[Check]:
    """See that there is a spec, and that every one of them fits."""
    name = "CDI spec"
    known = specs(node)
    if not known:
        yield Check(
            name=name,
            verdict="warn",
            detail=f"no spec of NVIDIA's in {', '.join(node.settings.cdi_spec_dirs)}",
            remedy=f"The device plugin may make one when it starts; or run {command(node, found)}",
        )
    for spec in known:
        why = spec.stale(found)
        yield Check(
            name=name,
            verdict="warn" if why else "pass",
            detail=f"{spec.path} ({spec.kind})" + (f": {why}" if why else ""),
            remedy=f"Run {command(node, found, spec.path)}" if why else "",
        )


def command(node: Node[NvidiaSettings], found: Detected, output: str = "") -> str:
    """Return the command line that makes a spec on this node."""
    program = toolkit.find(node, toolkit.CTK) or toolkit.CTK
    if not output:
        folders = node.settings.cdi_spec_dirs
        output = OUTPUT if OUTPUT.rpartition("/")[0] in folders else f"{folders[-1]}/nvidia.yaml"
    root = f" --driver-root={found.driver_root}" if found.operator_managed else ""
    return f"{program} cdi generate{root} --output={output}"
