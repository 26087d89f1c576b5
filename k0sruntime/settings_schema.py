"""What the settings file may hold: the providers' ``Settings`` classes, told to people and editors.

Types and defaults come from the classes themselves, descriptions from the strings below their
fields, so that nothing is written twice.
"""

from __future__ import annotations

import copy
import functools
import json
import operator
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from k0sruntime.described import described
from k0sruntime.settings import Settings, is_path

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


def fields(kind: Any, way: str = "", above: tuple[Any, ...] = ()) -> list[Field]:
    """Return all keys of a provider's settings, those of tables in it as well.

    Args:
        kind: the settings' class, or what they are a table of.
        way: the way to it.
        above: classes whose tables it stands in: one of them again is told as a table.
    """
    kind = _without_none(kind)
    if typing.get_origin(kind) is dict:
        return fields(typing.get_args(kind)[1], f"{way}NAME.", above) if _tables(kind) else []
    if not _is_struct(kind) or kind in above:
        return []
    told = described(kind)
    found: list[Field] = []
    for field in msgspec.structs.fields(kind):
        key = f"{way}{field.encode_name}"
        inner = fields(field.type, f"{key}.", (*above, kind))
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
    if is_path(kind):
        return "string"
    plain = {str: "string", bool: "boolean", int: "integer", float: "number", Any: "any value"}
    return plain.get(kind, getattr(kind, "__name__", str(kind)))


def schema(records: Iterable[Record]) -> dict[str, Any]:
    """Return a JSON Schema of the settings file: a table for each provider.

    Of one that is not active nothing is known but its name: its table may hold anything, as it may
    for the host.
    """
    tables: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for record in records:
        if record.state != "active":
            words = f"{record.state}: {record.reason}"
            tables.setdefault(record.name, {"type": "object", "description": words})
            continue
        kind = record.settings or Settings
        table, found = _components(kind)
        prefix = f"{record.name}."
        renamed = {f"{prefix}{name}": part for name, part in found.items()}
        tables[record.name] = _moved(table, prefix)
        parts |= {name: _moved(part, prefix) for name, part in renamed.items()}
        for part in _structs(kind):
            _describe(parts.get(f"{prefix}{part.__name__}"), part)
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


def _structs(kind: Any, above: tuple[Any, ...] = ()) -> Iterator[Any]:
    """Yield all settings classes that a kind mentions, but for those that it stands in."""
    if _is_struct(kind):
        if kind in above:
            return
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from _structs(field.type, (*above, kind))
    else:
        for inner in typing.get_args(kind):
            yield from _structs(inner, above)


def _components(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a settings class, and of the classes that it mentions by name."""
    for told in (False, True):
        try:
            made = _told_in_toml(kind, {}) if told else kind
            (table,), found = msgspec.json.schema_components(
                [made], ref_template=REF, schema_hook=_schema_of
            )
        except TypeError:  # a default, or a type, that JSON Schema does not have
            continue
        return table, found
    return {"type": "object"}, {}


def _told_in_toml(kind: Any, made: dict[Any, Any]) -> Any:
    """Return a kind whose defaults are as they stand in a file, such as a path as a string.

    Args:
        kind: the kind.
        made: what was made of the classes before, ``None`` while one is being made.

    Raises:
        TypeError: a class holds itself.
    """
    if _is_struct(kind):
        if kind not in made:
            made[kind] = None
            made[kind] = _told_class(kind, made)
        if made[kind] is None:
            raise TypeError(kind)
        return made[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if not inner or origin is typing.Literal:
        return kind
    told = tuple(one if one is ... else _told_in_toml(one, made) for one in inner)
    return functools.reduce(operator.or_, told) if origin is types.UnionType else origin[told]


def _told_class(kind: Any, made: dict[Any, Any]) -> Any:
    fields = msgspec.structs.fields(kind)
    told: list[Any] = []
    for field in fields:
        inner = _told_in_toml(field.type, made)
        if field.required:
            told.append((field.name, inner))
            continue
        value = _value(field)
        mutable = isinstance(value, list | dict) and value
        default = msgspec.field(default_factory=functools.partial(copy.copy, value))
        told.append((field.name, inner, default if mutable else value))
    return msgspec.defstruct(
        kind.__name__,
        told,
        rename={field.name: field.encode_name for field in fields},
        forbid_unknown_fields=kind.__struct_config__.forbid_unknown_fields,
        kw_only=True,
    )


def _schema_of(kind: Any) -> dict[str, Any]:
    """Return the schema of a type that msgspec does not know."""
    if is_path(kind):
        return {"type": "string"}
    raise NotImplementedError(kind)


def _default(field: Any) -> str:
    if field.required:
        return REQUIRED
    value = _value(field)
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _value(field: Any) -> Any:
    """Return a default as it would stand in a file."""
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    return msgspec.to_builtins(value, enc_hook=str)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _tables(kind: Any) -> bool:
    return _is_struct(_without_none(typing.get_args(kind)[1]))


def _without_none(kind: Any) -> Any:
    rest = [inner for inner in typing.get_args(kind) if inner is not type(None)]
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return rest[0] if union and len(rest) == 1 else kind
