"""What belongs to a handler that does not count: its files, its programs, its extensions, its word.

A configuration file or a program belongs to the handlers that name its path. One that nobody names
may be needed all the same, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from k0sruntime.binaries import Binary
from k0sruntime.contributions import Check, ConfigFile, HandlerExtension

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from k0sruntime.contributions import Contribution


def without(
    parts: Sequence[Contribution[Any]],
    lost: Sequence[Contribution[Any]],
    resting: Collection[str],
) -> tuple[Contribution[Any], ...]:
    """Return what providers declared without what belongs to handlers that do not count.

    Args:
        parts: what they declared, ``lost`` left out.
        lost: the handlers that do not count.
        resting: providers none of whose declarations counts.
    """
    gone: list[Any] = []
    for provider in {part.owner.provider for part in lost} - set(resting):
        handlers = [part.value for part in lost if part.owner.provider == provider]
        mine = [part.value for part in parts if part.owner.provider == provider]
        gone += _belonging(mine, handlers, provider)
    return tuple(
        part
        for part in parts
        if part.owner.provider not in resting and not _among(part.value, gone)
    )


def _belonging(values: Sequence[Any], handlers: Sequence[Any], provider: str) -> list[Any]:
    """Return what of one provider's declarations belongs to its lost handlers alone."""
    names = {handler.name for handler in handlers}
    gone: list[Any] = [
        value
        for value in values
        if isinstance(value, HandlerExtension | Check) and value.handler in names
    ]
    for kind in (ConfigFile, Binary):  # a configuration file may name a program
        naming = [v for v in values if not isinstance(v, kind) and not _among(v, gone)]
        gone += [
            value
            for value in values
            if isinstance(value, kind)
            and _named(_place(value, provider), handlers)
            and not _named(_place(value, provider), naming)
        ]
    return gone


def _among(value: Any, others: Iterable[Any]) -> bool:
    return any(value is other for other in others)


def _place(value: ConfigFile | Binary, provider: str) -> str:
    """Return what the path of a file or a program has in it, wherever the node's folders are."""
    if isinstance(value, ConfigFile):
        return f"/{provider}/{value.name}"
    return value.installed or f"/{provider}/{value.name}-{value.version}-"


def _named(place: str, values: Iterable[Any]) -> bool:
    return any(place in text for value in values for text in _texts(vars(value)))


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts of plain tables and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
