"""Addresses that containerd cannot listen on, whatever the machine: it exits at its start.

Judged by their form alone. A name may be known to the machine's resolver, and so may a service's
be; an address may be another machine's, and a port taken: that only a start tells. Sources:
containerd ``cmd/containerd/command/main.go`` (``net.Listen("tcp", …)``), 2.3 ``plugins/server``;
CRI's streaming server (``internal/cri/streamingserver.go``); Go's ``net.SplitHostPort``,
``net.parsePort`` and ``isDomainName``. Seen on 1.7.24 and 2.1.9; ``config dump`` says nothing.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from k0sruntime.compose.layers import dotted
from k0sruntime.compose.schema import CRI
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path

SERVERS = (("metrics", "address"), ("grpc", "tcp_address"), ("debug", "address"))
HIGHEST_PORT = 65535
_NUMBER = re.compile(r"[+-]?[0-9]+")
_NO_SERVICE = re.compile(r"[/:@\\[\]{}$]")
"""What a service's name never has; ``/etc/services`` may know any other."""
_NUMERIC = re.compile(r"[0-9.]+")
_NO_NAME = re.compile(r"[\s/:@*\\[\]{}$]")
"""What a machine's name never has, and Go does not ask for."""


def fault_of(address: str) -> str:
    """Return why nobody can listen on ``HOST:PORT``; empty where it may be."""
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            return "it has no port behind its bracket"
        port = rest[1:]
    else:
        host, colon, port = address.rpartition(":")
        if not colon:
            return "it has no port"
        if ":" in host:
            return "it has too many colons"
    return host_fault(host) or port_fault(port)


def host_fault(host: str) -> str:
    """Return why a text is no host to listen on; empty where it may be one."""
    if _NUMERIC.fullmatch(host) and not _is_ip(host):
        return f"{host!r} is no IP address"
    return f"{host!r} is no host" if _NO_NAME.search(host) and not _is_ip(host) else ""


def port_fault(port: str) -> str:
    """Return why a text is no port; empty where it may be one."""
    if _NUMBER.fullmatch(port):
        return "" if 0 <= int(port[:9]) <= HIGHEST_PORT else f"{port} is no port"
    return f"{port!r} is no port" if _NO_SERVICE.search(port) else ""


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def bad_address(case: Case) -> Iterator[Hit]:
    """Find addresses on which nobody can listen; a value of a wrong type is K0R003's."""
    for path in SERVERS:
        value = table_at(case.effective.document, path[0]).get(path[1])
        if not isinstance(value, str) or not value:
            continue
        if path[0] == "debug" and value.startswith("/"):
            continue  # a socket's path
        if fault := fault_of(value):
            yield _hit(case, path, value, fault, "HOST:PORT, such as 127.0.0.1:1338")
    streaming = case.effective.table("plugins", CRI)
    for key, judge, right in (
        ("stream_server_address", host_fault, "an IP address, such as 127.0.0.1"),
        ("stream_server_port", port_fault, "a number; 0 takes any that is free"),
    ):
        value = streaming.get(key)
        if isinstance(value, str) and (fault := judge(value)):
            yield _hit(case, ("plugins", CRI, key), value, fault, right)


def _hit(case: Case, path: Path, value: str, fault: str, right: str) -> Hit:
    where = dotted(path[-2:] if len(path) == 2 else path[-1:])
    what = f"containerd cannot listen on {where} = {value!r}: {fault}"
    return Hit(case.setter(path), what, f"Write {right}.", path)


RULES = (
    Rule(
        "K0R110",
        "bad-address",
        "an address that containerd cannot listen on",
        "stops the node",
        bad_address,
    ),
)
"""K0R110: addresses."""
