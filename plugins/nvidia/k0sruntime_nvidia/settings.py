"""The table ``[nvidia]``."""

from __future__ import annotations

from typing import Literal

from k0sruntime import Settings

Mode = Literal["runtimeclass", "cdi", "nri"]
Variant = Literal["cdi", "legacy"]

VARIANTS: tuple[Variant, ...] = ("cdi", "legacy")
"""What the toolkit has beside ``nvidia-container-runtime``, with this behind a dot."""
SPEC_FOLDERS = ("/etc/cdi", "/var/run/cdi")
"""containerd's own folders of CDI specs: what is static, and what is made at every boot."""


class NvidiaSettings(Settings, frozen=True):
    """``[nvidia]``."""

    gpu: Literal["auto", "yes", "no"] = "auto"
    """Whether this node has a GPU; ``auto`` looks at the PCI bus."""
    mode: Mode = "runtimeclass"
    """How a container gets its GPU: under a handler of its own, by CDI alone, or by NRI."""
    handler: str = "nvidia"
    """Name of the handler; those of the variants have it in front: ``nvidia-cdi``."""
    runtime_class: str = "nvidia"
    """Name of its RuntimeClass; empty for none, for the variants neither."""
    variants: list[Variant] | None = None
    """Variants that must be there as well; left out: those that are found."""
    runtime: str = ""
    """Path of nvidia-container-runtime; empty: the toolkit's folders, then PATH."""
    driver_root: str = ""
    """Where the driver's files lie; empty: ``/run/nvidia/driver`` where the operator manages it."""
    cdi: bool = True
    """Let containerd resolve CDI devices; on by default in containerd 2, off in 1.7."""
    cdi_spec_dirs: tuple[str, ...] = SPEC_FOLDERS
    """Folders of CDI specs; a later one counts more."""
    default: bool = False
    """Make it the node's default handler; every pod then runs under it."""

    def __post_init__(self) -> None:
        """Refuse paths that are not absolute, and what contradicts itself."""
        for key, path in (("runtime", self.runtime), ("driver_root", self.driver_root)):
            if path and not path.startswith("/"):
                raise ValueError(f"{key} = {path!r} must be an absolute path on the node")
        for path in self.cdi_spec_dirs:
            if not path.startswith("/"):
                raise ValueError(f"cdi_spec_dirs has {path!r}, which is no absolute path")
        if not self.cdi_spec_dirs:
            raise ValueError("cdi_spec_dirs must name a folder")
        if self.default and self.mode != "runtimeclass":
            raise ValueError(f"default = true needs a handler, and mode = {self.mode!r} has none")
        if self.mode == "cdi" and not self.cdi:
            raise ValueError("mode = 'cdi' and cdi = false contradict each other")
