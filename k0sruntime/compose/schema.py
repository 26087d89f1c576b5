"""Where a key belongs in the schema that the node's containerd speaks.

Providers speak of the runtime table, the images table and handlers; here they get the plugin IDs
and the key names of schema 2 (containerd 1.x) or 3 (containerd 2.x). Sources: containerd 2.3
``plugins/cri/{cri,images,runtime}/plugin.go`` (the migration, read backwards for schema 2) and
``internal/cri/config/config.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.contributions import RuntimeHandler
    from k0sruntime.node import Program, Schema, Version

CRI = "io.containerd.grpc.v1.cri"
"""The one CRI plugin of schema 2; in schema 3 only the streaming server's."""
RUNTIME = "io.containerd.cri.v1.runtime"
IMAGES = "io.containerd.cri.v1.images"

FIRST_NATIVE_K0S = (1, 36)
"""First k0s line with containerd 2.3, schema 3 and native imports."""
FIRST_DROPIN_K0S = (1, 27)
"""First k0s line that knows ``/etc/k0s/containerd.d``."""
OLDEST_CONTAINERD = (1, 7)

IMAGES_KEYS_IN_CONTAINERD = (
    "snapshotter",
    "disable_snapshot_annotations",
    "discard_unpacked_layers",
)
"""Keys of the images table that lie in ``containerd`` in schema 2."""
LATER_HANDLER_KEYS = ("cgroup_writable", "io_type", "disable_pause_image_pull")
"""Handler keys that containerd 1.7 does not know."""
LATER_IMAGES_KEYS = ("use_local_image_pull", "runtime_platforms", "concurrent_layer_fetch_buffer")
"""Keys of the images table that containerd 1.7 does not know."""


class NotInSchemaError(Exception):
    """A key is contributed that the schema has no place for; the message is a sentence."""


def schema_of(containerd: Version) -> Schema:
    """Return the schema to write for a containerd: 2 for 1.x, 3 for 2.x; never 4.

    Raises:
        RefusedError: older than 1.7.
    """
    if containerd < OLDEST_CONTAINERD:
        raise RefusedError(
            Problem(
                f"containerd {containerd} is too old: the oldest that k0s 1.27 brings is 1.7",
                remedy="Install containerd 1.7 or newer, or name another one in [node] containerd.",
            )
        )
    return 2 if containerd.major == 1 else 3


def schema_for_k0s(k0s: Program) -> Schema:
    """Return the schema that a k0s line's drop-ins must have.

    Raises:
        RefusedError: a k0s line without a drop-in folder.
    """
    if k0s.version < FIRST_DROPIN_K0S:
        raise RefusedError(
            Problem(
                f"k0s {k0s.version} knows no drop-in folder; 1.27 is the first that does",
                place=k0s.path,
                remedy="Upgrade k0s, or run containerd with [node] mode = 'standalone'.",
            )
        )
    return 3 if k0s.version >= FIRST_NATIVE_K0S else 2


def handler_table(handler: RuntimeHandler, schema: Schema) -> dict[str, Any]:
    """Return the table ``containerd.runtimes.<name>`` in the schema's own key names.

    Raises:
        NotInSchemaError: a key that containerd 1.7 does not know.
    """
    table: dict[str, Any] = {"runtime_type": handler.runtime_type}
    for key in ("runtime_path", "snapshotter", "sandboxer"):
        if value := getattr(handler, key):
            table[key] = value
    for key in ("pod_annotations", "container_annotations"):
        if value := getattr(handler, key):
            table[key] = list(value)
    table |= handler.keys
    if handler.options:
        table["options"] = dict(handler.options)
    if schema == 2:
        if "sandboxer" in table:
            table["sandbox_mode"] = table.pop("sandboxer")
        for key in LATER_HANDLER_KEYS:
            if key in table:
                raise _not_in_1_7(f"{key} of handler {handler.name!r}")
    return table


def runtime_platforms(handlers: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return what the images table must know of handlers with a snapshotter of their own.

    From 2.0 on the images are a plugin of their own: without this it pulls for the default
    snapshotter, and tells the kubelet of no file system for the other one. containerd 2.3 fills it
    in by itself. Source: containerd 2.1 ``plugins/cri/images/plugin.go``.
    """
    if schema == 2:
        return {}
    return {
        name: {"snapshotter": table["snapshotter"]}
        for name, table in handlers.items()
        if table.get("snapshotter")
    }


def placed(
    runtime: Mapping[str, Any], images: Mapping[str, Any], schema: Schema
) -> dict[str, dict[str, Any]]:
    """Return the ``plugins`` table that holds the given CRI keys; empty tables are left out.

    Raises:
        NotInSchemaError: a key that containerd 1.7 does not know, or a value in a table's place.
    """
    if schema == 3:
        tables = {RUNTIME: dict(runtime), IMAGES: dict(images)}
        return {name: table for name, table in tables.items() if table}
    table = _cri_2(dict(runtime), dict(images))
    return {CRI: table} if table else {}


def _cri_2(runtime: dict[str, Any], images: dict[str, Any]) -> dict[str, Any]:
    table = runtime
    containerd = dict(table_in(table, "containerd"))
    for key in IMAGES_KEYS_IN_CONTAINERD:
        if key in images:
            containerd[key] = images.pop(key)
    if containerd:
        table["containerd"] = containerd
    pinned = table_in(images, "pinned_images")
    images.pop("pinned_images", None)
    if "sandbox" in pinned:
        table["sandbox_image"] = pinned["sandbox"]
    if others := set(pinned) - {"sandbox"}:
        raise _not_in_1_7(f"pinned_images.{min(others)}")
    cni = dict(table_in(table, "cni"))
    folders = cni.pop("bin_dirs", None)
    if isinstance(folders, list):
        if len(folders) > 1:
            raise _not_in_1_7("cni.bin_dirs with more than one folder")
        table["cni"] = {**cni, "bin_dir": folders[0] if folders else ""}
    for key in LATER_IMAGES_KEYS:
        if key in images:
            raise _not_in_1_7(key)
    return {**table, **images}


def table_in(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the table under a key, empty where there is none.

    Raises:
        NotInSchemaError: something else stands there.
    """
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise NotInSchemaError(f"{key} = {found!r} is contributed where a table belongs")
    return found


def _not_in_1_7(what: str) -> NotInSchemaError:
    return NotInSchemaError(f"{what} is contributed, and containerd 1.7 does not know it")


def cri_tables(
    document: Mapping[str, Any], schema: Schema
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the (runtime, images) tables of an effective document, whatever its schema.

    In schema 2 both are the one CRI table, whose keys do not collide.
    """
    if schema == 2:
        table = _plugin(document, CRI)
        return table, table
    return _plugin(document, RUNTIME), _plugin(document, IMAGES)


def _plugin(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    plugins = document.get("plugins")
    found = plugins.get(name) if isinstance(plugins, dict) else None
    return found if isinstance(found, dict) else {}


def runtimes(document: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the handlers' tables of an effective document by name."""
    runtime, _ = cri_tables(document, schema)
    containerd = runtime.get("containerd")
    found = containerd.get("runtimes") if isinstance(containerd, dict) else None
    return found if isinstance(found, dict) else {}
