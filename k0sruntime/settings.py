"""The settings file ``/etc/k0sruntime/config.toml``: one typed table a provider.

The file is the operator's; it is only ever read. A table is named after its provider; the host's
own table is ``[node]``, which belongs to the built-in provider of that name. Types come from the
provider's ``Settings`` class (msgspec converts and checks, strictly: ``"5"`` is no number).
"""

from __future__ import annotations

import difflib
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a provider's settings: derive, and give every field a type and a default.

    Example::

        class CrunSettings(Settings, frozen=True):
            handler: str = "crun"
            systemd_cgroup: bool = False
    """


@dataclass(frozen=True)
class SettingsFile:
    """The parsed settings file: where it is, and its tables by provider name."""

    path: str
    tables: Mapping[str, Any]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean "x"?`` for the nearest known name, or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f'Did you mean "{found[0]}"?' if found else ""


def refuse_unknown_tables(file: SettingsFile, providers: Iterable[str]) -> None:
    """Refuse tables that belong to no provider.

    Raises:
        RefusedError: names the file and each such table, all at once.
    """
    known = sorted(providers)
    problems = []
    for name, table in file.tables.items():
        if name in known and isinstance(table, dict):
            continue
        if name in known:
            message = f"[{name}] must be a table, not a {_kind(table)}"
        elif isinstance(table, dict):
            message = f"no provider called {name!r} is installed"
        else:
            message = f"{name!r} stands outside of any table"
        remedy = nearest(name, known) or f"Tables may be {', '.join(known)}."
        problems.append(Problem(message, place=f"{file.path}: {name}", remedy=remedy))
    if problems:
        raise RefusedError(*problems)


def convert(file: SettingsFile, provider: str, kind: Any) -> Any:
    """Return the provider's settings, checked: ``kind`` is a ``Settings`` or ``dict[str, …]``.

    Raises:
        RefusedError: every unknown key and wrong type, with file, table and key.
    """
    table = file.tables.get(provider, {})
    if typing.get_origin(kind) is dict:
        return _convert_mapping(file, provider, kind, table)
    return _convert_struct(file, provider, kind, table)


def _convert_mapping(file: SettingsFile, table: str, kind: Any, values: Mapping[str, Any]) -> Any:
    inner = typing.get_args(kind)[1]
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in values.items():
        place = f"{file.path}: [{table}.{_quoted(key)}]"
        try:
            found[key] = (
                _convert_struct(file, f"{table}.{_quoted(key)}", inner, value)
                if _is_struct(inner) and isinstance(value, dict)
                else msgspec.convert(value, inner)
            )
        except RefusedError as exc:
            problems.extend(exc.problems)
        except msgspec.ValidationError as exc:
            problems.append(_problem(str(exc), place, inner))
    if problems:
        raise RefusedError(*problems)
    return found


def _convert_struct(file: SettingsFile, table: str, kind: Any, values: Mapping[str, Any]) -> Any:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in values.items():
        place = f"{file.path}: [{table}] {key}"
        if key not in fields:
            remedy = nearest(key, fields) or f"Keys of [{table}] are {', '.join(fields) or 'none'}."
            problems.append(
                Problem(f"unknown key {key!r} in [{table}]", place=place, remedy=remedy)
            )
            continue
        try:
            found[fields[key].name] = msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError as exc:
            problems.append(_problem(str(exc), place, fields[key].type))
    problems += [
        Problem(f"[{table}] lacks the key {name!r}", place=f"{file.path}: [{table}]")
        for name, field in fields.items()
        if field.required and name not in values
    ]
    if problems:
        raise RefusedError(*problems)
    try:
        return kind(**found)
    except ValueError as exc:  # a Settings class may check its values in __post_init__
        raise RefusedError(Problem(str(exc), place=f"{file.path}: [{table}]")) from exc


def _problem(message: str, place: str, kind: Any) -> Problem:
    what, _, path = message.partition(" - at `$")
    path = path.removesuffix("`")
    for old, new in (("Expected", "expected"), ("Object", "table"), ("object", "table"), ("`", "")):
        what = what.replace(old, new)
    unknown = message.partition("unknown field `")[2].partition("`")[0]
    remedy = nearest(unknown, _field_names(kind)) if unknown else ""
    return Problem(what, place=place + path, remedy=remedy or "Correct the value.")


def _field_names(kind: Any) -> list[str]:
    """Return the field names of all structs that ``kind`` mentions, for did-you-mean."""
    if _is_struct(kind):
        return [field.encode_name for field in msgspec.structs.fields(kind)]
    return [name for inner in typing.get_args(kind) for name in _field_names(inner)]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _quoted(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() else f'"{key}"'


def _kind(value: object) -> str:
    return {str: "string", bool: "boolean", int: "number", list: "array"}.get(type(value), "value")
