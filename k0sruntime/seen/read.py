"""Takes in what ``report --json`` wrote on the nodes of a fleet; it may be anything.

All files are read before anything is said, and everything that is wrong is told at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from k0sruntime import regular
from k0sruntime.errors import K0sRuntimeError, Problem, RefusedError
from k0sruntime.seen.document import KIND, SCHEMA, NodeReport

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST = 16 << 20
"""Bytes. The report of a node with a thousand handlers is smaller."""
MAKE_ANEW = "Make it anew on the node: k0sruntime report --json > NODE.json"


class _Head(msgspec.Struct):
    """What tells whether the rest can be understood."""

    kind: str
    schema: int
    version: str = ""


def read_all(paths: Sequence[str]) -> list[NodeReport]:
    """Return the nodes' documents, in the order of their names.

    Raises:
        RefusedError: every file that is none, or that is of the same node as another one.
    """
    problems: list[Problem] = []
    found: dict[str, tuple[str, NodeReport]] = {}
    for path in paths:
        try:
            node = read(path)
        except RefusedError as exc:
            problems += exc.problems
            continue
        other = found.get(node.name)
        if other is not None:
            problems.append(_twice(node.name, other[0], path))
        found[node.name] = (path, node)
    if problems:
        raise RefusedError(*problems)
    return [node for _, (_, node) in sorted(found.items())]


def read(path: str) -> NodeReport:
    """Return one node's document.

    Raises:
        RefusedError: the file cannot be read, is too large, or is no such document.
    """
    try:
        with regular.opened(path) as file:
            content = file.read(LARGEST + 1)
    except OSError as exc:
        raise _refused(path, f"the file cannot be read: {exc.strerror}", "") from exc
    if len(content) > LARGEST:
        size = f"larger than {LARGEST >> 20} MiB"
        raise _refused(path, f"the file is {size}: no report of a node", MAKE_ANEW)
    try:
        _refuse_others(path, msgspec.json.decode(content, type=_Head))
        return msgspec.json.decode(content, type=NodeReport)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        reason = "nested too deep" if isinstance(exc, RecursionError) else str(exc)
        raise _refused(path, f"no report of a node: {reason}", MAKE_ANEW) from exc


def _refuse_others(path: str, head: _Head) -> None:
    if head.kind != KIND:
        raise _refused(path, f"a document of kind {head.kind!r}, not {KIND}", MAKE_ANEW)
    if head.schema != SCHEMA:
        message = f"a report of schema {head.schema}, written by k0sruntime {head.version or '?'}"
        older = head.schema < SCHEMA
        side = "the node" if older else "this machine"
        raise _refused(
            path,
            f"{message}; this one reads schema {SCHEMA}",
            f"Upgrade k0sruntime on {side}." + (f" {MAKE_ANEW}" if older else ""),
        )


def _twice(name: str, first: str, second: str) -> Problem:
    return Problem(
        f"two reports are of the node {name!r}",
        place=f"{first}, {second}",
        remedy="Give one of each node; k0sruntime report --name tells nodes of one name apart.",
    )


def _refused(path: str, message: str, remedy: str) -> K0sRuntimeError:
    return RefusedError(Problem(message, place=path, remedy=remedy))
