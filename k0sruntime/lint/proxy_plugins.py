"""Proxy plugins: one of an unknown type makes containerd panic before it starts.

Source: containerd ``cmd/containerd/server/server.go`` (``LoadPlugins``); ``panic: plugin: no type``
was seen on 1.7.24 and 2.1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case

TYPES = {
    "snapshot": "io.containerd.snapshotter.v1",
    "content": "io.containerd.content.v1",
    "diff": "io.containerd.differ.v1",
    "sandbox": "io.containerd.sandbox.controller.v1",
}
"""Short and full names of the types; ``sandbox`` came with 2.0."""


def unknown_proxy_type(case: Case) -> Iterator[Hit]:
    """Find proxy plugins without a type that containerd knows; the last file's entry counts."""
    known = [name for name in TYPES if name != "sandbox" or case.target.schema > 2]
    right = {*known, *(TYPES[name] for name in known)}
    for file in case.files:
        for name, entry in table_at(file.document, "proxy_plugins").items():
            path = ("proxy_plugins", name)
            if not isinstance(entry, dict) or case.setter(path) is not file:
                continue
            kind = entry.get("type", "")
            if not isinstance(kind, str) or kind in right:
                continue
            what = f"the type {kind!r}{did_you_mean(kind, known)}" if kind else "no type"
            yield Hit(
                file,
                f"the proxy plugin {name!r} has {what}",
                f"Write one of {', '.join(known)}.",
                (*path, "type") if "type" in entry else path,
            )


RULES = (
    Rule(
        "K0R107",
        "unknown-proxy-type",
        "a proxy plugin of a type that containerd does not have",
        "stops the node",
        unknown_proxy_type,
    ),
)
"""K0R107: proxy plugins."""
