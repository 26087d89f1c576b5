"""NVIDIA's own library, where it is installed: names of the GPUs and the driver's version.

Nothing depends on it: ``nvidia-ml-py`` is no dependency, and what decides comes from the kernel.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """What the library says.

    Attributes:
        driver: the driver's version.
        names: the GPUs' names by PCI address, spelled as the kernel does.
        problem: why it says nothing, as a clause.
    """

    driver: str = ""
    names: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    def name(self, address: str) -> str:
        """Return the name of the GPU at an address; empty where it is not known."""
        return dict(self.names).get(address.lower(), "")


def ask() -> Told | None:
    """Ask the library; ``None`` where it is not installed."""
    try:
        library: Any = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        library.nvmlInit()
    except library.NVMLError as exc:
        return Told(problem=str(exc))
    try:
        count = library.nvmlDeviceGetCount()
        handles = [library.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
        names = tuple((_address(library, handle), _name(library, handle)) for handle in handles)
        return Told(_text(library.nvmlSystemGetDriverVersion()), names)
    except library.NVMLError as exc:
        return Told(problem=str(exc))
    finally:
        library.nvmlShutdown()


def _address(library: Any, handle: Any) -> str:
    """NVML writes the domain with eight digits, the kernel with four: ``00000000:41:00.0``."""
    domain, _, rest = _text(library.nvmlDeviceGetPciInfo(handle).busId).lower().partition(":")
    return f"{domain[-4:]}:{rest}"


def _name(library: Any, handle: Any) -> str:
    return _text(library.nvmlDeviceGetName(handle))


def _text(value: Any) -> str:
    """Older releases return bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
