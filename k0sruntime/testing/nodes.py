"""Made-up nodes: what a hook is given, without a machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from k0sruntime.node import GPU, Node, Program, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from k0sruntime.node import Schema

S = TypeVar("S")

LINES: Mapping[str, tuple[Version | None, Version]] = {
    "1.35": (Version(1, 35, 7), Version(1, 7, 34)),
    "2.1": (None, Version(2, 1, 9)),
    "1.36": (Version(1, 36, 3), Version(2, 3, 3)),
}
"""Lines by name: a k0s and the containerd that it brings; ``2.1`` is a containerd without k0s."""
OF_SCHEMA = {2: "1.35", 3: "1.36"}
"""The line that speaks a schema."""
GPUS = {
    "nvidia": GPU("0000:41:00.0", 0x10DE, 0x0302, "nvidia"),
    "amd": GPU("0000:41:00.0", 0x1002, 0x0380, "amdgpu"),
}
"""A GPU with its driver, by vendor."""
PROGRAMS = "/usr/bin"
"""Where a made-up node has its programs."""


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

    def other_kind(self, path: str) -> str:
        """Return what is at ``path`` that is no file: a socket or a folder; empty otherwise."""
        if path in self.sockets:
            return "a socket"
        return "a folder" if self.names(path) else ""

    def names(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        prefix = path.rstrip("/") + "/"
        known = (*self.contents, *self.executables, *self.sockets)
        return tuple(
            sorted({p[len(prefix) :].split("/")[0] for p in known if p.startswith(prefix)})
        )


@dataclass(frozen=True)
class AnyProgram(MadeUpFiles):
    """The files of a node that has every program that is asked for, in ``/usr/bin``."""

    def exists(self, path: str) -> bool:
        """Tell whether anything is at ``path``."""
        return _is_program(path) or super().exists(path)

    def is_executable(self, path: str) -> bool:
        """Say yes to every name in the folder of programs."""
        return _is_program(path) or super().is_executable(path)


def _is_program(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder == PROGRAMS and bool(name)


def make_node(
    provider: str,
    settings: S,
    *,
    line: str = "",
    schema: Schema | None = None,
    gpu: Literal["nvidia", "amd"] | None = None,
    binaries: bool | Iterable[str] = (),
    files: MadeUpFiles | None = None,
    **facts: Any,
) -> Node[S]:
    """Make up a node for one provider.

    Args:
        provider: the provider's name, as its entry point has it.
        settings: the provider's settings.
        line: a line of ``LINES``, which decides the versions of k0s and containerd; by default
            the newest.
        schema: 2 or 3, instead of a line.
        gpu: whose GPU is on the bus, with its driver.
        binaries: programs that are in ``/usr/bin``; ``True``: every one that is asked for.
        files: the node's files; by default none but the programs.
        facts: any other field of ``Node``, such as ``arch="aarch64"``.

    Raises:
        KeyError: there is no such line or schema.
    """
    k0s, containerd = LINES[line or OF_SCHEMA[schema or 3]]
    brought = "/var/lib/k0s/bin/containerd" if k0s else f"{PROGRAMS}/containerd"
    known: dict[str, Any] = {
        "k0s": Program("/usr/local/bin/k0s", k0s) if k0s else None,
        "containerd": Program(brought, containerd),
        "search_path": ("/var/lib/k0s/bin", "/usr/local/bin", PROGRAMS),
        "gpus": (GPUS[gpu],) if gpu else (),
    }
    return Node(settings, _with(files, binaries), provider, **(known | facts))


def _with(files: MadeUpFiles | None, binaries: bool | Iterable[str]) -> MadeUpFiles:
    found = files or MadeUpFiles()
    if binaries is True:
        return AnyProgram(found.contents, found.executables, found.sockets, found.modes)
    if not binaries:
        return found
    programs = tuple(f"{PROGRAMS}/{name}" for name in binaries)
    return MadeUpFiles(found.contents, (*found.executables, *programs), found.sockets, found.modes)


def bare_node(provider: str, settings: S) -> Node[S]:
    """Make up a node with nothing on it: neither k0s nor containerd, no program, no file."""
    return Node(settings, MadeUpFiles(), provider, search_path=())
