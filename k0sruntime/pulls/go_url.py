"""URLs as Go's ``net/url`` reads them, for that is what containerd asks.

Python's ``urlsplit`` reads some of them in another way: ``httpbin.local:5000`` is a scheme to Go,
and a blank in a host is an error. Source: Go ``src/net/url/url.go``.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
import string
from dataclasses import dataclass

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"(?:[A-Za-z0-9!$&'()*+,;=<>\"._~-]|[^\x00-\x7f])*")
_BRACKETED = re.compile(r"\[[^\[\]\s]+\]")
_PORT = re.compile(r"(:\d*)?")
_USER = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
IN_PATH = "!$&'()*+,;=:@/[]"
"""What may stand in a path beside letters, digits and ``-._~`` (RFC 3986, 3.3)."""
_UNRESERVED = string.ascii_letters + string.digits + "-._~"
_ESCAPED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


@dataclass(frozen=True)
class GoURL:
    """A URL's parts, as far as containerd looks at them.

    Attributes:
        scheme: in lower case; empty where there is none.
        host: with its port; empty for ``httpbin.local`` and other URLs without ``//``.
        path: unescaped.
        user: a user or a password stood before the host; containerd leaves them out.
        query: what stood behind a question mark; containerd leaves it out.
    """

    scheme: str
    host: str
    path: str
    user: bool = False
    query: str = ""


def parse(text: str) -> GoURL | None:
    """Read a URL, or return ``None`` where Go's ``url.Parse`` has an error."""
    text, _, fragment = text.partition("#")
    if _CONTROL.search(text + fragment) or _ESCAPE.search(fragment) or text.startswith(":"):
        return None
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    rest, _, query = text[found.end() if found else 0 :].partition("?")
    if not rest.startswith("/"):
        if scheme:
            return GoURL(scheme, "", "", query=query)  # an opaque URL, such as mailto:
        if ":" in rest.partition("/")[0]:
            return None
    user, host = "", ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user, _, host = authority.rpartition("@")
        if not (_USER.fullmatch(user) and _is_host(host)):
            return None
    if _ESCAPE.search(rest):
        return None
    path = _ESCAPED.sub(
        lambda part: bytes.fromhex(part[0].replace("%", "")).decode(errors="replace"), rest
    )
    return GoURL(scheme, host, path, bool(user), query)


def _is_host(host: str) -> bool:
    if bracketed := _BRACKETED.match(host):
        return bool(_PORT.fullmatch(host[bracketed.end() :]))
    name, colon, port = host.partition(":")
    return bool(_HOST.fullmatch(name) and _PORT.fullmatch(colon + port))


def clean(path: str) -> str:
    """Return a path as Go's ``path.Clean`` leaves it."""
    found = posixpath.normpath(path)
    return found[1:] if found.startswith("//") else found


def escaped(text: str, plain: str = "") -> str:
    """Return a text as it stands in a URL; ``plain`` has the signs that may stay (``IN_PATH``)."""
    keep = _UNRESERVED + plain
    return "".join(chr(byte) if chr(byte) in keep else f"%{byte:02X}" for byte in text.encode())


def split_port(host: str) -> tuple[str, str]:
    """Return a host and its port; the port is empty where Go's ``net.SplitHostPort`` fails."""
    if found := re.fullmatch(r"\[([^\[\]]*)\]:([^:]*)", host):
        return found[1], found[2]
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not set(":[]") & set(name) else (host, "")


def is_loopback(host: str) -> bool:
    """Tell whether containerd takes a host for this machine (``docker.IsLocalhost``)."""
    name, _ = split_port(host)
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
