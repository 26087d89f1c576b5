"""Secrets are masked in everything that is printed; files keep them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose.layers import Path

MASK = "****"
SECRET_KEYS = ("password", "auth", "identitytoken", "identity_token", "token", "registrytoken")
"""Keys of containerd's registry credentials (``registry.configs.*.auth``)."""
SECRET_TABLES = ("header", "headers")
"""Tables whose values are sent to registries, credentials among them."""
_SETTING = re.compile(rf"^([-+ ]?\s*(?:{'|'.join(SECRET_KEYS)})\s*=\s*)(?!\s*{{).+$", re.IGNORECASE)
_LONGEST_WORD = 40
_SECRET_HEADER = re.compile(
    r"auth|token|cookie|secret|password|passwd|credential|signature|session|key", re.IGNORECASE
)
_SECRET_VALUE = re.compile(r"(bearer|basic|digest|negotiate|token)\s|\S{20,}", re.IGNORECASE)
"""Schemes of ``Authorization`` under whatever name, and words too long for a plain one."""


def value(path: Path, found: Any) -> Any:
    """Return a key's value as it may be shown."""
    secret = path[-1].lower() in SECRET_KEYS or any(part in SECRET_TABLES for part in path[:-1])
    return MASK if secret and found is not None and found != {} else found


def holds_secret(table: Mapping[str, Any]) -> bool:
    """Tell whether a configuration holds credentials of registries, or headers for them."""
    return any(
        (key.lower() in SECRET_KEYS and isinstance(inner, str) and inner != "")
        or (key in SECRET_TABLES and bool(inner))
        or (isinstance(inner, dict) and holds_secret(inner))
        for key, inner in table.items()
    )


def header(name: str, content: str) -> str:
    """Return a header's value as it may be shown: masked where it can let somebody in."""
    return MASK if _SECRET_HEADER.search(name) or _SECRET_VALUE.match(content) else content


def diff(text: str, *, whole: bool) -> str:
    """Return a unified difference as it may be shown.

    Args:
        text: the difference.
        whole: it is of a file that only its owner may read: all its values are masked.
    """
    lines = [_line(line, whole=whole) for line in text.splitlines()]
    shown = [line for line in lines if line is not None]
    return "\n".join(shown) + ("\n" if shown else "")


def _line(line: str, *, whole: bool) -> str | None:
    if line[:3] in ("---", "+++") or line[:2] == "@@":
        return line
    if not whole:
        return _SETTING.sub(rf"\g<1>{MASK}", line)
    if "PRIVATE KEY" in line or _base64(line[1:]):
        return None
    return f"{line.split('=', 1)[0]}= {MASK}" if "=" in line else line


def _base64(word: str) -> bool:
    plain = word.replace("+", "a").replace("/", "a").rstrip("=")
    return len(word) > _LONGEST_WORD and plain.isalnum()


def url(text: str) -> str:
    """Return an URL as it may be shown: without user, password and query, which may be a token."""
    plain = re.sub(r"^([a-z]+://)[^/@]*@", rf"\1{MASK}@", text)
    head, mark, _ = plain.partition("?")
    return f"{head}?{MASK}" if mark else head
