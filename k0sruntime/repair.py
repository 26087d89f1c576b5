"""A foreign drop-in put right: what its writer meant, in the node's schema, and nothing besides.

Installers of vendors write what a running containerd told them: its version, and with it a frozen
copy of the whole CRI table. Of such a copy only the handlers are meant. A function of text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import toml
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.cgroups import OPTION, RUNC, RUNC_TYPE
from k0sruntime.compose.layers import leaves
from k0sruntime.compose.main_file import MARKER
from k0sruntime.lint.folder import is_frozen
from k0sruntime.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.node import Schema

DEAD_KEYS = ("runtime_engine", "runtime_root")
"""Handler keys of a shim that containerd 2 does not have any more; in 1.7 nobody reads them."""
CHOSEN = ("enable_cdi",)
"""Keys of a frozen copy that an installer sets by itself."""


@dataclass(frozen=True)
class Repair:
    """A repaired file, and what was done to it, in clauses."""

    text: str
    done: tuple[str, ...]


def repaired_main(text: str) -> Repair:
    """Return a main file that k0s takes for its own again, with the marker on line 1."""
    kept = [line for line in text.splitlines() if line.strip() != MARKER]
    return Repair("\n".join([MARKER, *kept, ""]), ("k0s's marker is on line 1 again",))


def repaired(text: str, schema: Schema, path: str, systemd: bool | None = None) -> Repair:
    """Return a drop-in with what its writer meant, in the node's schema.

    Args:
        text: the file.
        schema: the node's schema.
        path: stands for the file in errors.
        systemd: the ``SystemdCgroup`` of the node's default handler, where it is stated.

    Raises:
        RefusedError: not TOML, or tables that have no place in the node's schema.
    """
    done = []
    before = toml.load(text.encode(), path).get("version")
    moved = migrate(text, schema, path)
    if before != schema:
        stated = f"version {before}" if before is not None else "no version"
        done.append(f"{stated} is version {schema} now")
    document = toml.load(moved.text.encode(), path)
    meant = _thawed(document, done)
    for name, table in schema_.runtimes(meant, schema).items():
        if isinstance(table, dict):
            _mend_handler(name, table, systemd, done)
    if meant == toml.load(moved.text.encode(), path):
        return Repair(moved.text, tuple(done))
    return Repair(toml.dump(meant), tuple(done))


def _thawed(document: dict[str, Any], done: list[str]) -> dict[str, Any]:
    """Return the document with the handlers alone of every frozen copy in it."""
    plugins = document.get("plugins")
    if not isinstance(plugins, dict):
        return document
    for plugin in (schema_.RUNTIME, schema_.IMAGES, schema_.CRI):
        table = plugins.get(plugin)
        if not isinstance(table, dict) or not is_frozen(table, plugin):
            continue
        count = len(list(leaves(table)))
        plugins[plugin] = _meant(table)
        dropped = count - len(list(leaves(plugins[plugin])))
        done.append(f"{dropped} copied keys of {plugin} are gone")
    document["plugins"] = {name: table for name, table in plugins.items() if table != {}}
    return document


def _meant(table: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: table[key] for key in CHOSEN if table.get(key) is True}
    containerd = _table(table.get("containerd"))
    own = {n: t for n, t in _table(containerd.get("runtimes")).items() if n != RUNC}
    inner: dict[str, Any] = {"runtimes": own} if own else {}
    default = containerd.get("default_runtime_name")
    if isinstance(default, str) and default in own:
        inner = {"default_runtime_name": default, **inner}
    return {**found, "containerd": inner} if inner else found


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mend_handler(name: str, table: dict[str, Any], systemd: bool | None, done: list[str]) -> None:
    """Take out what says nothing, and put in what must be said."""
    dead = [key for key in DEAD_KEYS if key in table]
    empty = [key for key, value in table.items() if not value and value != {}]
    for key in dict.fromkeys((*dead, *empty)):
        del table[key]
    if "runtime_type" not in table:
        table["runtime_type"] = RUNC_TYPE
        done.append(f"the handler {name} has a runtime_type")
    options = table.get("options")
    if not isinstance(options, dict):
        return
    for key in [key for key, value in options.items() if not value]:
        del options[key]
    if (
        table["runtime_type"] != RUNC_TYPE
        or systemd is None
        or options.get(OPTION, False) == systemd
    ):
        return
    done.append(f"{OPTION} of {name} is {str(systemd).lower()}, as that of the default handler")
    if systemd:
        options[OPTION] = True
    else:
        del options[OPTION]
