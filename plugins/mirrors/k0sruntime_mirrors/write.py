"""The settings as TOML text, for a person to look through and to keep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from k0sruntime_mirrors.settings import MASK

Tables = dict[str, dict[str, Any]]
"""Registry to its table: what stands in the settings file, as plain data."""

SECRETS = ("password", "auth", "identity_token")
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


def masked(tables: Tables) -> Tables:
    """Return the tables with every password, token and header masked."""
    return {name: _masked(table) for name, table in tables.items()}


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {inner: _masked(found, _key(key, inner)) for inner, found in value.items()}
    if key in ("headers", *SECRETS):
        return [MASK] * len(value) if isinstance(value, list) else MASK
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _key(outer: str, inner: str) -> str:
    """Return the key that decides: every name below ``headers`` is one of theirs."""
    return outer if outer == "headers" else inner


def text(tables: Tables) -> str:
    """Return the settings as TOML, one ``[mirrors."…"]`` a registry."""
    parts = []
    for name, table in tables.items():
        lines = [f"[mirrors.{_name(name)}]"]
        lines += [f"{_name(key)} = {_outer(value)}" for key, value in table.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _outer(value: Any) -> str:
    """Return a value of a registry; endpoints stand one a line."""
    if isinstance(value, list) and value and (len(value) > 1 or isinstance(value[0], Mapping)):
        inner = "".join(f"  {_value(item)},\n" for item in value)
        return f"[\n{inner}]"
    return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_name(key)} = {_value(found)}" for key, found in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_value(item) for item in value)}]"
    return _string(str(value))


def _name(key: str) -> str:
    return key if key and not set(key) - set(PLAIN) else _string(key)


def _string(value: str) -> str:
    """Return a TOML basic string: JSON's escapes are a part of TOML's (toml.io, 1.0, String)."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
