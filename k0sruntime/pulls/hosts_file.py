"""A hosts file decoded as containerd decodes it: all of it, or none.

Sources: containerd 2.3 ``core/remotes/docker/config/hosts.go`` (``parseHostsFile``,
``parseHostConfig``, ``getSortedHosts``) and the same file of 1.7; go-toml for the types and for
keys in any case.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.contributions import CAPABILITIES
from k0sruntime.lint.durations import is_duration
from k0sruntime.lint.hosts_text import headers
from k0sruntime.lint.hosts_values import REFERRERS_SINCE
from k0sruntime.lint.known_keys import HOST
from k0sruntime.lint.spec import fits, kind_of
from k0sruntime.pulls import go_url

if TYPE_CHECKING:
    from k0sruntime.lint.subject import File
    from k0sruntime.node import Version

ALL = ("pull", "push", "resolve")
"""What a host without ``capabilities`` is asked for; from 2.2 on ``referrers`` goes with it."""
_ANY_TYPE = ("ca", "client")


class UndecodableError(ValueError):
    """containerd refuses the file as a whole; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A host of a hosts file, or its root, as containerd understands it.

    Attributes:
        written: the URL as it stands in the file; empty for a root without ``server``.
        url: what Go makes of it; ``None`` for a root without ``server``.
        path: the path under which the registry's API is asked.
        capabilities: sorted.
        ca: paths of CA certificates; ``None`` where the key is not set.
        client: pairs of paths, certificate and key; an empty key means the same file.
        skip_verify: ``None`` where the key is not set.
        header: names and values.
    """

    written: str = ""
    url: go_url.GoURL | None = None
    path: str = ""
    capabilities: tuple[str, ...] = ALL
    ca: tuple[str, ...] | None = None
    client: tuple[tuple[str, str], ...] = ()
    skip_verify: bool | None = None
    header: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dial_timeout: str = ""

    @property
    def explicit_tls(self) -> bool:
        """TLS is spoken of: even ``skip_verify = false`` or ``ca = []`` counts."""
        return self.ca is not None or bool(self.client) or self.skip_verify is not None


def decode(file: File, containerd: Version) -> tuple[Entry, ...]:
    """Return the hosts in the order in which they are tried, the root last.

    Raises:
        UndecodableError: with what containerd logs before it goes on without the file.
    """
    if file.fault:
        raise UndecodableError(f"{file.fault.message} (line {file.fault.line})")
    if file.bom and containerd >= (2,):
        raise UndecodableError("it starts with a byte-order mark")
    root = _folded(file.document, containerd)
    _refuse_types(root, "", containerd)
    hosts = root.get("host")
    if hosts is None:
        if containerd < (2,):
            raise UndecodableError("containerd 1.7 wants a host table, if an empty one")
        hosts = {}
    if not isinstance(hosts, Mapping):
        raise UndecodableError(f"host is {kind_of(hosts)}; it must be a table")
    for name, table in hosts.items():
        if not isinstance(table, Mapping):
            raise UndecodableError(f"host {name!r} is {kind_of(table)}; it must be a table")
        _refuse_types(_folded(table, containerd), f"host {name!r}: ", containerd)
    order = _order(file.text) if containerd >= (2,) else list(hosts)
    entries = [_entry(name, hosts.get(name, {}), file.folder, containerd) for name in order]
    return (*entries, _entry(root.get("server") or "", root, file.folder, containerd))


def _order(text: str) -> list[str]:
    """Return the hosts as 2.x lists them: again for a header behind another host's."""
    found: list[str] = []
    for path, _ in headers(text):
        if not found or found[-1] != path[1]:
            found.append(path[1])
    return found


def _folded(table: Mapping[str, Any], containerd: Version) -> Mapping[str, Any]:
    """Return a table by the keys that containerd knows; only 2.x reads them in any case."""
    if containerd < (2,):
        return table
    return {key.lower(): value for key, value in table.items()} | dict(table)


def _refuse_types(table: Mapping[str, Any], where: str, containerd: Version) -> None:
    for name, key in HOST.items():
        value = table.get(name)
        if value is None or name in _ANY_TYPE or not key.known_to(containerd):
            continue
        if not fits(value, key.kind):
            raise UndecodableError(f"{where}{name} is {kind_of(value)}; it must be a {key.kind}")
    if not where and not isinstance(table.get("server") or "", str):
        raise UndecodableError("server must be a string")


def _entry(written: str, keys: Mapping[str, Any], folder: str, containerd: Version) -> Entry:
    table = _folded(keys, containerd)
    url, path = _url(written, override=bool(table.get("override_path")))
    known = HOST["dial_timeout"].known_to(containerd)
    timeout = (table.get("dial_timeout") or "") if known else ""
    if timeout and not is_duration(timeout):
        raise UndecodableError(f"dial_timeout {timeout!r} is no duration")
    return Entry(
        written,
        url,
        path,
        _capabilities(table.get("capabilities") or [], containerd),
        _ca(table.get("ca"), folder),
        _client(table.get("client"), folder),
        table.get("skip_verify"),
        _header(table.get("header") or {}),
        timeout,
    )


def _url(written: str, *, override: bool) -> tuple[go_url.GoURL | None, str]:
    if not written:
        return None, ""
    url = go_url.parse(written if written.startswith("http") else f"https://{written}")
    if url is None:
        raise UndecodableError(f"{masking.url(written)!r} is no URL")
    path = go_url.clean(url.path) if url.path else ""
    if not override and not path.endswith("/v2"):
        path += "/v2"
    return url, path


def _capabilities(values: list[str], containerd: Version) -> tuple[str, ...]:
    known = CAPABILITIES if containerd >= REFERRERS_SINCE else CAPABILITIES[:3]
    for value in values:
        if value.lower() not in known:
            raise UndecodableError(f"unknown capability {value!r}")
    return tuple(sorted({value.lower() for value in values})) or ALL


def _ca(value: Any, folder: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return (posixpath.join(folder, value),)
    if not fits(value, "list of strings"):
        raise UndecodableError("ca must be a string or a list of strings")
    return tuple(posixpath.join(folder, item) for item in value)


def _client(value: Any, folder: str) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    pairs = [value] if isinstance(value, str) else value
    if not isinstance(pairs, list):
        raise UndecodableError("client must be a string or a list")
    found = []
    for pair in pairs:
        if isinstance(pair, str):
            found.append((posixpath.join(folder, pair), ""))
        elif fits(pair, "list of strings") and len(pair) == 2:
            # An empty key becomes the folder itself, which cannot be read.
            found.append((posixpath.join(folder, pair[0]), posixpath.join(folder, pair[1])))
        else:
            raise UndecodableError("client must hold files, or pairs of certificate and key")
    return tuple(found)


def _header(table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, value in table.items():
        if not isinstance(value, str) and not fits(value, "list of strings"):
            raise UndecodableError(f"header {name!r} must be a string or a list of strings")
        found[name] = (value,) if isinstance(value, str) else tuple(value)
    return found
