"""TOML values as contributions carry them, and the checks that every name and table passes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

Value = (
    str
    | bool
    | int
    | float
    | dt.datetime
    | dt.date
    | dt.time
    | Sequence["Value"]
    | Mapping[str, "Value"]
)
"""A TOML value. Tables are mappings, arrays are sequences."""

Table = Mapping[str, Value]

DEPTH_LIMIT = 32
"""Deeper tables than this are a mistake (a recursion), not a configuration."""


def check_name(kind: str, name: str, pattern: re.Pattern[str]) -> None:
    """Refuse a name that does not match ``pattern`` as a whole.

    Raises:
        ValueError: the name is empty, too long, or holds a character that has no place there.
    """
    if not pattern.fullmatch(name):
        raise ValueError(f"{kind} {name!r} must match {pattern.pattern}")


def check_table(kind: str, value: object, depth: int = 0) -> None:
    """Refuse what cannot stand in a TOML file: other types, no-string keys, endless depth.

    Raises:
        ValueError: names the key's path inside ``kind``.
    """
    if depth > DEPTH_LIMIT:
        raise ValueError(f"{kind} is nested deeper than {DEPTH_LIMIT} tables")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{kind} has the key {key!r}, which is not a string")
            check_table(f"{kind}.{key}", inner, depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            check_table(f"{kind}[{index}]", inner, depth + 1)
    elif not isinstance(value, str | bool | int | float | dt.datetime | dt.date | dt.time):
        raise ValueError(f"{kind} is a {type(value).__name__}, which TOML does not have")
