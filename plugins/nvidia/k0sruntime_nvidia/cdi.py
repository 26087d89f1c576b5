"""CDI specs: is there one for NVIDIA's GPUs, and does it fit the driver and the devices?

A spec names files of one driver version. After an upgrade it names files that are gone, and every
container that asks for a device fails. One that is cut off, or names no device, is no spec to
containerd. Source: the CDI specification (v0.8), and what ``nvidia-ctk cdi generate`` writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from k0sruntime import Check
from k0sruntime_nvidia import toolkit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node
    from k0sruntime_nvidia.detect import Detected
    from k0sruntime_nvidia.settings import NvidiaSettings

KIND = re.compile(r"[\w.-]*nvidia\.com/[\w.-]+")
"""``nvidia.com/gpu``, and the operator's own: ``management.nvidia.com/gpu``, ``k8s.device-…``."""
HINT = re.compile(r"""^[^#\n]*\bkind["']?\s*:\s*["']?[\w.-]*nvidia\.com/""", re.MULTILINE)
"""What a file of NVIDIA's says even where it is cut off; not in a comment."""
LIBRARY = re.compile(r"\blib(?:cuda|nvidia-ml)\.so\.(\d{3,}\.\d+(?:\.\d+)?)")
"""The driver's libraries carry its version in their names."""
DEVICE = re.compile(r"/dev/nvidia\d+\b")
UNNAMED = "of NVIDIA's"
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
        beside: those that other specs of its kind name.
        broken: why containerd does not take it; empty where it does.
    """

    path: str
    kind: str
    drivers: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    broken: str = ""

    def stale(self, found: Detected) -> str:
        """Return why it does not fit the node, as a clause; empty where it does."""
        if self.broken:
            return f"it is no CDI spec: {self.broken}"
        if found.driver_version and self.drivers and found.driver_version not in self.drivers:
            named = ", ".join(sorted(self.drivers))
            return f"it is made for the driver {named}, and {found.driver_version} is loaded"
        there = {f"/dev/{node.rpartition('/')[2]}" for node in found.device_nodes} - {
            "/dev/nvidiactl"
        }
        if there and (gone := sorted(self.devices - there)):
            return f"it names {', '.join(gone)}, which is not there"
        if self.devices and (new := sorted(there - self.devices - self.beside)):
            return f"it does not name {', '.join(new)}"
        return ""


def specs(node: Node[NvidiaSettings]) -> tuple[Spec, ...]:
    """Return NVIDIA's specs, folder by folder; devices may be told in several files of a kind."""
    found = [
        spec
        for folder in node.settings.cdi_spec_dirs
        for name in node.files.names(folder)
        if name.endswith((".yaml", ".json")) and (spec := _read(node, f"{folder}/{name}"))
    ]
    named: dict[str, frozenset[str]] = {}
    for spec in found:
        named[spec.kind] = named.get(spec.kind, frozenset()) | spec.devices
    return tuple(replace(spec, beside=named[spec.kind] - spec.devices) for spec in found)


def _read(node: Node[NvidiaSettings], path: str) -> Spec | None:
    """Return a spec of NVIDIA's, whole or not; ``None`` for one of another vendor's."""
    text = (node.files.read(path) or b"").decode(errors="replace")
    if not HINT.search(text):
        return None
    kind, broken = _judged(text)
    if kind and not KIND.fullmatch(kind):
        return None
    drivers, devices = frozenset(LIBRARY.findall(text)), frozenset(DEVICE.findall(text))
    return Spec(path, kind, drivers, devices, broken=broken)


def _judged(text: str) -> tuple[str, str]:
    """Return a spec's kind, and why containerd would not take it."""
    import yaml  # JSON is YAML

    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as exc:
        return "", f"it cannot be read ({' '.join(str(exc).split())[:80]})"
    if not isinstance(document, dict):
        return "", "it is no table"
    kind, devices = str(document.get("kind", "")), document.get("devices")
    if "cdiVersion" not in document:
        return kind, "it has no cdiVersion"
    listed = devices if isinstance(devices, list) else []
    named = [device for device in listed if isinstance(device, dict) and device.get("name")]
    return kind, "" if listed and named == listed else "it names no device"


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
            detail=f"{spec.path} ({spec.kind or UNNAMED})" + (f": {why}" if why else ""),
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
