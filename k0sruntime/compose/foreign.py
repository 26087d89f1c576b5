"""What other hands have written for containerd, as a fact that providers may look at.

An installer of a vendor may define the very handlers that a provider would contribute. The provider
then leaves them alone and says so, instead of fighting over a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime import toml
from k0sruntime.compose.dropins import PREFIX
from k0sruntime.compose.main_file import is_managed
from k0sruntime.compose.schema import CRI, RUNTIME
from k0sruntime.file_names import by_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.compose.existing import Existing
    from k0sruntime.paths import Paths


@dataclass(frozen=True)
class ForeignFile:
    """A file of containerd's configuration that another hand wrote.

    Attributes:
        path: the file on the node.
        document: what it says; empty where it cannot be parsed.
    """

    path: str
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> int | None:
        """The config version that it states, where that is a number."""
        version = self.document.get("version")
        return version if isinstance(version, int) and not isinstance(version, bool) else None

    @property
    def runtime(self) -> Mapping[str, Any]:
        """The CRI runtime table, by whatever plugin ID the file knows it; both ones in one."""
        plugins = _table(self.document.get("plugins"))
        return {**_table(plugins.get(CRI)), **_table(plugins.get(RUNTIME))}

    @property
    def handlers(self) -> Mapping[str, Mapping[str, Any]]:
        """The tables of the handlers that it defines, by name."""
        runtimes = _table(_table(self.runtime.get("containerd")).get("runtimes"))
        return {name: _table(table) for name, table in runtimes.items()}

    @property
    def default_handler(self) -> str:
        """The handler that it makes the node's default; empty for none."""
        name = _table(self.runtime.get("containerd")).get("default_runtime_name")
        return name if isinstance(name, str) else ""


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def foreign_files(existing: Existing, paths: Paths) -> tuple[ForeignFile, ...]:
    """Return the files of other hands, in containerd's order: main file, imports, drop-ins.

    A main file with k0s's marker is k0s's or ours; a drop-in under a name of ours is ours, or
    refused elsewhere, as is what cannot be parsed.
    """
    return tuple(ForeignFile(path, _parsed(path, data)) for path, data in _files(existing, paths))


def _files(existing: Existing, paths: Paths) -> Iterator[tuple[str, bytes]]:
    if existing.main is not None and not is_managed(existing.main):
        yield paths.main_file, existing.main
    yield from existing.imports.items()
    for name in sorted(existing.dropins, key=by_bytes):
        if not name.startswith(PREFIX):
            yield f"{paths.dropins}/{name}", existing.dropins[name]


def _parsed(path: str, data: bytes) -> Mapping[str, Any]:
    try:
        return toml.load(data, path)
    except (toml.TOMLError, RecursionError):
        return {}
