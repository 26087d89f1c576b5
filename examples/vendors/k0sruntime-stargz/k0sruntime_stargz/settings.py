"""What the operator may set."""

from __future__ import annotations

from k0sruntime import Settings


class StargzSettings(Settings, frozen=True):
    """``[stargz]`` in /etc/k0sruntime/config.toml."""

    default: bool = True
    """It unpacks the images of all pods, not those of the handlers below alone."""
    handlers: list[str] = []
    """Handlers of other providers whose pods it serves, such as runsc."""
    socket: str = ""
    """Where the snapshotter listens; empty: its own default."""
    root: str = "/var/lib/containerd-stargz-grpc"
    """Folder of its snapshots (its --root), which the kubelet measures."""

    def __post_init__(self) -> None:
        """Refuse a path that is not absolute."""
        for name, path in (("socket", self.socket), ("root", self.root)):
            if path and not path.startswith("/"):
                raise ValueError(f"{name} = {path!r} must be an absolute path on the node")
