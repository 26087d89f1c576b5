"""What containerd does for an image, for people and for scripts."""

from __future__ import annotations

import posixpath
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from k0sruntime import masked_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime import Resolution, ResolvedHost

HEADINGS = ("", "ASKED", "FOR", "CA", "ALSO")


def document(found: Resolution, containerd: str) -> dict[str, Any]:
    """Return a resolution as plain data.

    ``hosts`` has what containerd's own client has of each host; ``asked`` has one URL a host,
    ``null`` where it is passed over because it may not resolve.
    """
    return {
        "kind": "Resolution",
        "schema": 1,
        "image": found.name,
        "registry": found.registry,
        "containerd": containerd,
        "folder": found.folder or None,
        "hosts": [host.document() for host in found.hosts],
        "asked": [masked_url(url) or None for url in found.asked],
        "error": bool(found.failures),
        "failures": list(found.failures),
        "warnings": [asdict(warning) for warning in found.warnings],
    }


def text(found: Resolution, folders: Sequence[str], containerd: str) -> str:
    """Return a resolution as a person reads it: hosts, warnings, and why every pull fails."""
    where = found.folder or f"no folder in {' or '.join(folders) or 'any place'}"
    lines = [found.name, f"{where}, as containerd {containerd} reads it", ""]
    if found.hosts:
        lines += [*_table(found), ""]
    for warning in found.warnings:
        first, *rest = warning.lines()
        lines += [f"warning: {first}", *rest]
    lines += [f"every pull fails: {failure}" for failure in found.failures]
    return "\n".join(lines).rstrip("\n")


def _table(found: Resolution) -> list[str]:
    rows = [HEADINGS]
    for number, (host, url) in enumerate(zip(found.hosts, found.asked, strict=True), 1):
        shown = masked_url(url or f"{host.scheme}://{host.host}{host.path}")
        shown += "" if url else f" ({_why(host)})"
        names = ", ".join(posixpath.basename(path) for path in host.ca)
        rows.append((str(number), shown, ", ".join(host.capabilities), names or "-", _also(host)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _why(host: ResolvedHost) -> str:
    return "passed over" if host.scheme in ("http", "https") else "cannot be asked"


def _also(host: ResolvedHost) -> str:
    found = []
    if host.skip_verify:
        found.append("certificate not verified")
    if host.http_fallback:
        found.append("plain HTTP where TLS fails")
    if host.client:
        found.append(f"{len(host.client)} client certificates")
    if host.header:
        found.append(f"headers {', '.join(host.header)}")
    if host.dial_timeout:
        found.append(f"{host.dial_timeout} to connect")
    return "; ".join(found) or "-"
