"""Hosts files: ``certs.d/<registry>/hosts.toml`` as containerd 1.7 and 2.x read it alike.

Root keys come first (after a ``[host.…]`` header they would belong to that host), every host is a
table header of its own (inline tables are dropped by 2.x), and a host's header table follows it
at once (otherwise 2.x lists the host twice). A file without hosts has an empty table of them, for
1.7 wants one. Source: containerd 2.3
``core/remotes/docker/config/hosts.go``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k0sruntime.compose.dropins import header as owner_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.contributions import Host, HostsFile, Owner

NO_HOSTS = "[host]"
"""An empty table: without any, containerd 1.7 refuses the whole file (``invalid host tree``)."""


def render(file: HostsFile, owner: Owner) -> str:
    """Return the text of ``hosts.toml``."""
    lines = [owner_header(owner).rstrip("\n")]
    if file.server is not None:
        lines.append(f"server = {_string(file.server.url)}")
        lines += _keys(file.server)
        lines += _header(file.server, "header")
    for host in file.hosts:
        table = f"host.{_string(host.url)}"
        lines += ["", f"[{table}]", *_keys(host), *_header(host, f"{table}.header")]
    if not file.hosts:
        lines += ["", NO_HOSTS]
    return "\n".join(lines) + "\n"


def _keys(host: Host) -> list[str]:
    lines = [f"capabilities = {_array(host.capabilities)}"]
    if host.ca:
        lines.append(f"ca = {_array(host.ca)}")
    if host.client:
        # An empty key would be read as the folder itself, and fail every pull.
        pairs = (_array((certificate, key or certificate)) for certificate, key in host.client)
        lines.append(f"client = [{', '.join(pairs)}]")
    if host.skip_verify:
        lines.append("skip_verify = true")
    if host.override_path:
        lines.append("override_path = true")
    if host.dial_timeout:
        lines.append(f"dial_timeout = {_string(host.dial_timeout)}")
    return lines


def _header(host: Host, table: str) -> list[str]:
    if not host.header:
        return []
    lines = [f"{_string(name)} = {_array(value)}" for name, value in host.header.items()]
    return [f"[{table}]", *lines]


def _array(values: Sequence[str]) -> str:
    return f"[{', '.join(_string(value) for value in values)}]"


def _string(value: str) -> str:
    """Return a TOML basic string: JSON's escapes are a part of TOML's (toml.io, 1.0, String)."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
