"""The keys of a configuration as a tree of tables, each key with its sources. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from k0sruntime.compose.layers import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k0sruntime.seen.document import Change, Key, Setting

Fate = Literal["", "comes", "changes", "goes"]


@dataclass(frozen=True)
class Row:
    """A key: its value as TOML's JSON-like text, its sources, and what the next ``up`` does to it.

    Attributes:
        name: the key's own name, as TOML spells it.
        value: as composed; what it was where the key goes.
        setting: who set it; ``None`` where it goes.
        overrode: what that overrode, the latest first.
        fate: what the next ``up`` does.
        before: the value in force where it changes.
    """

    name: str
    value: str
    setting: Setting | None
    overrode: tuple[Setting, ...] = ()
    fate: Fate = ""
    before: str = ""


@dataclass
class Table:
    """A table: its name, below its parent's; its keys, and the tables in it."""

    name: str
    rows: list[Row] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)

    def inner(self) -> list[Table]:
        """Return the tables in it; one that holds nothing but another is told with that in one."""
        return [table.short() for table in self.tables.values()]

    def short(self) -> Table:
        """Return the table, or the one in it where that is all that it holds."""
        if self.rows or len(self.tables) != 1:
            return self
        only = next(iter(self.tables.values())).short()
        return Table(f"{self.name}.{only.name}", only.rows, only.tables)

    def count(self) -> int:
        """Return how many keys it holds, all tables in it included."""
        return len(self.rows) + sum(table.count() for table in self.tables.values())


def tree(keys: Iterable[Key], changes: Sequence[Change] = ()) -> Table:
    """Return the tree of some keys, and of those that the next ``up`` takes away."""
    root = Table("")
    fates = {tuple(change.key): change for change in changes}
    for key in keys:
        change = fates.pop(tuple(key.key), None)
        fate: Fate = "" if change is None else "comes" if change.before is None else "changes"
        before = text(change.before) if change and fate == "changes" else ""
        row = (text(key.value), key.set_by, tuple(key.overrode), fate, before)
        _place(root, key.key).rows.append(Row(_name(key.key), *row))
    for change in fates.values():
        if change.after is None:
            row_ = Row(_name(change.key), text(change.before), None, (), "goes")
            _place(root, change.key).rows.append(row_)
    return root


def _name(path: Sequence[str]) -> str:
    return dotted(tuple(path[-1:]))


def _place(root: Table, path: Sequence[str]) -> Table:
    table = root
    for part in path[:-1]:
        name = dotted((part,))
        table = table.tables.setdefault(part, Table(name))
    return table


def text(value: Any) -> str:
    """Return a value as it is shown."""
    return json.dumps(value, ensure_ascii=False, default=str)
