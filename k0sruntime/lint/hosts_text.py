"""What a hosts file's parsed content does not tell: the order of its headers.

containerd 2.x scans the text for ``[host."…"]`` headers to learn the hosts' order, and only those
hosts exist for it. Source: containerd 2.3 ``core/remotes/docker/config/hosts.go``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k0sruntime.lines import split_key

if TYPE_CHECKING:
    from k0sruntime.lint.finding import Path

_HEADER = re.compile(r"""\s*\[\s*((?:[^\]"'#]|"(?:[^"\\]|\\.)*"|'[^']*')+)\]""")


def headers(text: str) -> list[tuple[Path, int]]:
    """Return the table headers below ``host`` in their order, with their lines."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADER.match(line):
            path = split_key(match[1])
            if len(path) > 1 and path[0] == "host":
                found.append((path, number))
    return found


def split_hosts(text: str) -> list[tuple[Path, int]]:
    """Return headers that come back to a host after another one began: it is then tried twice."""
    found = []
    seen: list[str] = []
    for path, number in headers(text):
        if path[1] in seen and seen[-1] != path[1]:
            found.append((path, number))
        seen.append(path[1])
    return found
