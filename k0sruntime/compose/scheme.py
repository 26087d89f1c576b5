"""Which schema and which merge scheme a node gets: decided by its k0s line and its containerd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.compose import schema as schema_
from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from k0sruntime.node import Mode, Node, Schema, Scheme


def node_schema(node: Node[Any], mode: Mode) -> Schema:
    """Return the schema to write: k0s's line decides where k0s runs containerd.

    Raises:
        RefusedError: neither k0s nor containerd was found, so that it would be a guess.
    """
    if mode == "managed" and node.k0s:
        return schema_.schema_for_k0s(node.k0s)
    if node.containerd:
        return schema_.schema_of(node.containerd.version)
    if mode == "remote":
        return 3
    raise RefusedError(
        Problem(
            "no containerd and no k0s found, so the schema to write would be a guess",
            place=", ".join(node.search_path),
            remedy="Name one in [node] containerd, or the k0s line in [node] k0s.",
        )
    )


def node_scheme(node: Node[Any], mode: Mode, schema: Schema) -> Scheme:
    """Return the scheme: native where containerd merges by itself, else k0s's merge patch.

    Raises:
        RefusedError: native was asked for where containerd 1.7 would lose whole tables.
    """
    if node.scheme == "native":
        refuse_native_under_1_7(schema)
    if schema == 2:
        return "merge-patch"
    if mode == "managed":
        return "native"
    return node.scheme or "native"


def refuse_native_under_1_7(schema: Schema) -> None:
    """Refuse to let containerd 1.7 merge drop-ins.

    Raises:
        RefusedError: schema 2.
    """
    if schema == 2:
        raise RefusedError(
            Problem(
                "the native scheme needs containerd 2: 1.7 replaces a plugin's whole table",
                place="scheme",
                remedy="Take merge-patch, or leave the scheme out.",
            )
        )
