"""Two providers that want the same thing: refused before anything is written, both sides named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.layers import dotted, leaves
from k0sruntime.contributions import conflict
from k0sruntime.errors import ConflictError
from k0sruntime.values import same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from k0sruntime.compose.layers import Layer, Path
    from k0sruntime.contributions import Owner
    from k0sruntime.errors import Problem
    from k0sruntime.node import Schema


def refuse(layers: Iterable[Layer], schema: Schema) -> None:
    """Refuse what no two providers can both have; ``layers`` are the providers' own.

    Raises:
        ConflictError: one handler of two providers, one key with two values, or one file.
    """
    owned = [(layer, layer.owner) for layer in layers if layer.owner]
    _refuse_one_name(owned)
    definers: dict[str, Owner] = {}
    values: dict[Path, tuple[Owner, Any]] = {}
    tables: dict[Path, Owner] = {}
    problems = []
    for layer, owner in owned:
        taken = set()
        for name, table in schema_.runtimes(layer.document, schema).items():
            if "runtime_type" not in table:  # an extension of another's handler
                continue
            if name in definers:
                message = f"two providers define the handler {name!r}"
                problems.append(conflict(message, definers[name], owner))
                taken.add(name)
            definers.setdefault(name, owner)
        for path, value in leaves(layer.document):
            if path[2:4] != ("containerd", "runtimes") or path[4:5][0] not in taken:
                problems += _conflicts(path, value, owner, values, tables)
    if problems:
        raise ConflictError(*problems)


def _refuse_one_name(owned: Iterable[tuple[Layer, Owner]]) -> None:
    """Refuse two providers whose names make one file: ``a`` with other tables, and ``a-tables``."""
    seen: dict[str, Owner] = {}
    for layer, owner in owned:
        if layer.path in seen:
            message = f"two providers need the file {layer.path}"
            raise ConflictError(conflict(message, seen[layer.path], owner))
        seen[layer.path] = owner


def _conflicts(
    path: Path,
    value: Any,
    owner: Owner,
    values: dict[Path, tuple[Owner, Any]],
    tables: dict[Path, Owner],
) -> Iterator[Problem]:
    """Yield what one key has against the keys before it, and note it down."""
    above = [path[:end] for end in range(1, len(path) + (value == {}))]
    for table in above:
        if table in values:
            other, said = values[table]
            yield conflict(_value_and_table(table, said), other, owner)
        tables.setdefault(table, owner)
    if value == {}:
        return
    if path in tables:
        yield conflict(_value_and_table(path, value), tables[path], owner)
    elif path in values and not same(values[path][1], value):
        other, said = values[path]
        one, two = masking.value(path, said), masking.value(path, value)
        message = f"{dotted(path)} is {one!r} for one provider and {two!r} for another"
        yield conflict(message, other, owner)
    values.setdefault(path, (owner, value))


def _value_and_table(path: Path, value: Any) -> str:
    shown = masking.value(path, value)
    return f"{dotted(path)} is {shown!r} for one provider and a table for another"
