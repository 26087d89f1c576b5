"""What a vendor needs to test a provider without a node: a made-up ``Node``.

Example::

    from k0sruntime.testing import MadeUpFiles, make_node

    def test_crun_is_found():
        files = MadeUpFiles(executables=["/usr/bin/crun"])
        node = make_node("crun", CrunSettings(), files=files)
        (handler,) = provider.contribute_dropin(node)
        assert handler.options["BinaryName"] == "/usr/bin/crun"
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from k0sruntime.node import Node, Program, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

S = TypeVar("S")

LINES = {
    "1.35": (Version(1, 35, 7), Version(1, 7, 34)),
    "1.36": (Version(1, 36, 3), Version(2, 3, 3)),
}
"""k0s lines by name: a k0s version and the containerd that it brings."""


@dataclass(frozen=True)
class MadeUpFiles:
    """The files of a node that does not exist.

    Attributes:
        contents: path to content, as bytes or text.
        executables: paths of programs.
        sockets: paths of Unix sockets.
        modes: permission bits that are not the usual 0755 of a program or 0644 of a file.
    """

    contents: Mapping[str, bytes | str] = field(default_factory=dict)
    executables: Collection[str] = ()
    sockets: Collection[str] = ()
    modes: Mapping[str, int] = field(default_factory=dict)

    def exists(self, path: str) -> bool:
        """Tell whether anything is at ``path``, or below it."""
        known = (*self.contents, *self.executables, *self.sockets)
        return any(name == path or name.startswith(path.rstrip("/") + "/") for name in known)

    def is_socket(self, path: str) -> bool:
        """Tell whether ``path`` is one of the sockets."""
        return path in self.sockets

    def is_executable(self, path: str) -> bool:
        """Tell whether ``path`` is one of the executables."""
        return path in self.executables and bool((self.mode(path) or 0) & 0o001)

    def mode(self, path: str) -> int | None:
        """Return the permission bits at ``path``, or ``None``."""
        if not self.exists(path):
            return None
        plain = path in self.contents and path not in self.executables
        usual = 0o644 if plain else 0o755
        return self.modes.get(path, usual)

    def read(self, path: str) -> bytes | None:
        """Return the content at ``path``, or ``None``."""
        content = self.contents.get(path)
        return content.encode() if isinstance(content, str) else content

    def names(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        prefix = path.rstrip("/") + "/"
        known = (*self.contents, *self.executables, *self.sockets)
        return tuple(
            sorted({p[len(prefix) :].split("/")[0] for p in known if p.startswith(prefix)})
        )


def make_node(
    provider: str,
    settings: S,
    *,
    line: str = "1.36",
    files: MadeUpFiles | None = None,
    **facts: Any,
) -> Node[S]:
    """Make up a node for one provider.

    Args:
        provider: the provider's name, as its entry point has it.
        settings: the provider's settings.
        line: a k0s line of ``LINES``, which decides the containerd version.
        files: the node's files; by default none.
        facts: any other field of ``Node``.
    """
    k0s, containerd = LINES[line]
    known: dict[str, Any] = {
        "k0s": Program("/usr/local/bin/k0s", k0s),
        "containerd": Program("/var/lib/k0s/bin/containerd", containerd),
        "search_path": ("/var/lib/k0s/bin", "/usr/local/bin", "/usr/bin"),
    }
    return Node(settings, files or MadeUpFiles(), provider, **(known | facts))
