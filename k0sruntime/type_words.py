"""Types and values of settings in the words of the file that the operator writes: TOML's."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import types
import typing
import uuid
from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from k0sruntime.settings import is_path

if TYPE_CHECKING:
    from collections.abc import Iterable

WORDS: Mapping[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    decimal.Decimal: "number or string",
    Any: "any value",
    object: "any value",
    bytes: "string",
    bytearray: "string",
    uuid.UUID: "string",
    dt.datetime: "date with time",
    dt.date: "date",
    dt.time: "time",
    dt.timedelta: "string",
    type(None): "nothing",
    **dict.fromkeys((list, tuple, set, frozenset), "array"),
    dict: "table",
}
"""How a plain type stands in a file (TOML 1.0; what msgspec converts to it)."""


def type_words(kind: Any) -> str:
    """Return a type in TOML's words, such as ``array of string``."""
    kind = without_none(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return _choices(inner)
    if origin in (typing.Union, types.UnionType):
        kinds = [type_words(one) for one in inner if one is not type(None)]
        return " or ".join(dict.fromkeys(kinds))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "table"
    if isinstance(origin, type) and issubclass(origin, Collection):
        kinds = [type_words(one) for one in inner if one is not ...]
        return f"array of {' or '.join(dict.fromkeys(kinds))}" if kinds and kinds[0] else "array"
    if not isinstance(kind, type):
        return WORDS.get(kind, f"{kind}, which no file can hold")
    return _class_words(kind)


def _class_words(kind: type) -> str:
    if issubclass(kind, enum.Enum):
        return _choices([one.value for one in kind])
    if is_struct(kind) or is_dataclass(kind) or hasattr(kind, "__total__"):  # a TypedDict
        return "table"
    if issubclass(kind, tuple):  # a NamedTuple
        return "array"
    if is_path(kind):
        return "string"
    return WORDS.get(kind, f"{kind.__name__}, which no file can hold")


def _choices(values: Iterable[Any]) -> str:
    return " | ".join(json.dumps(value, default=str) for value in values if value is not None)


def in_toml(value: Any) -> str:
    """Return a default as it would stand in a file; TOML has numbers that JSON has not."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(in_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def is_struct(kind: Any) -> bool:
    """Tell whether a kind is a class of settings, or of a table in them."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def without_none(kind: Any) -> Any:
    """Return ``X`` for ``X | None``, and for what only gives it another name or bounds."""
    if typing.get_origin(kind) is typing.Annotated:
        return without_none(typing.get_args(kind)[0])
    if hasattr(kind, "__supertype__"):  # a NewType
        return without_none(kind.__supertype__)
    rest = [inner for inner in typing.get_args(kind) if inner is not type(None)]
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return without_none(rest[0]) if union and len(rest) == 1 else kind
