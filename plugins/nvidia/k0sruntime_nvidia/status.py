"""What ``k0sruntime-nvidia status`` tells: everything of NVIDIA's on this node, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import Inactive, Refused
from k0sruntime_nvidia import cdi, detect, toolkit, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime import Node
    from k0sruntime_nvidia.cdi import Spec
    from k0sruntime_nvidia.detect import Detected
    from k0sruntime_nvidia.nvml import Told
    from k0sruntime_nvidia.settings import NvidiaSettings
    from k0sruntime_nvidia.written import Written


@dataclass(frozen=True)
class Seen:
    """Everything that is told."""

    node: Node[NvidiaSettings]
    found: Detected
    told: Told | None
    runtimes: Mapping[str, str]
    specs: tuple[Spec, ...]
    written: tuple[Written, ...]

    @property
    def driver_version(self) -> str:
        """The module's version; the library's where the kernel tells none (WSL)."""
        return self.found.driver_version or (self.told.driver if self.told else "")

    def name(self, address: str) -> str:
        """Return a GPU's name, where the library knows it."""
        return self.told.name(address) if self.told else ""


def look(node: Node[NvidiaSettings], told: Told | None) -> Seen:
    """Gather what there is to tell; never raises."""
    try:
        runtimes = toolkit.runtimes(node)
    except (Inactive, Refused):
        runtimes = {}
    found = detect.detect(node)
    return Seen(node, found, told, runtimes, cdi.specs(node), written.all_written(node))


def document(seen: Seen) -> dict[str, Any]:
    """Return it as plain data."""
    found = seen.found
    return {
        "kind": "NvidiaStatus",
        "schema": 1,
        "mode": seen.node.settings.mode,
        "gpus": [
            {"address": gpu.address, "driver": gpu.driver, "name": seen.name(gpu.address)}
            for gpu in found.gpus
        ],
        "driver": {
            "loaded": found.loaded,
            "version": seen.driver_version,
            "root": found.driver_root,
            "devices": list(found.device_nodes),
        },
        "nvml": None if seen.told is None else {"problem": seen.told.problem},
        "runtimes": dict(seen.runtimes),
        "cdi": {
            "specs": [
                {"path": s.path, "kind": s.kind, "stale": s.stale(found)} for s in seen.specs
            ],
            "generate": cdi.command(seen.node, found),
        },
        "toolkit_files": [
            {"path": w.file.path, "traits": w.traits(), "handlers": list(w.handlers)}
            for w in seen.written
        ],
    }


def lines(seen: Seen) -> Iterator[str]:
    """Yield it for people."""
    found = seen.found
    for gpu in found.gpus:
        named = seen.name(gpu.address)
        yield f"GPU       {gpu.address}  {named + ', ' if named else ''}{gpu.driver or 'no driver'}"
    if not found.gpus:
        yield f"GPU       {'the Windows host has it' if found.wsl else 'none on the PCI bus'}"
    version = f"{seen.driver_version or 'of unknown version'}, its files in {found.driver_root}"
    yield f"driver    {version if found.loaded or found.wsl else 'not loaded'}"
    yield f"devices   {', '.join(found.device_nodes) or 'none'}"
    if seen.told is not None and seen.told.problem:
        yield f"NVML      says nothing: {seen.told.problem}"
    yield f"mode      {seen.node.settings.mode}"
    yield f"toolkit   {', '.join(seen.runtimes.values()) or 'none'}"
    for spec in seen.specs:
        yield f"CDI spec  {spec.path} ({spec.kind}): {spec.stale(found) or 'fits'}"
    if not seen.specs or any(spec.stale(found) for spec in seen.specs):
        yield f"CDI spec  make one: {cdi.command(seen.node, found)}"
    for file in seen.written:
        yield f"drop-in   {file}: NVIDIA's toolkit wrote it"
        yield f"          ours instead: k0sruntime quarantine {file.file.path}"
        yield f"          put it right: k0sruntime quarantine --repair {file.file.path}"
