"""Which proxy containerd goes through for an URL, by the environment that it runs in.

Source: Go ``net/http`` (``ProxyFromEnvironment``) and ``golang.org/x/net/http/httpproxy``. Python's
own ``urllib`` knows no networks in ``NO_PROXY``, and asks a proxy for this machine's own addresses.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """Return the URL of the proxy that an URL is asked through; empty for none.

    Raises:
        ValueError: the URL has no port that is one.
    """
    parts = urlsplit(url)
    name = f"{parts.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name) or ""
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    if not proxy or _is_here(host):
        return ""
    without = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    if any(_spares(item.strip().lower(), host, port) for item in without.split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _spares(item: str, host: str, port: int) -> bool:
    """Tell whether an item of ``NO_PROXY`` names a host: itself, its domain, its network."""
    if item in ("", "*"):
        return item == "*"
    address = _address(host)
    if "/" in item:
        return address is not None and _within(address, item)
    name, colon, wanted = item.rpartition(":")
    if colon and wanted.isdigit() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        item = name
    item = item.strip("[]")
    if address is not None:
        return address == _address(item)
    domain = item.removeprefix("*").removeprefix(".")
    bare = item == domain and host == domain
    return bare or (bool(domain) and host.endswith(f".{domain}"))


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
