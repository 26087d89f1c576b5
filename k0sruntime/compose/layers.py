"""Layers: the files that containerd loads, in the order in which it does, each with its source.

Everything that later says where a key comes from reads it from here: a layer knows its file and
who wrote it, and the file's text tells the line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.native import REPLACED_ENTRIES, ROOT_ARRAYS
from k0sruntime.values import same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.contributions import Owner

Path = tuple[str, ...]
"""A key's path: ``("plugins", "io.containerd.cri.v1.runtime", "enable_cdi")``."""


@dataclass(frozen=True)
class Layer:
    """One file of the configuration.

    Attributes:
        path: the file on the node.
        document: what it says.
        owner: who contributed it; ``None`` for a foreign file.
        text: the file as it is written, for line numbers; empty where it is not needed.
        reasons: why a key is set, where its provider said so.
    """

    path: str
    document: Mapping[str, Any]
    owner: Owner | None = None
    text: str = ""
    reasons: Mapping[Path, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's base name."""
        return self.path.rpartition("/")[2]

    @property
    def foreign(self) -> bool:
        """Another hand wrote this file."""
        return self.owner is None

    def __str__(self) -> str:
        """Return the file, and whose it is."""
        return f"{self.path} ({self.owner or 'a foreign file'})"


@dataclass(frozen=True)
class Overlap:
    """A key that two layers set to different values; containerd takes the later one."""

    path: Path
    loser: Layer
    winner: Layer

    def __str__(self) -> str:
        """Return a sentence that names the key, both files and the winner."""
        return (
            f"{dotted(self.path)} is set by {self.loser} and by {self.winner};"
            f" containerd takes the latter"
        )


def leaves(document: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every key that holds a value, with its path; an empty table counts as a value."""
    for key, value in document.items():
        here = (*path, key)
        if isinstance(value, dict) and value:
            yield from leaves(value, here)
        else:
            yield here, value


def dotted(path: Path) -> str:
    """Return a path as TOML spells it, with quotes where a part needs them."""
    return ".".join(part if _bare(part) else f'"{part}"' for part in path)


def _bare(part: str) -> bool:
    return bool(part) and part.replace("-", "a").replace("_", "a").isalnum() and part.isascii()


def counts(path: Path, value: Any) -> bool:
    """Tell whether containerd takes a value over one of an earlier file.

    In containerd's own tables, plugins apart, a zero cannot be told from a key that is not there.
    """
    return path[0] == "plugins" or path[0] in REPLACED_ENTRIES or bool(value)


def overlaps(layers: tuple[Layer, ...]) -> tuple[Overlap, ...]:
    """Return the keys that a foreign layer and one of ours set differently, in loading order."""
    seen: dict[Path, tuple[Layer, Any]] = {}
    found = []
    for layer in layers:
        for path, value in leaves(layer.document):
            if path[0] == "version" or path[0] in ROOT_ARRAYS or not counts(path, value):
                continue
            before = seen.get(path)
            differs = before and not same(before[1], value)
            if before and differs and before[0].foreign != layer.foreign:
                found.append(Overlap(path, before[0], layer))
            seen[path] = (layer, value)
    return tuple(found)
