"""The shape of containerd's root table: which keys are tables, arrays or single values.

containerd refuses to start on a wrong type here, whatever the file is for. Source: containerd 2.3
``cmd/containerd/server/config/config.go``, struct ``Config``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.compose.layers import Path

TABLES = (
    "cgroup",
    "debug",
    "grpc",
    "metrics",
    "plugins",
    "proxy_plugins",
    "stream_processors",
    "timeouts",
    "ttrpc",
)
ARRAYS = ("disabled_plugins", "imports", "required_plugins")
STRINGS = ("plugin_dir", "root", "state", "temp")
NUMBERS = ("oom_score",)


def misshapen(document: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield the keys of a wrong type, each with what it must be."""
    for key, value in document.items():
        if key in TABLES:
            if not isinstance(value, dict):
                yield (key,), "a table"
            elif key in ("plugins", "proxy_plugins"):
                yield from (
                    ((key, n), "a table") for n, v in value.items() if not isinstance(v, dict)
                )
        elif key in ARRAYS:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                yield (key,), "an array of strings"
        elif key in STRINGS and not isinstance(value, str):
            yield (key,), "a string"
        elif key in NUMBERS and (isinstance(value, bool) or not isinstance(value, int)):
            yield (key,), "a number"
