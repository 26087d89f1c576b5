"""One cgroup driver for all handlers of runc's shim.

The kubelet has one cgroup driver for all pods; a CRI from containerd 2.0 on tells it that of the
default handler. A handler with another ``SystemdCgroup`` gets cgroup paths that it cannot use. So a
contributed handler that says nothing follows the one that decides. Source: containerd
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
    from k0sruntime.node import Paths

OPTION = "SystemdCgroup"
RUNC_TYPE = "io.containerd.runc.v2"
RUNC = "runc"
"""containerd's own default handler."""


def agreed(
    parts: Iterable[Contribution[Part]], foreign: Sequence[ForeignFile], paths: Paths
) -> tuple[Contribution[Part], ...]:
    """Return the contributions, with the node's ``SystemdCgroup`` where a handler states none.

    Args:
        parts: what the providers contribute.
        foreign: the files of other hands, in containerd's order.
        paths: the node's paths.
    """
    parts = tuple(parts)
    value = decided(parts, foreign, paths)
    return parts if value is None else tuple(_following(part, value) for part in parts)


def decided(
    parts: Iterable[Contribution[Part]], foreign: Sequence[ForeignFile], paths: Paths
) -> bool | None:
    """Return the ``SystemdCgroup`` that the default handler has, or ``None`` where nobody says.

    A default handler that says nothing follows ``runc``: before, that one was the default.
    """
    default = RUNC
    stated: dict[str, bool] = {}
    for name, options in _in_order(parts, foreign, paths):
        default = name or default
        stated.update(options)
    return stated.get(default, stated.get(RUNC))


def _in_order(
    parts: Iterable[Contribution[Part]], foreign: Sequence[ForeignFile], paths: Paths
) -> list[tuple[str, dict[str, bool]]]:
    """Return (default handler, stated options) by file, in the order in which they count."""
    found: list[tuple[bytes, str, dict[str, bool]]] = []
    for file in foreign:
        folder, _, base = file.path.rpartition("/")
        name = base if folder == paths.dropins else ""  # what is no drop-in comes before them
        found.append((name.encode(), file.default_handler, _stated(file.handlers)))
    for part in parts:
        name = f"{PREFIX}{part.owner.provider}.toml"
        if isinstance(part.value, RuntimeHandler):
            table = {"options": part.value.options, "runtime_type": part.value.runtime_type}
            found.append((name.encode(), "", _stated({part.value.name: table})))
        elif isinstance(part.value, DropIn):
            containerd = part.value.runtime.get("containerd")
            default = containerd.get("default_runtime_name") if isinstance(containerd, dict) else ""
            found.append((name.encode(), str(default or ""), {}))
    return [(default, stated) for _, default, stated in sorted(found, key=lambda item: item[0])]


def _stated(handlers: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    found = {}
    for name, table in handlers.items():
        options = table.get("options")
        value = options.get(OPTION) if isinstance(options, dict) else None
        if isinstance(value, bool) and table.get("runtime_type", RUNC_TYPE) == RUNC_TYPE:
            found[name] = value
    return found


def _following(part: Contribution[Part], value: bool) -> Contribution[Part]:
    handler = part.value
    if not isinstance(handler, RuntimeHandler) or handler.runtime_type != RUNC_TYPE:
        return part
    if OPTION in handler.options:
        return part
    return Contribution(part.owner, replace(handler, options={**handler.options, OPTION: value}))
