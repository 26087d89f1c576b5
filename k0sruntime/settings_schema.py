"""What the settings file may hold: the providers' ``Settings`` classes, told to people and editors.

Types and defaults come from the classes themselves, descriptions from the strings below their
fields, so that nothing is written twice.
"""

from __future__ import annotations

import copy
import functools
import math
import operator
import types
import typing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from k0sruntime import hooks as hooks_
from k0sruntime.described import described
from k0sruntime.guard import cause, one_line, unheard
from k0sruntime.settings import Settings, is_path
from k0sruntime.type_words import in_toml, is_struct, type_words, without_none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from k0sruntime.records import Record

T = TypeVar("T")

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
    kind = without_none(kind)
    if typing.get_origin(kind) is dict:
        return fields(typing.get_args(kind)[1], f"{way}NAME.", above) if _tables(kind) else []
    if not is_struct(kind) or kind in above:
        return []
    told = described(kind)
    found: list[Field] = []
    for field in msgspec.structs.fields(kind):
        key = f"{way}{field.encode_name}"
        inner = fields(field.type, f"{key}.", (*above, kind))
        text = told.get(field.name, "")
        found += inner or [Field(key, type_words(field.type), _default(field), text)]
    return found


def fields_of(record: Record) -> tuple[Record, list[Field]]:
    """Return all keys of a provider's settings, guarded: its defaults are its own code.

    Where they cannot be told there are none, and the provider's record is ``broken``.
    """
    try:
        found = _guarded(lambda: fields(record.settings))
    except _UntoldError as exc:
        return _broken(record, exc), []
    return record, [Field(*map(one_line, (f.key, f.type, f.default, f.words))) for f in found]


class _UntoldError(Exception):
    """Settings that cannot be told, and why."""


def _guarded(call: Callable[[], T]) -> T:
    """Run what runs a provider's code, as its hooks are run.

    Raises:
        _UntoldError: it failed.
    """
    try:
        return unheard(call, hooks_.COLLECT_SECONDS)
    except KeyboardInterrupt:  # the user's: see guard.bounded
        raise
    except BaseException as exc:
        raise _UntoldError(cause(exc)) from exc


def _broken(record: Record, exc: _UntoldError) -> Record:
    if record.state != "active":
        return record
    remedy = f"Update {record.distribution}, or go on with --without {record.name}."
    reason = f"its settings cannot be told: {exc}"
    return replace(record, state="broken", reason=reason, remedy=remedy)


def schema(records: Iterable[Record], broken: list[Record] | None = None) -> dict[str, Any]:
    """Return a JSON Schema of the settings file: a table for each provider.

    Of one that is not active nothing is known but its name: its table may hold anything, as it may
    for the host.

    Args:
        records: all providers.
        broken: where to put those whose settings cannot be told, if anybody wants to know.
    """
    tables: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for record in records:
        seen = record
        if record.state == "active":
            try:
                table, found = _guarded(functools.partial(_table, record))
            except _UntoldError as exc:
                seen = _broken(record, exc)
                if broken is not None:
                    broken.append(seen)
            else:
                tables[record.name] = table
                parts |= found
                continue
        words = f"{seen.state}: {seen.reason}"
        tables.setdefault(seen.name, {"type": "object", "description": words})
    return {
        "$schema": DRAFT,
        "title": "k0sruntime's settings file",
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
        "$defs": parts,
    }


def _table(record: Record) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a provider's table, and of the classes that it mentions by name."""
    kind = record.settings or Settings
    table, found = _components(kind)
    prefix = f"{record.name}."
    parts = {f"{prefix}{name}": _moved(part, prefix) for name, part in found.items()}
    for part in _structs(kind):
        _describe(parts.get(f"{prefix}{part.__name__}"), part)
    told = {"description": record.summary} if record.summary else {}
    return {**_finite(_moved(table, prefix)), **told}, _finite(parts)


def _finite(part: Any) -> Any:
    """Return a part without numbers that JSON does not have, such as a default of ``inf``."""
    if isinstance(part, dict):
        kept = {key: value for key, value in part.items() if _is_json(value)}
        return {key: _finite(value) for key, value in kept.items()}
    return [_finite(value) for value in part] if isinstance(part, list) else part


def _is_json(value: Any) -> bool:
    """Tell whether a value, or all of a list, is a number that JSON has, or no number at all."""
    if isinstance(value, list):
        return all(map(_is_json, value))
    return not isinstance(value, float) or math.isfinite(value)


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
    if is_struct(kind):
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
            made = _toldin_toml(kind, {}) if told else kind
            (table,), found = msgspec.json.schema_components(
                [made], ref_template=REF, schema_hook=_schema_of
            )
        except TypeError:  # a default, or a type, that JSON Schema does not have
            continue
        return table, found
    return {"type": "object", "description": "its keys cannot be told to an editor"}, {}


def _toldin_toml(kind: Any, made: dict[Any, Any]) -> Any:
    """Return a kind whose defaults are as they stand in a file, such as a path as a string.

    Args:
        kind: the kind.
        made: what was made of the classes before, ``None`` while one is being made.

    Raises:
        TypeError: a class holds itself.
    """
    if is_struct(kind):
        if kind not in made:
            made[kind] = None
            made[kind] = _told_class(kind, made)
        if made[kind] is None:
            raise TypeError(kind)
        return made[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if not inner or origin is typing.Literal:
        return kind
    told = tuple(one if one is ... else _toldin_toml(one, made) for one in inner)
    return functools.reduce(operator.or_, told) if origin is types.UnionType else origin[told]


def _told_class(kind: Any, made: dict[Any, Any]) -> Any:
    fields = msgspec.structs.fields(kind)
    told: list[Any] = []
    for field in fields:
        inner = _toldin_toml(field.type, made)
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
    return {"type": "string"} if is_path(kind) else {"not": {}}  # no file can hold it


def _default(field: Any) -> str:
    if field.required:
        return REQUIRED
    value = _value(field)
    return "-" if value is None else in_toml(value)


def _value(field: Any) -> Any:
    """Return a default as it would stand in a file."""
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    return msgspec.to_builtins(value, enc_hook=str)


def _tables(kind: Any) -> bool:
    inner = typing.get_args(kind)  # a bare typing.Dict has none
    return bool(inner) and is_struct(without_none(inner[1]))
