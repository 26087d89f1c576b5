"""Between collect and compose: what the operator says where two providers want the same.

``[node] prefer = ["acme"]`` settles whose handler, hosts file or CRI socket counts; without it
compose refuses both. One rule: what is left to another takes with it what names it, and what only
it names (``belongings.py``); all else stays, and whatever goes is told. A default handler never
changes hands in silence: where only the loser made it the default, that is refused. An extension of
a handler that nobody defines is left out as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from k0sruntime import belongings, default_handler
from k0sruntime.collect import Answers, Collected, Left
from k0sruntime.contributions import Check, Contribution, HandlerExtension, RuntimeHandler
from k0sruntime.errors import ConflictError, Problem
from k0sruntime.paths import hosts_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from k0sruntime.node import Mode
    from k0sruntime.records import Record

T = TypeVar("T")
Kind = Literal["handler", "hosts file", "CRI socket"]

BUILT_IN = "runc"
"""containerd's own handler, which anybody may extend."""
HOST = "node"
"""The host's own provider: what it declares besides handlers every node needs."""


def settle(collected: Collected, prefer: Sequence[str]) -> tuple[Collected, tuple[str, ...]]:
    """Leave out what a preferred provider has as well, and what extends nothing.

    A provider that has nothing left of what it wanted to define rests, with all that it declared.
    One that has something left loses what belongs to the handlers that are another's.

    Args:
        collected: what the providers declared.
        prefer: names of providers, the most preferred first.

    Returns:
        What is left, and a sentence for each thing that was left out.

    Raises:
        ConflictError: a handler that is left to another would stay the default, or cease to be it,
            without anybody having said so.
    """
    left = tuple(dict.fromkeys(_left(collected, prefer)))
    default_handler.refuse_lost(collected.parts, left)
    kept, more = _without(collected, left)
    notes = [f"{one} of {one.provider} is left to {one.winner}: [node] prefer" for one in left]
    notes += more
    defined = {part.value.name for part in kept.parts if isinstance(part.value, RuntimeHandler)}
    parts = tuple(part for part in kept.parts if _extends_something(part, defined, notes))
    return replace(kept, parts=parts, left=left), tuple(notes)


def settle_each(
    found: Sequence[tuple[Record, Answers]], prefer: Sequence[str]
) -> tuple[tuple[Record, Answers], ...]:
    """Do as ``settle`` does where every provider was asked by itself."""
    answers = [answer for _, answer in found]
    collected = Collected(
        tuple(record for record, _ in found),
        tuple(item for answer in answers for item in answer.parts),
        tuple(item for answer in answers for item in answer.hosts),
        tuple(item for answer in answers for item in answer.sockets),
        tuple(item for answer in answers for item in answer.profiles),
    )
    kept, _ = _without(collected, tuple(dict.fromkeys(_left(collected, prefer))))
    return tuple((record, _answers_of(record, kept)) for record in kept.records)


def counted(check: Check, left: Iterable[Left], asked: Collection[str] = ()) -> Check | None:
    """Return a provider's verdict as it counts: about what is another's it says nothing.

    Args:
        check: the verdict.
        left: what that provider has left to others.
        asked: the handlers under which it ran something to come to its verdicts.

    Returns:
        ``None`` for a verdict about another's handler or registry, and for the cgroup driver of a
        runtime behind a socket that is not used. A ``fail`` that does not say what it is about is
        ``unknown`` where it may be about what is another's: a CRI socket, a hosts file, or a
        handler under which something was run.
    """
    left = tuple(left)
    said: list[tuple[str, str]] = []
    if check.handler:
        said.append(("handler", check.handler))
    if check.registry:
        said.append(("hosts file", hosts_folder(check.registry)))
    if any((one.kind, one.name) in said for one in left):
        return None
    if check.cgroup_driver and any(one.kind == "CRI socket" for one in left):
        return None
    doubtful = [one for one in left if one.kind != "handler" or one.name in asked]
    if check.verdict != "fail" or said or not doubtful:
        return check
    more = f"it may be about the {doubtful[0]}, which is {doubtful[0].winner}'s"
    return replace(check, verdict="unknown", detail=f"{check.detail} ({more})".lstrip())


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


def _wanted(collected: Collected) -> Iterator[tuple[Kind, str, str]]:
    """Yield what providers want to define: its kind, its name, and the provider."""
    for part in collected.parts:
        if isinstance(part.value, RuntimeHandler):
            yield "handler", part.value.name, part.owner.provider
    for host in collected.hosts:
        yield "hosts file", hosts_folder(host.value.registry), host.owner.provider
    for socket in collected.sockets:
        yield "CRI socket", "", socket.owner.provider


def _left(collected: Collected, prefer: Sequence[str]) -> Iterator[Left]:
    """Yield what providers have to leave to another, where the operator prefers one."""
    owners: dict[tuple[Kind, str], str] = {}
    for kind, name, provider in _wanted(collected):
        if provider in prefer:
            present = owners.get((kind, name), provider)
            owners[kind, name] = min(present, provider, key=prefer.index)
    for kind, name, provider in _wanted(collected):
        winner = owners.get((kind, name), provider)
        if winner != provider:
            yield Left(provider, kind, name, winner)


def _without(collected: Collected, left: Sequence[Left]) -> tuple[Collected, tuple[str, ...]]:
    """Return what is left of what was declared, and what went with that."""
    gone = {(one.kind, one.name, one.provider) for one in left}
    resting = _resting(collected, gone)
    records = tuple(
        replace(record, state="inactive", reason=_reason(record.name, left))
        if record.state == "active" and record.name in resting
        else record
        for record in collected.records
    )
    lost: list[Contribution[Any]] = []
    others: list[Contribution[Any]] = []
    for part in collected.parts:
        value, provider = part.value, part.owner.provider
        gives_way = isinstance(value, RuntimeHandler) and ("handler", value.name, provider) in gone
        (lost if gives_way else others).append(part)
    kept = belongings.without(others, lost, resting)
    rest = Collected(
        records,
        kept.parts,
        tuple(
            item
            for item in _awake(collected.hosts, resting)
            if ("hosts file", hosts_folder(item.value.registry), item.owner.provider) not in gone
        ),
        tuple(
            item
            for item in _awake(collected.sockets, resting)
            if ("CRI socket", "", item.owner.provider) not in gone
        ),
        tuple(_awake(collected.profiles, resting)),
        tuple(left),
    )
    notes = (f"{name} rests: all that it defines is left to others" for name in sorted(resting))
    return rest, (*notes, *kept.notes)


def _awake(items: Iterable[Contribution[T]], resting: Collection[str]) -> list[Contribution[T]]:
    return [item for item in items if item.owner.provider not in resting]


def _resting(collected: Collected, gone: Collection[tuple[Kind, str, str]]) -> set[str]:
    """Return the providers that have nothing left to define or to extend; never the host's own."""
    awake = {provider for *what, provider in _wanted(collected) if (*what, provider) not in gone}
    awake |= {
        part.owner.provider
        for part in collected.parts
        if isinstance(part.value, HandlerExtension)
        and ("handler", part.value.handler, part.owner.provider) not in gone
    }
    return {provider for *_, provider in gone} - awake - {HOST}


def _reason(provider: str, left: Iterable[Left]) -> str:
    mine = [f"{one} is left to {one.winner}" for one in left if one.provider == provider]
    return f"{'; '.join(mine)}: [node] prefer"


def _answers_of(record: Record, kept: Collected) -> Answers:
    def own(items: Iterable[Contribution[T]]) -> tuple[Contribution[T], ...]:
        return tuple(item for item in items if item.owner.provider == record.name)

    return Answers(own(kept.parts), own(kept.hosts), own(kept.sockets), own(kept.profiles))


def _extends_something(part: Contribution[Any], defined: set[str], notes: list[str]) -> bool:
    value = part.value
    if not isinstance(value, HandlerExtension) or value.handler in {BUILT_IN, *defined}:
        return True
    notes.append(
        f"{part.owner.provider} extends the handler {value.handler}, which no provider defines here"
    )
    return False
