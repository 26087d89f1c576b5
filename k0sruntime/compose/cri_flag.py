"""``--cri-socket`` as k0s reads it: ``<type>:<url>``, its errors in its own words.

What k0s takes and we do not is refused as our own rule. Sources: k0s
``pkg/component/worker/cri_runtime.go``, whose URL the kubelet dials by its path (cri-client
``pkg/util/util_unix.go``). The flag's own help still names ``docker``, and k0s takes ``remote``
alone.
"""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k0sruntime.pulls.go_url import GoURL

FLAG = "--cri-socket"
OURS = "k0s takes it; k0sruntime wants remote:unix:///an/absolute/path"


def endpoint(value: str) -> str:
    """Return the URL that k0s hands to the kubelet; empty for an empty value (k0s's own).

    ``remote:`` has an empty URL as well, and means no CRI at all: see ``asked``.

    Raises:
        ValueError: what k0s says before it stops.
    """
    if not value:
        return ""
    kind, colon, url = value.partition(":")
    if not colon:
        raise ValueError("CRI socket flag must be of the form <type>:<url>")
    if kind != "remote":
        quoted = json.dumps(kind, ensure_ascii=False)
        raise ValueError(f'unknown runtime type {quoted}, only "remote" is supported')
    if _parsed(url) is None:
        quoted = json.dumps(url, ensure_ascii=False)
        raise ValueError(f"failed to parse runtime endpoint: parse {quoted}: not a URL to Go")
    return url


def asked(value: str) -> str:
    """Return the URL that an operator asks for; empty for an empty value.

    Raises:
        ValueError: k0s does not take it, in its words; or we do not, and whose rule that is.
    """
    url = endpoint(value)
    if value and not url:
        raise ValueError(f"it names no socket, and the kubelet would have none: {OURS}")
    found = _parsed(url)
    if found and found.query:
        raise ValueError(f"the kubelet leaves out what follows the question mark: {OURS}")
    if url and not url.startswith("unix:///"):
        raise ValueError(OURS)
    return url


def path(value: str) -> str:
    """Return the path that the kubelet dials for a value of the flag.

    Empty where k0s does not start with it, or where it is no Unix socket.
    """
    try:
        found = _parsed(endpoint(value))
    except ValueError:
        return ""
    return found.path if found and found.scheme in ("unix", "") else ""


def same_path(one: str, other: str) -> bool:
    """Tell whether two paths are one socket: ``/var/run`` is a link to ``/run``."""
    return _plain(one) == _plain(other)


def flag(url: str) -> str:
    """Return the flag that points k0s at a socket."""
    return f"{FLAG}=remote:{url}"


def _plain(text: str) -> str:
    plain = posixpath.normpath(text)
    return plain.removeprefix("/var") if plain.startswith("/var/run/") else plain


def _parsed(url: str) -> GoURL | None:
    from k0sruntime.pulls import go_url  # seldom needed, and not free

    return go_url.parse(url)
