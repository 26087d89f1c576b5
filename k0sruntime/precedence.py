"""Between collect and compose: what the operator says where two providers want the same.

``[node] prefer = ["acme"]`` settles whose handler, hosts file or CRI socket counts; without it
compose refuses both. An extension of a handler that nobody defines is left out as well. Whatever
is left out is told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k0sruntime.contributions import Contribution, HandlerExtension, RuntimeHandler
from k0sruntime.errors import ConflictError, Problem
from k0sruntime.node import hosts_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k0sruntime.collect import Collected
    from k0sruntime.node import Mode

BUILT_IN = "runc"
"""containerd's own handler, which anybody may extend."""


def settle(collected: Collected, prefer: Sequence[str]) -> tuple[Collected, tuple[str, ...]]:
    """Leave out what a preferred provider has as well, and what extends nothing.

    Args:
        collected: what the providers declared.
        prefer: names of providers, the most preferred first.

    Returns:
        What is left, and a sentence for each thing that was left out.
    """
    notes: list[str] = []
    parts = _preferred(collected.parts, _handler, prefer, notes)
    defined = {part.value.name for part in parts if isinstance(part.value, RuntimeHandler)}
    kept = tuple(part for part in parts if _extends_something(part, defined, notes))
    hosts = _preferred(collected.hosts, _registry, prefer, notes)
    sockets = _preferred(collected.sockets, lambda _: "CRI socket", prefer, notes)
    return replace(collected, parts=kept, hosts=hosts, sockets=sockets), tuple(notes)


def refuse_socket(collected: Collected, mode: Mode | None) -> None:
    """Stop where containerd is asked for by its mode, and a provider has another CRI.

    Args:
        collected: what the providers declared.
        mode: what the operator asks for; ``None`` or remote leaves it to the socket.

    Raises:
        ConflictError: both are named, and what to leave out.
    """
    if mode not in ("managed", "standalone") or not collected.sockets:
        return
    raise ConflictError(
        *(
            Problem(
                f"the mode {mode} is asked for, and the CRI socket {item.value.url}",
                place="[node] mode or --mode",
                culprit=str(item.owner),
                remedy=f"Leave the mode out, or the socket: --without {item.owner.provider}",
            )
            for item in collected.sockets
        )
    )


def _handler(value: Any) -> str:
    return f"handler {value.name}" if isinstance(value, RuntimeHandler) else ""


def _registry(value: Any) -> str:
    return f"hosts file {hosts_folder(value.registry)}"


def _preferred(
    items: tuple[Contribution[Any], ...],
    thing: Callable[[Any], str],
    prefer: Sequence[str],
    notes: list[str],
) -> tuple[Contribution[Any], ...]:
    """Return what is left when each thing has one owner, where the operator prefers one."""
    owners: dict[str, str] = {}
    for item in items:
        name, provider = thing(item.value), item.owner.provider
        if provider in prefer:
            present = owners.get(name, provider)
            owners[name] = min(present, provider, key=prefer.index)
    left = []
    for item in items:
        name, provider = thing(item.value), item.owner.provider
        winner = owners.get(name, provider) if name else provider
        if winner == provider:
            left.append(item)
        else:
            notes.append(f"{name} of {provider} is left to {winner}: [node] prefer")
    return tuple(left)


def _extends_something(part: Contribution[Any], defined: set[str], notes: list[str]) -> bool:
    value = part.value
    if not isinstance(value, HandlerExtension) or value.handler in {BUILT_IN, *defined}:
        return True
    notes.append(
        f"{part.owner.provider} extends the handler {value.handler}, which no provider defines here"
    )
    return False
