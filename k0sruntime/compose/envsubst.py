"""``$`` in a file that k0sctl reads: it replaces ``$NAME`` and ``${…}`` by its own environment.

That happens to the text of the whole file, before it is read as YAML, so that no quotes help; what
it does not know becomes empty. ``$$`` is a plain ``$``. Source: k0sctl ``cmd/flags.go``
(``envsubst.Bytes``) and a8m/envsubst ``parse/lex.go``, which has the escape since 1.1.
"""

from __future__ import annotations

from typing import Any


def escaped(value: Any) -> Any:
    """Return a value, texts and keys within it included, as it must stand in the file."""
    return _each(value, "$", "$$")


def read(value: Any) -> Any:
    """Return a value of the file as k0sctl has it where it has no variables in it."""
    return _each(value, "$$", "$")


def _each(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, (list, tuple)):
        return [_each(item, old, new) for item in value]
    if isinstance(value, dict):
        return {_each(key, old, new): _each(item, old, new) for key, item in value.items()}
    return value
