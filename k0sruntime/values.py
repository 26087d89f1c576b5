"""TOML values as contributions carry them, and the checks that every name and table passes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

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


CONTROL = re.compile(r"(?!\r\n)[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tab and line feed; a carriage return before a line feed is fine."""

LARGEST = 1 << 20
"""Bytes of one table or one file: more is a mistake, not a configuration."""


PLAIN: Mapping[object, type] = {
    **{name.__name__: name for name in (str, bool, int)},
    **{name: name for name in (str, bool, int)},
}
"""Annotations of fields, as they stand in the source or as they are, that are checked as such."""


def check_plain(contribution: Any) -> None:
    """Refuse a field of text, of a switch or of a number that holds something else.

    Raises:
        ValueError: names the contribution and the field.
    """
    for field in dataclasses.fields(contribution):
        value, wanted = getattr(contribution, field.name), PLAIN.get(field.type)
        if wanted and (not isinstance(value, wanted) or (wanted is int and value is bool(value))):
            raise ValueError(
                _not_a(f"{field.name} of a {type(contribution).__name__}", wanted, value)
            )


def check_kind(kind: str, value: object, wanted: type) -> None:
    """Refuse what is of another class.

    Raises:
        ValueError: names the kind, and what it should be.
    """
    if not isinstance(value, wanted):
        raise ValueError(_not_a(kind, wanted, value))


def check_items(kind: str, value: object, wanted: type) -> None:
    """Refuse what is no list of things of one class.

    Raises:
        ValueError: names the kind, and what it should be.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ValueError(f"{kind} must be a list, not {_shown(value)}")
    for number, item in enumerate(value):
        check_kind(f"number {number + 1} of {kind}", item, wanted)


def _not_a(kind: str, wanted: type, value: object) -> str:
    words = {str: "text", bool: "true or false", int: "a whole number"}
    return f"{kind} must be {words.get(wanted, f'a {wanted.__name__}')}, not {_shown(value)}"


def _shown(value: object) -> str:
    """Return what kind of value it is; it may be a secret, so that only its class is told."""
    return f"a {type(value).__name__}"


def check_text(kind: str, text: object) -> None:
    """Refuse the content of a file that is no text, or huge.

    Raises:
        ValueError: names the kind.
    """
    if not isinstance(text, str):
        raise ValueError(f"{kind} must be text, not a {type(text).__name__}")
    _refuse_surrogates(kind, text)
    if found := CONTROL.search(text):
        raise ValueError(f"{kind} has the control character {found[0]!r}, which is not for text")
    _refuse_huge(kind, len(text.encode()))


def check_printable(kind: str, text: object) -> None:
    """Refuse what is no single line: control characters end up on terminals and in headers.

    Raises:
        ValueError: names the kind.
    """
    if not isinstance(text, str) or not text.isprintable():
        raise ValueError(f"{kind} must be one line of text, not {text!r}")


def check_path(kind: str, path: str) -> None:
    """Refuse what is no absolute path of a file, or takes a way round.

    Raises:
        ValueError: names the kind and the path.
    """
    check_printable(kind, path)
    if not path.startswith("/") or posixpath.normpath(path) != path or path == "/":
        raise ValueError(f"{kind} must be an absolute path without a way round, not {path!r}")


def _refuse_huge(kind: str, size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"{kind} is larger than {LARGEST >> 20} MiB")


def _size(value: Any) -> int:
    """Return roughly how many bytes a value takes in a file."""
    if isinstance(value, dict):
        return sum(len(key) + _size(inner) + 4 for key, inner in value.items())
    if isinstance(value, list):
        return sum(_size(inner) + 2 for inner in value)
    return len(value) if isinstance(value, str) else 8


def check_name(kind: str, name: str, pattern: re.Pattern[str]) -> None:
    """Refuse a name that does not match ``pattern`` as a whole.

    Raises:
        ValueError: the name is empty, too long, or holds a character that has no place there.
    """
    if not pattern.fullmatch(name):
        raise ValueError(f"{kind} {name!r} must match {pattern.pattern}")


def check_strings(kind: str, value: object) -> None:
    """Refuse what is no list of one-line strings: above all a single word, a list of letters.

    Raises:
        ValueError: names the kind.
    """
    if isinstance(value, str | bytes) or not all(isinstance(item, str) for item in as_list(value)):
        raise ValueError(f"{kind} must be a list of strings, not {value!r}")
    for number, item in enumerate(as_list(value)):
        if not item.isprintable():  # it may be a secret: its place is told, not its text
            raise ValueError(
                f"number {number + 1} of {kind} must be one line without control codes"
            )


def as_list(value: object) -> list[Any]:
    """Return a sequence as a list; anything else as a list of that one thing."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def plain_table(kind: str, value: object) -> dict[str, Any]:
    """Return a table as plain dictionaries and lists, checked to fit into a TOML file.

    Whatever mapping a provider uses, the host merges and compares dictionaries.

    Raises:
        ValueError: another type, a key that is no string, endless depth, an integer of more than
            64 bits, or a character that UTF-8 does not have; the key's path is named.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{kind} must be a table, not a {type(value).__name__}")
    found: dict[str, Any] = _plain(kind, value, 0)
    _refuse_huge(kind, _size(found))
    return found


def _plain(kind: str, value: object, depth: int) -> Any:
    if depth > DEPTH_LIMIT:
        raise ValueError(f"{kind} is nested deeper than {DEPTH_LIMIT} tables")
    if isinstance(value, Mapping):
        return {
            _key(kind, key): _plain(f"{kind}.{key}", inner, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(f"{kind}[{index}]", inner, depth + 1) for index, inner in enumerate(value)]
    if not isinstance(value, str | bool | int | float | dt.datetime | dt.date | dt.time):
        raise ValueError(f"{kind} is a {type(value).__name__}, which TOML does not have")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{kind} is an integer of more than 64 bits")
    if isinstance(value, str):
        _refuse_surrogates(kind, value)
        return str.__str__(value)  # a member of a StrEnum as its plain text
    return value


def _key(kind: str, key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{kind} has the key {key!r}, which is not a string")
    _refuse_surrogates(f"a key of {kind}", key)
    check_printable(f"a key of {kind}", key)
    return key


def _refuse_surrogates(kind: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"{kind} has a character that UTF-8 does not have") from exc


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same to TOML: ``true``, ``1`` and ``1.0`` are not."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)
