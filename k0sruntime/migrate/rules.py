"""Where a key of one schema lives in the other: the whole table of moves, and nothing else.

Sources: containerd 2.3 ``plugins/cri/{cri,images,runtime}/plugin.go`` (the migration from 2 to 3),
read backwards for the way from 3 to 2; the keys of ``containerd config default`` of 1.7.24 and
2.1.9; for version 4 containerd 2.3 ``docs/man/containerd-config.toml.5.md``. One deliberate
difference: containerd's own migration looks for a handler's ``snapshotter`` under a wrong name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from k0sruntime.compose.schema import CRI, IMAGES, IMAGES_KEYS_IN_CONTAINERD, RUNTIME
from k0sruntime.migrate import gone

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from k0sruntime.lines import Path
    from k0sruntime.migrate.gone import Reason
    from k0sruntime.node import Schema

STREAMING = (
    "disable_tcp_service",
    "stream_server_address",
    "stream_server_port",
    "stream_idle_timeout",
    "enable_tls_streaming",
    "x509_key_pair_streaming",
)
"""Keys of the streaming server, which stay where they are."""

IMAGES_KEYS = (
    "registry",
    "image_decryption",
    "max_concurrent_downloads",
    "image_pull_progress_timeout",
    "image_pull_with_sync_fs",
    "stats_collect_period",
)
"""Keys of the CRI table of schema 2 that have the same name in the images table of schema 3."""

RENAMED_PLUGINS = {
    "io.containerd.internal.v1.restart": "io.containerd.monitor.container.v1.restart",
    "io.containerd.monitor.v1.cgroups": "io.containerd.monitor.task.v1.cgroups",
}
"""Other plugins that containerd 2 has under another ID; seen in its ``config dump``."""

SERVER = "io.containerd.server.v1."
"""Prefix of the tables that version 4 has for ``grpc``, ``ttrpc``, ``debug`` and ``metrics``."""
_PROMETHEUS = "io.containerd.metrics.v1.grpc-prometheus"

Change = Literal["", "list", "first"]
"""What becomes of the value: nothing, a list of it, or the first of the list."""

_DEAD_TYPES = ("io.containerd.runc.v1", "io.containerd.runtime.v1.linux")
_HANDLER = ("containerd", "runtimes", "*")


@dataclass(frozen=True)
class File:
    """What the rules have to know of the whole file.

    Attributes:
        to: the schema it shall have.
        version: the version that it states; 0 where it states none.
        main: it imports other files, so that it is a main file and no drop-in.
        handlers: the handlers that it defines.
    """

    to: Schema
    version: int = 0
    main: bool = False
    handlers: Collection[str] = field(default=())


@dataclass(frozen=True)
class Place:
    """Where a key goes.

    Attributes:
        path: its new path; ``None`` where the other schema has no place for it.
        change: what becomes of its value.
        why: what there is to say: why it is lost, or what is different although it is carried.
        instead: what to do about it.
    """

    path: Path | None
    change: Change = ""
    why: str = ""
    instead: str = ""


def place(path: Path, value: Any, file: File) -> Place:
    """Return where a key, or a table with the value ``{}``, goes."""
    if path[:1] != ("plugins",) or len(path) == 1:
        return _root(path, file)
    if file.version == 4 and (found := _from_4(path)):
        return found
    return _to_2(path, value, file) if file.to == 2 else _to_3(path, value, file)


def _root(path: Path, file: File) -> Place:
    if path == ("plugin_dir",) and file.to == 3:
        return _gone(("containerd 2 loads no Go plugins", "Make it a proxy plugin."))
    return Place(path)


def _to_2(path: Path, value: Any, file: File) -> Place:
    plugin, rest = path[1], path[2:]
    if plugin == RUNTIME:
        return _runtime_to_2(rest, value)
    if plugin == IMAGES:
        return _images_to_2(rest, file)
    old = {new: old for old, new in RENAMED_PLUGINS.items()}
    return Place(("plugins", old.get(plugin, plugin), *rest))


def _to_3(path: Path, value: Any, file: File) -> Place:
    plugin, rest = path[1], path[2:]
    if plugin in gone.PLUGINS_IN_3:
        return _gone(gone.PLUGINS_IN_3[plugin])
    if plugin != CRI:
        return Place(("plugins", RENAMED_PLUGINS.get(plugin, plugin), *rest))
    if reason := _lookup(gone.IN_3, rest):
        return _gone(reason)
    if rest and rest[0] in STREAMING:
        return _streaming(path, file)
    if rest == ("cni", "bin_dir"):
        return Place(("plugins", RUNTIME, "cni", "bin_dirs") if value else None, "list")
    return Place(("plugins", *_home_in_3(rest)), "", *_remark(rest, value))


def _home_in_3(rest: Path) -> Path:
    """Return plugin and key of what schema 3 has at another place of the same value."""
    if rest == ("sandbox_image",):
        return (IMAGES, "pinned_images", "sandbox")
    if rest and rest[0] in IMAGES_KEYS:
        return (IMAGES, *rest)
    if rest[:1] == ("containerd",) and rest[1:] and rest[1] in IMAGES_KEYS_IN_CONTAINERD:
        return (IMAGES, *rest[1:])
    if _matches((*_HANDLER, "sandbox_mode"), rest):
        return (RUNTIME, *rest[:-1], "sandboxer")
    return (RUNTIME, *rest)


def _streaming(path: Path, file: File) -> Place:
    if file.main:
        return Place(path)
    return Place(
        None,
        why=f"k0s 1.36 and newer refuse the table {CRI} in a drop-in",
        instead="Set it in a main file of your own, where containerd 2 still reads it.",
    )


def _remark(rest: Path, value: Any) -> Reason:
    """Return what is different in containerd 2 although the key is carried over."""
    if _matches((*_HANDLER, "runtime_type"), rest) and value in _DEAD_TYPES:
        return f"containerd 2 has no runtime type {value}", "Set io.containerd.runc.v2."
    if _matches((*_HANDLER, "snapshotter"), rest) and value:
        return (
            "containerd 2.0 to 2.2 unpack its images elsewhere; 2.3 needs nothing more",
            f"Below 2.3 set runtime_platforms.{rest[2]}.snapshotter of the images table, too.",
        )
    if _matches((*_HANDLER, "options", "CriuPath"), rest) and value:
        return "the runc shim of containerd 2 does not read it", "Put criu on containerd's PATH."
    return "", ""


def _runtime_to_2(rest: Path, value: Any) -> Place:
    if reason := _lookup(gone.RUNTIME_IN_2, rest):
        return _gone(reason)
    if rest == ("cni", "bin_dirs"):
        target = ("plugins", CRI, "cni", "bin_dir") if value else None
        more = len(value) > 1 if isinstance(value, list) else False
        lost = f"containerd 1.7 has one folder of CNI plugins; {value[1:]} are lost" if more else ""
        return Place(
            target, "first", lost, "Link their plugins into the first one." if more else ""
        )
    if rest == ("cni", "bin_dir") and not value:
        return Place(None)  # as containerd 2 writes it beside bin_dirs
    if _matches((*_HANDLER, "sandboxer"), rest):
        return Place(("plugins", CRI, *rest[:-1], "sandbox_mode"))
    return Place(("plugins", CRI, *rest))


def _images_to_2(rest: Path, file: File) -> Place:
    first = rest[0] if rest else ""
    if rest in (("pinned_images",), ("runtime_platforms",)):
        return Place(("plugins", CRI))  # a table whose keys all go elsewhere
    if rest == ("pinned_images", "sandbox"):
        return Place(("plugins", CRI, "sandbox_image"))
    if first == "runtime_platforms":
        return _platform_to_2(rest, file)
    if first in gone.IMAGES_IN_2:
        return _gone(("containerd 1.7 has no such key", "Leave it out."))
    if first in IMAGES_KEYS_IN_CONTAINERD:
        return Place(("plugins", CRI, "containerd", *rest))
    return Place(("plugins", CRI, *rest))


def _platform_to_2(rest: Path, file: File) -> Place:
    handler, key = rest[1], rest[2:]
    if not key:
        return Place(("plugins", CRI))
    if key == ("snapshotter",) and handler in file.handlers:
        return Place(("plugins", CRI, "containerd", "runtimes", handler, "snapshotter"))
    if key == ("snapshotter",):
        return _gone(
            (
                f"the handler {handler} is not defined in this file",
                f"Set containerd.runtimes.{handler}.snapshotter where it is.",
            )
        )
    return _gone(("containerd 1.7 knows no platform of a handler", "Leave it out."))


def _from_4(path: Path) -> Place | None:
    """Return where a table of version 4 was until version 3, or ``None`` for all others."""
    plugin, rest = path[1], path[2:]
    if plugin == _PROMETHEUS:
        return Place(("metrics", *rest))
    if not plugin.startswith(SERVER):
        return None
    table = plugin.removeprefix(SERVER)
    if table != "grpc-tcp":
        return Place((table, *rest))
    if rest in ((), ("address",)) or rest[0].startswith("tls_"):
        return Place(("grpc", *(f"tcp_{key}" for key in rest)))
    return _gone(
        (
            "until version 3 the socket and the TCP port share it",
            f"Set {rest[0]} of the table grpc.",
        )
    )


def tables_of_4(plugins: Mapping[str, Any]) -> list[str]:
    """Return the tables of version 4 that no earlier version has a place for."""
    known = {f"{SERVER}{name}" for name in ("grpc", "grpc-tcp", "ttrpc", "debug", "metrics")}
    return [name for name in plugins if name.startswith(SERVER) and name not in known]


def _gone(reason: Reason) -> Place:
    return Place(None, "", *reason)


def _lookup(reasons: Mapping[Path, Reason], rest: Path) -> Reason | None:
    """Return the reason for a key, or for a table that it stands in."""
    return next((why for key, why in reasons.items() if _matches(key, rest[: len(key)])), None)


def _matches(pattern: Path, path: Path) -> bool:
    return len(pattern) == len(path) and all(
        wanted in ("*", part) for wanted, part in zip(pattern, path, strict=True)
    )
