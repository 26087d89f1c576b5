"""The default handler where its handler is left to another: it never changes hands in silence.

A pod without a RuntimeClass runs under the default handler. A provider that makes its own handler
the default has said nothing of another provider's handler of that name, and nobody has said that
pods shall go back to runc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from k0sruntime.contributions import DropIn
from k0sruntime.errors import ConflictError, Problem
from k0sruntime.json_keys import JSONKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k0sruntime.collect import Left
    from k0sruntime.contributions import Contribution


def refuse_lost(parts: Sequence[Contribution[Any]], left: Sequence[Left]) -> None:
    """Refuse a default handler whose provider has left the handler to another.

    Where one that has left nothing of that name says the same, it is that one's word, and stays.

    Args:
        parts: what the providers declared.
        left: what they leave to others.

    Raises:
        ConflictError: both are named, and what to do.
    """
    lost = {(one.provider, one.name): one.winner for one in left if one.kind == "handler"}
    said = [(part.owner, *default) for part in parts for default in _defaults(part.value)]
    meant = {(key, name) for owner, key, name in said if (owner.provider, name) not in lost}
    problems = [
        Problem(
            f"{owner.provider} makes {name} the default handler, and leaves that handler to"
            f" {lost[owner.provider, name]}: [node] prefer",
            place=key,
            culprit=f"{owner} and provider {lost[owner.provider, name]}",
            remedy=f"Say which is meant: turn the default off in [{owner.provider}], prefer"
            f" {owner.provider}, or go on with --without {owner.provider}.",
        )
        for owner, key, name in said
        if (owner.provider, name) in lost and (key, name) not in meant
    ]
    if problems:
        raise ConflictError(*problems)


def _defaults(value: object) -> Iterator[tuple[str, str]]:
    """Yield the keys that make a handler the default, each with the handler's name."""
    if isinstance(value, DropIn):
        containerd = value.runtime.get("containerd")
        name = containerd.get("default_runtime_name") if isinstance(containerd, Mapping) else None
        key = "containerd.default_runtime_name"
    elif isinstance(value, JSONKeys):
        name, key = value.keys.get("default-runtime"), f"{value.path}: default-runtime"
    else:
        return
    if isinstance(name, str) and name:
        yield key, name
