"""One cgroup driver for all handlers of runc's shim.

The kubelet has one cgroup driver for all pods; a CRI from containerd 2.0 on tells it that of the
first handler that decides. One with another ``SystemdCgroup`` gets cgroup paths that it cannot use.
So a contributed handler that says nothing follows the one that decides. Source: containerd
``internal/cri/server/runtime_config_linux.go``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.dropins import PREFIX
from k0sruntime.contributions import Contribution, DropIn, RuntimeHandler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from k0sruntime.collect import Part
    from k0sruntime.compose.foreign import ForeignFile
    from k0sruntime.node import Schema
    from k0sruntime.paths import Paths

OPTION = "SystemdCgroup"
RUNC_TYPE = "io.containerd.runc.v2"
RUNC = "runc"
"""containerd's own default handler, which has options of its own from the start."""
ASKED = 3
"""The first schema of a containerd that the kubelet asks."""


def answered(runtimes: Mapping[str, Mapping[str, Any]], default: str) -> bool | None:
    """Return whether containerd 2's ``RuntimeConfig`` will say systemd; ``None``: nobody decides.

    It goes through the handlers, the default one first and the others by name. The first that has
    options of runc's decides; without any, containerd looks whether systemd runs.

    Args:
        runtimes: the tables of the handlers by name, as the files state them.
        default: the name of the default handler.
    """
    tables = {RUNC: {}, **runtimes}
    for name in sorted(tables, key=lambda name: (name != default, name.encode())):
        value = _own(name, tables[name])
        if value is not None:
            return value
    return None


def _own(name: str, table: Mapping[str, Any]) -> bool | None:
    """Return what one handler says; ``None`` where containerd passes it over."""
    if table.get("runtime_type", RUNC_TYPE if name == RUNC else "") != RUNC_TYPE:
        return None
    options = _options(table)
    if not options and name != RUNC:
        return None  # an empty table counts as none
    value = options.get(OPTION, False)
    return value if isinstance(value, bool) else None


def agreed(
    parts: Iterable[Contribution[Part]],
    foreign: Sequence[ForeignFile],
    paths: Paths,
    schema: Schema,
) -> tuple[Contribution[Part], ...]:
    """Return the contributions, with the node's ``SystemdCgroup`` where a handler states none.

    Args:
        parts: what the providers contribute.
        foreign: the files of other hands, in containerd's order.
        paths: the node's paths.
        schema: the node's; a kubelet asks only a containerd that has schema 3.
    """
    parts = tuple(parts)
    value = decided(parts, foreign, paths, schema)
    return parts if value is None else tuple(_following(part, value) for part in parts)


def decided(
    parts: Iterable[Contribution[Part]],
    foreign: Sequence[ForeignFile],
    paths: Paths,
    schema: Schema,
) -> bool | None:
    """Return the ``SystemdCgroup`` that a handler follows, or ``None`` where nobody states one.

    A default handler that says nothing follows ``runc``: before, that one was the default. So do
    all where containerd is not asked.
    """
    default, silent = RUNC, set()
    tables: dict[str, Mapping[str, Any]] = {}
    for name, handlers, ours in _in_order(parts, foreign, paths):
        default = name or default
        for handler, table in handlers.items():
            known = tables.get(handler, {})
            options = {**_options(known), **_options(table)}
            has = "options" in known or "options" in table
            tables[handler] = {**known, **table, **({"options": options} if has else {})}
            if ours and OPTION not in options and table.get("runtime_type") == RUNC_TYPE:
                silent.add(handler)
    stated = {
        name: bool(_options(table)[OPTION])
        for name, table in tables.items()
        if OPTION in _options(table) and _own(name, table) is not None
    }
    if schema < ASKED:
        return stated.get(default, stated.get(RUNC))
    following = silent - set(stated)
    if default in following:
        default = RUNC
    others = {name: table for name, table in tables.items() if name not in following}
    return answered(others, default) if stated else None


def _in_order(
    parts: Iterable[Contribution[Part]], foreign: Sequence[ForeignFile], paths: Paths
) -> list[tuple[str, Mapping[str, Mapping[str, Any]], bool]]:
    """Return (default handler, handlers, ours) by file, in the order in which they count."""
    found: list[tuple[bytes, str, Mapping[str, Mapping[str, Any]], bool]] = []
    for file in foreign:
        folder, _, base = file.path.rpartition("/")
        name = base if folder == paths.dropins else ""  # what is no drop-in comes before them
        found.append((name.encode(), file.default_handler, file.handlers, False))
    for part in parts:
        name = f"{PREFIX}{part.owner.provider}.toml"
        if isinstance(part.value, RuntimeHandler):
            table = {"options": part.value.options, "runtime_type": part.value.runtime_type}
            found.append((name.encode(), "", {part.value.name: table}, True))
        elif isinstance(part.value, DropIn):
            containerd = part.value.runtime.get("containerd")
            default = containerd.get("default_runtime_name") if isinstance(containerd, dict) else ""
            found.append((name.encode(), str(default or ""), {}, True))
    found.sort(key=lambda item: item[0])
    return [(default, handlers, ours) for _, default, handlers, ours in found]


def _options(table: Mapping[str, Any]) -> Mapping[str, Any]:
    options = table.get("options")
    return options if isinstance(options, dict) else {}


def _following(part: Contribution[Part], value: bool) -> Contribution[Part]:
    handler = part.value
    if not isinstance(handler, RuntimeHandler) or handler.runtime_type != RUNC_TYPE:
        return part
    if OPTION in handler.options:
        return part
    return Contribution(part.owner, replace(handler, options={**handler.options, OPTION: value}))
