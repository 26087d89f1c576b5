"""Secrets are masked in everything that is printed; files keep them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.compose.layers import Path

MASK = "****"
SECRET_KEYS = ("password", "auth", "identitytoken", "identity_token", "token", "registrytoken")
"""Keys of containerd's registry credentials (``registry.configs.*.auth``)."""
_SECRET_ENDS = (
    *("password", "passwd", "passphrase", "token", "secret", "auth", "auths", "credential"),
    *("credentials", "apikey", "accesskey", "accesskeyid", "secretkey", "privatekey"),
)
"""How keys of other programs' secrets end, hyphens and capitals left out: ``splunk-token``."""
SECRET_TABLES = ("header", "headers")
"""Tables whose values are sent to registries, credentials among them."""
_SETTING = re.compile(rf"^([-+ ]?\s*(?:{'|'.join(SECRET_KEYS)})\s*=\s*)(?!\s*{{).+$", re.IGNORECASE)
_GONE: Any = object()
"""Stands for a value that is not there."""
_LONGEST_WORD = 40
_LEAST_PLAIN = 4
"""A secret that is shorter is looked for between quotes alone, so that prose stays whole."""
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'""")
_NAMED = re.compile(r"(?P<head>-{0,2}(?P<name>[A-Za-z][\w.-]*)=)(?P<value>.+)", re.DOTALL)
_PUBLIC_HEADERS = ("accept", "accept-encoding", "accept-language", "user-agent")
"""Headers that let nobody in (RFC 9110, 10.1.5 and 12.5)."""
_PUBLIC_VALUE = re.compile(r"[!-~]|\d{1,3}|true|false|yes|no|on|off", re.IGNORECASE)
"""Values too short to hide anything; what any other stands for only its writer knows."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_AROUND = "'\"`)]}>,;:."
"""What may stand behind an URL in a sentence."""
_SPLIT = re.compile(
    r"(?P<scheme>(?:[A-Za-z][A-Za-z0-9+.-]*://)?)(?P<rest>[^?#]*)(?P<tail>.*)", re.DOTALL
)
_NAMESPACE = re.compile(r"\?ns=[^&#@]*")
"""The one query that containerd itself adds, and no secret: whose image a mirror is asked for."""


def value(path: Path, found: Any) -> Any:
    """Return a key's value as it may be shown; in a table, every value below it."""
    if isinstance(found, dict):
        return {key: value((*path, key), inner) for key, inner in found.items()}
    if any(part.lower() in SECRET_TABLES for part in path[:-1]) or _is_secret(path[-1]):
        return found if found is None or isinstance(found, bool) else MASK
    return _plain(found)


def _is_secret(key: str) -> bool:
    plain = re.sub(r"[-_. ]", "", key).lower()
    return key.lower() in SECRET_KEYS or plain.endswith(_SECRET_ENDS)


def table(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole configuration as it may be shown."""
    return {key: value((key,), inner) for key, inner in document.items()}


def _plain(found: Any) -> Any:
    """Return a value of no secret key: URLs in it may be secret all the same."""
    if isinstance(found, str):
        return text(found)
    if isinstance(found, list):
        return [table(item) if isinstance(item, dict) else _word(item) for item in found]
    return found


def _word(item: Any) -> Any:
    """Return a word of a command line or of an environment: ``--token=…`` and ``TOKEN=…``."""
    named = _NAMED.fullmatch(item) if isinstance(item, str) else None
    if named and _is_secret(named["name"]):
        return f"{named['head']}{MASK}"
    return _plain(item)


def source(found: str, document: Mapping[str, Any]) -> str:
    """Return a TOML file's own text as it may be shown, comments and layout kept.

    Args:
        found: the text.
        document: what it is parsed to; its secrets are masked wherever they stand.
    """
    for secret in sorted(set(_secrets(document, secret=False)), key=len, reverse=True):
        for spelled in dict.fromkeys((secret, json.dumps(secret, ensure_ascii=False)[1:-1])):
            for quote in "\"'":
                found = found.replace(f"{quote}{spelled}{quote}", f"{quote}{MASK}{quote}")
            if len(spelled) >= _LEAST_PLAIN:
                found = found.replace(spelled, MASK)
    return text(found)


def _secrets(found: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(found, dict):
        for key, inner in found.items():
            leaf = _is_secret(key) and not isinstance(inner, dict)
            yield from _secrets(inner, secret=secret or leaf or key.lower() in SECRET_TABLES)
    elif isinstance(found, list):
        for item in found:
            named = _NAMED.fullmatch(item) if isinstance(item, str) else None
            if named and _is_secret(named["name"]):
                yield item
                yield named["value"]
            yield from _secrets(item, secret=secret)
    elif secret and isinstance(found, str) and found:
        yield found


def holds_secret(table: Mapping[str, Any]) -> bool:
    """Tell whether a configuration holds credentials of registries, or headers for them."""
    return any(
        (key.lower() in SECRET_KEYS and isinstance(inner, str) and inner != "")
        or (key in SECRET_TABLES and bool(inner))
        or (isinstance(inner, dict) and holds_secret(inner))
        for key, inner in table.items()
    )


def header(name: str, content: str) -> str:
    """Return a header's value as it may be shown: masked where it may let somebody in."""
    public = name.lower() in _PUBLIC_HEADERS or _PUBLIC_VALUE.fullmatch(content)
    return content if public else MASK


def diff(found: str, *, whole: bool) -> str:
    """Return a unified difference as it may be shown.

    Args:
        found: the difference.
        whole: it is of a file that only its owner may read: all its values are masked.
    """
    lines = [_line(line, whole=whole) for line in found.splitlines()]
    shown = [line for line in lines if line is not None]
    return "\n".join(shown) + ("\n" if shown else "")


def json_texts(before: bytes, after: bytes, *, private: bool) -> tuple[str, str] | None:
    """Return two states of a JSON file as they may be shown; ``None`` where one is no JSON object.

    Secrets are masked by what the file says, not by how it is written.

    Args:
        before: what lies there; empty for nothing.
        after: what is to lie there.
        private: only its owner may read it: then only what changes is shown, and that is ours.
    """
    try:
        states = [json.loads(content) if content.strip() else {} for content in (before, after)]
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(state, dict) for state in states):
        return None
    kept = states[::-1] if private else [_GONE, _GONE]
    shown = [_json(state, other, ()) for state, other in zip(states, kept, strict=True)]
    texts = [json.dumps(state, indent=4, ensure_ascii=False) + "\n" for state in shown]
    present = [bool(content.strip()) for content in (before, after)]
    return texts[0] * present[0], texts[1] * present[1]


def _json(found: Any, other: Any, path: Path) -> Any:
    """Return a value as it may be shown; one that is the same in ``other`` is not."""
    if path and _is_secret(path[-1]):
        return found if found is None or isinstance(found, bool) else MASK
    if isinstance(found, dict):
        inner = other if isinstance(other, dict) else {}
        return {
            key: _json(item, inner.get(key, _GONE), (*path, key)) for key, item in found.items()
        }
    return MASK if found == other else value(path, found)


def _line(line: str, *, whole: bool) -> str | None:
    if line[:3] in ("---", "+++") or line[:2] == "@@":
        return line
    if not whole:
        return text(_SETTING.sub(rf"\g<1>{MASK}", line))
    if "PRIVATE KEY" in line or _base64(line[1:]):
        return None
    if "=" in line:
        return f"{text(line.split('=', 1)[0])}= {MASK}"
    header = line[1:].lstrip().startswith("[")
    return text(line) if header else _QUOTED.sub(f'"{MASK}"', line)


def _base64(word: str) -> bool:
    plain = word.replace("+", "a").replace("/", "a").rstrip("=")
    return len(word) > _LONGEST_WORD and plain.isalnum()


def url(found: str) -> str:
    """Return an URL as it may be shown: without user, password and query, which may be a token.

    A password that holds a slash or a second ``@`` is masked as well, though it makes the URL a
    wrong one; what comes out then has lost more than the password.
    """
    split = _SPLIT.fullmatch(found)
    if split is None or not set("@?#") & set(found):
        return found
    scheme, rest, tail = split.groups()
    if "@" in rest:
        rest = f"{MASK}@{rest.rpartition('@')[2]}"
    elif "@" in tail and "/" not in rest:  # a password with a question mark
        rest = MASK
    if not tail or _NAMESPACE.fullmatch(tail):
        return scheme + rest + tail
    return f"{scheme}{rest}{tail[0]}{MASK}"


masked_url = url
"""The same, for providers."""


def text(found: str) -> str:
    """Return a sentence as it may be shown: every URL in it masked."""
    return _URL.sub(_masked_url, found) if "://" in found else found


masked_text = text
"""The same, for providers."""


def _masked_url(match: re.Match[str]) -> str:
    bare = match[0].rstrip(_AROUND)
    return url(bare) + match[0][len(bare) :]
