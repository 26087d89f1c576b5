"""The settings file ``/etc/k0sruntime/config.toml``: one typed table a provider.

The file is the operator's; it is only ever read. A table is named after its provider; the host's
own table is ``[node]``, which belongs to the built-in provider of that name. Types come from the
provider's ``Settings`` class (msgspec converts and checks, strictly: ``"5"`` is no number).
"""

from __future__ import annotations

import difflib
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


NOTHING: Mapping[str, int] = types.MappingProxyType({})


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
    data: bytes = b""
    """The file itself; empty where there is none."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean "x"?`` for the nearest known name, or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f'Did you mean "{found[0]}"?' if found else ""


def refuse_unknown_tables(
    file: SettingsFile, providers: Iterable[str], left: Mapping[str, int] = NOTHING
) -> None:
    """Refuse tables that belong to no provider, and values in a table's place.

    Args:
        file: the settings file.
        providers: what is installed.
        left: how many files are still there of providers by name, installed or not.

    Raises:
        RefusedError: names the file and each of them, all at once.
    """
    known = sorted(providers)
    problems = []
    for name, table in file.tables.items():
        if name in known:
            problems += [] if isinstance(table, dict) else [_no_table(file, name)]
            continue
        if isinstance(table, dict) and left.get(name):
            problems.append(_uninstalled(file, name, left[name]))
            continue
        message = (
            f"no provider called {name!r} is installed"
            if isinstance(table, dict)
            else f"{name!r} stands outside of any table"
        )
        remedy = nearest(name, known) or f"Tables may be {', '.join(known)}."
        problems.append(Problem(message, place=f"{file.path}: {name}", remedy=remedy))
    if problems:
        raise RefusedError(*problems)


def _uninstalled(file: SettingsFile, name: str, files: int) -> Problem:
    """Tell of a provider that was here: its table says that it is still wanted."""
    them = "its file is" if files == 1 else f"its {files} files are"
    return Problem(
        f"no provider called {name!r} is installed any more, and {them} still here",
        place=f"{file.path}: {name}",
        remedy=f"Install it again; or delete [{name}], and the next up removes what it has left.",
    )


def _no_table(file: SettingsFile, name: str) -> Problem:
    return Problem(
        f"[{name}] must be a table, not a {_kind(file.tables[name])}",
        place=f"{file.path}: {name}",
        remedy=f"Write [{name}] on a line of its own, and its keys below it.",
    )


def is_kind(kind: object) -> bool:
    """Tell whether a provider's ``settings`` are a ``Settings`` class or ``dict[str, …]``."""
    if typing.get_origin(kind) is dict:
        return typing.get_args(kind)[0] is str
    return isinstance(kind, type) and issubclass(kind, Settings)


def is_path(kind: Any) -> bool:
    """Tell whether a type is that of paths, such as ``pathlib.Path``; a file has a string there."""
    return isinstance(kind, type) and hasattr(kind, "__fspath__")


def _converted(value: Any, kind: Any) -> Any:
    """Convert a table, an array or a value; that of a path is a string.

    Raises:
        msgspec.ValidationError: the first mistake.
    """
    return msgspec.convert(value, kind, dec_hook=_path)


def _path(kind: Any, value: Any) -> Any:
    if is_path(kind) and isinstance(value, str):
        return kind(value)
    if is_path(kind):
        raise ValueError("Expected `str`")
    raise NotImplementedError(f"no value of a file can be a {getattr(kind, '__name__', kind)}")


def unreadable(kind: Any) -> str:
    """Return why nothing can be converted to a kind, or an empty string.

    All types that it mentions are looked up, those of tables within it as well.
    """
    try:
        msgspec.json.Decoder(kind)
    except NameError as exc:  # a type that the type checker alone knows
        return f"{exc}; import it at run time, not under TYPE_CHECKING"
    except TypeError as exc:
        return str(exc)
    return ""


def convert(file: SettingsFile, provider: str, kind: Any) -> Any:
    """Return the provider's settings, checked: ``kind`` is a ``Settings`` or ``dict[str, …]``.

    Raises:
        RefusedError: every unknown key and wrong type, with file, table and key.
    """
    table = file.tables.get(provider, {})
    if not isinstance(table, dict):
        raise RefusedError(_no_table(file, provider))
    try:
        return _converted(table, kind)
    except msgspec.ValidationError:
        raise RefusedError(*_mistakes(_Place(file.path, provider), kind, table)) from None


@dataclass(frozen=True)
class _Place:
    """Where a value stands: its table as the file spells it, and the way from there."""

    file: str
    table: str
    way: str = ""

    def __str__(self) -> str:
        return f"{self.file}: [{self.table}] {self.way}".rstrip()

    @property
    def name(self) -> str:
        return f"[{self.table}.{self.way}]" if self.way else f"[{self.table}]"

    def key(self, key: str) -> _Place:
        way = f"{self.way}.{_quoted(key)}" if self.way else _quoted(key)
        return _Place(self.file, self.table, way)

    def item(self, index: int) -> _Place:
        return _Place(self.file, self.table, f"{self.way}[{index}]")

    def subtable(self, key: str) -> _Place:
        """Return the place of a table among tables; at the top it has a header of its own."""
        return self.key(key) if self.way else _Place(self.file, f"{self.table}.{_quoted(key)}")


def _mistakes(place: _Place, kind: Any, value: Any) -> list[Problem]:
    """Return all that is wrong with a value; msgspec itself stops at the first mistake."""
    try:
        _converted(value, kind)
    except msgspec.ValidationError as exc:
        reason = str(exc)
    else:
        return []
    kind = _without_none(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    found: list[Problem] = []
    if isinstance(value, dict) and _is_plain_struct(kind):
        # a Settings class may check its values in __post_init__
        return _mistakes_of_keys(place, kind, value) or [Problem(reason, place=str(place))]
    if isinstance(value, dict) and origin is dict:
        for key, one in value.items():
            found += _mistakes(place.subtable(key), inner[1], one)
    elif isinstance(value, list) and _is_plain_array(origin, inner):
        for index, one in enumerate(value):
            found += _mistakes(place.item(index), inner[0], one)
    return found or [_problem(reason, place, kind)]


def _mistakes_of_keys(place: _Place, kind: Any, values: Mapping[str, Any]) -> list[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems: list[Problem] = []
    for key, value in values.items():
        if key in fields:
            problems += _mistakes(place.key(key), fields[key].type, value)
        elif kind.__struct_config__.forbid_unknown_fields:
            known = f"Keys of {place.name} are {', '.join(fields) or 'none'}."
            problems.append(
                Problem(
                    f"unknown key {key!r} in {place.name}",
                    place=str(place.key(key)),
                    remedy=nearest(key, fields) or known,
                )
            )
    return problems + [
        Problem(f"{place.name} lacks the key {name!r}", place=str(place))
        for name, field in fields.items()
        if field.required and name not in values
    ]


def _problem(message: str, place: _Place, kind: Any) -> Problem:
    what, _, path = message.partition(" - at `$")
    path = path.removesuffix("`")
    for old, new in (("Expected", "expected"), ("Object", "table"), ("object", "table"), ("`", "")):
        what = what.replace(old, new)
    unknown = message.partition("unknown field `")[2].partition("`")[0]
    remedy = nearest(unknown, _field_names(kind)) if unknown else ""
    return Problem(what, place=f"{place}{path}", remedy=remedy or "Correct the value.")


def _without_none(kind: Any) -> Any:
    """Return ``X`` for ``X | None``."""
    rest = [inner for inner in typing.get_args(kind) if inner is not type(None)]
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return rest[0] if union and len(rest) == 1 else kind


def _is_plain_array(origin: Any, inner: tuple[Any, ...]) -> bool:
    """Tell whether a kind is an array of one kind, of any length."""
    if origin is tuple:
        return inner[1:] == (...,)
    return origin in (list, set, frozenset)


def _is_plain_struct(kind: Any) -> bool:
    """Tell whether a kind is a struct whose keys are its fields and nothing else."""
    if not _is_struct(kind):
        return False
    config = kind.__struct_config__
    return config.tag is None and not config.array_like


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
