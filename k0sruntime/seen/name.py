"""What a node is called, where nobody says."""

from __future__ import annotations

import posixpath
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k0sruntime.node import Node


def name_of(node: Node[object]) -> str:
    """Return the host's name; with the folder's behind it for a node that lives in one."""
    paths = node.paths
    if paths.root != "/":
        said = (node.files.read("/etc/hostname") or b"").decode(errors="replace").strip()
        return said or posixpath.basename(paths.root)
    host = socket.gethostname()
    return f"{host}/{posixpath.basename(paths.sandbox)}" if paths.sandbox else host
