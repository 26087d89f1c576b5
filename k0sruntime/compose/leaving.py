"""What stays because k0s is still on the CRI that a composition leaves.

``up`` proves the other CRI and tells k0s of it; k0s takes it when it is started the next time.
Until then pods live on what the node has: containerd and its files on the way to another runtime,
and what is in the other runtime's file on the way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.compose import cri_flag, k0s_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.contributions import CRISocket
    from k0sruntime.node import Node


def still_on(node: Node[Any], socket: CRISocket | None) -> str:
    """Return that k0s is still on the CRI that is left, as a sentence; empty where it is not.

    Both the k0s that runs counts, and the service that starts it the next time.

    Args:
        node: tells how k0s runs, and how it is started.
        socket: the CRI that the node shall have; ``None``: k0s's own containerd, or ours.
    """
    own = node.paths.socket
    for head, path in _used(node):
        left = path == own if socket else path not in ("", own)
        if left and not (socket and cri_flag.same_path(socket.path, own)):
            return f"{head} on unix://{path}"
    return ""


def _used(node: Node[Any]) -> Iterator[tuple[str, str]]:
    """Yield the CRI sockets that k0s uses: those of what runs, and of what is installed."""
    service = node.k0s_service
    runs = k0s_unit.running(service)
    if runs and runs.runs_a_kubelet:
        yield "k0s still runs", runs.cri(node.paths)
    elif service and not service.arguments:  # it gave no answer, and its containerd runs
        yield "k0s still runs", node.paths.socket
    starts = k0s_unit.installed(node.files, node.paths)
    if starts and starts.runs_a_kubelet:
        yield f"{starts.path} still starts k0s", starts.cri(node.paths)
