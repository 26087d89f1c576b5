"""What the settings file may hold: the providers' ``Settings`` classes, told to people and editors.

Types and defaults come from the classes themselves, descriptions from the strings below their
fields, so that nothing is written twice.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from k0sruntime.described import described
from k0sruntime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from k0sruntime.records import Record

DRAFT = "https://json-schema.org/draft/2020-12/schema"
REF = "#/$defs/{name}"
REQUIRED = "(required)"


@dataclass(frozen=True)
class Field:
    """One key of a provider's table.

    Attributes:
        key: as it stands in the file; ``NAME`` stands for a name that the operator chooses.
        type: in TOML's words.
        default: as it would stand in the file.
        words: what it is for.
    """

    key: str
    type: str
    default: str = ""
    words: str = ""


def fields(kind: Any, way: str = "") -> list[Field]:
    """Return all keys of a provider's settings, those of tables in it as well."""
    kind = _without_none(kind)
    if typing.get_origin(kind) is dict:
        return fields(typing.get_args(kind)[1], f"{way}NAME.") if _tables(kind) else []
    if not _is_struct(kind):
        return []
    told = described(kind)
    found: list[Field] = []
    for field in msgspec.structs.fields(kind):
        key = f"{way}{field.encode_name}"
        inner = fields(field.type, f"{key}.")
        text = told.get(field.name, "")
        found += inner or [Field(key, type_words(field.type), _default(field), text)]
    return found


def type_words(kind: Any) -> str:
    """Return a type in TOML's words, such as ``array of string``."""
    kind = _without_none(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " | ".join(json.dumps(value) for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_words(one) for one in inner)
    if origin in (list, tuple, set, frozenset):
        return f"array of {type_words(inner[0])}"
    if origin is dict or kind is dict or _is_struct(kind):
        return "table"
    plain = {str: "string", bool: "boolean", int: "integer", float: "number", Any: "any value"}
    return plain.get(kind, getattr(kind, "__name__", str(kind)))


def schema(records: Iterable[Record]) -> dict[str, Any]:
    """Return a JSON Schema of the settings file: a table for each provider."""
    kinds = {record.name: record.settings or Settings for record in records}
    tables: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for record in records:
        try:
            (table,), found = msgspec.json.schema_components([kinds[record.name]], ref_template=REF)
        except TypeError:  # a type that JSON Schema does not have
            table, found = {"type": "object"}, {}
        prefix = f"{record.name}."
        renamed = {f"{prefix}{name}": part for name, part in found.items()}
        tables[record.name] = _moved(table, prefix)
        parts |= {name: _moved(part, prefix) for name, part in renamed.items()}
        for kind in _structs(kinds[record.name]):
            _describe(parts.get(f"{prefix}{kind.__name__}"), kind)
        if record.summary:
            tables[record.name] = {**tables[record.name], "description": record.summary}
    return {
        "$schema": DRAFT,
        "title": "k0sruntime's settings file",
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
        "$defs": parts,
    }


def _moved(part: Any, prefix: str) -> Any:
    """Return a part of a schema whose references point at the provider's own definitions."""
    if isinstance(part, dict):
        return {
            key: f"#/$defs/{prefix}{value.rpartition('/')[2]}"
            if key == "$ref"
            else _moved(value, prefix)
            for key, value in part.items()
        }
    return [_moved(value, prefix) for value in part] if isinstance(part, list) else part


def _describe(part: dict[str, Any] | None, kind: Any) -> None:
    if part is None:
        return
    told = described(kind)
    for field in msgspec.structs.fields(kind):
        entry = part.get("properties", {}).get(field.encode_name)
        if entry is not None and field.name in told:
            entry["description"] = told[field.name]


def _structs(kind: Any) -> Iterator[Any]:
    """Yield all settings classes that a kind mentions."""
    if _is_struct(kind):
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from _structs(field.type)
    else:
        for inner in typing.get_args(kind):
            yield from _structs(inner)


def _default(field: Any) -> str:
    if field.required:
        return REQUIRED
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    if value is None:
        return "-"
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _tables(kind: Any) -> bool:
    return _is_struct(_without_none(typing.get_args(kind)[1]))


def _without_none(kind: Any) -> Any:
    rest = [inner for inner in typing.get_args(kind) if inner is not type(None)]
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return rest[0] if union and len(rest) == 1 else kind
