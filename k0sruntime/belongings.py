"""What goes with a handler that is left to another: what names it, and what only it names.

An extension, a warning or a key of another program's file names its handler. A configuration file
or a program belongs to those that name its path: it stays where anything that stays names it,
whoever's that is, and where nobody does. Each thing that goes is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k0sruntime.binaries import Binary
from k0sruntime.contributions import Check, ConfigFile, HandlerExtension
from k0sruntime.json_keys import JSONKeys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from k0sruntime.contributions import Contribution

    Part = Contribution[Any]

RUNTIMES = "runtimes"
"""Docker's table of runtimes in ``daemon.json``: what a handler under cri-dockerd is."""
_END = r"(?![\w-]|\.\w)"
"""Behind the name of a file: ``a.toml`` is not named by ``a.toml.bak`` or ``a.tomlx``."""


@dataclass(frozen=True)
class Kept:
    """What is left of what providers declared.

    Attributes:
        parts: what counts.
        notes: a sentence a provider for what went with a handler, and one for what stays because
            another names it.
    """

    parts: tuple[Part, ...]
    notes: tuple[str, ...]


@dataclass
class _Sorted:
    """Declarations on their way: those that stay, and those that go, each with what to call it."""

    staying: list[Part] = field(default_factory=list)
    going: list[Part] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=dict)

    def tell(self, provider: str, word: str) -> None:
        self.words.setdefault(provider, []).append(word)


def without(parts: Sequence[Part], lost: Sequence[Part], resting: Collection[str]) -> Kept:
    """Return what providers declared without what goes with handlers that do not count.

    Args:
        parts: what they declared, ``lost`` left out.
        lost: the handlers that do not count.
        resting: providers that have nothing left to define: all that they declared goes, but for
            the files and programs that something else names.
    """
    found = _naming(parts, lost, resting)
    files = [part for part in found.staying if isinstance(part.value, ConfigFile | Binary)]
    mine = [part for part in files if part.owner.provider in resting]
    mine += _reached(files, [*lost, *found.going, *mine], of_one_provider=True)
    doubtful = [part for part in files if _among(part, mine)]
    sure = [part for part in found.staying if not _among(part, doubtful)]
    saved = _reached(doubtful, sure)
    for part in doubtful:
        if not _among(part, saved) and part.owner.provider not in resting:
            found.tell(part.owner.provider, _called(part.value))
    notes = [f"{name} leaves out with it: {', '.join(what)}" for name, what in found.words.items()]
    kept = tuple(p for p in found.staying if not _among(p, doubtful) or _among(p, saved))
    return Kept(kept, (*notes, *_stays(saved, sure)))


def _naming(parts: Iterable[Part], lost: Iterable[Part], resting: Collection[str]) -> _Sorted:
    """Sort out what names a handler that does not count, of the provider that has lost it."""
    names: dict[str, set[str]] = {}
    for part in lost:
        names.setdefault(part.owner.provider, set()).add(part.value.name)
    found = _Sorted()
    for part in parts:
        value, provider = part.value, part.owner.provider
        if provider in resting:
            whole = isinstance(value, ConfigFile | Binary)
            (found.staying if whole else found.going).append(part)
            continue
        of_lost = names.get(provider, set())
        if isinstance(value, HandlerExtension | Check) and value.handler in of_lost:
            found.going.append(part)
            found.tell(provider, _called(value))
            continue
        keys = _keys_of(value, of_lost)
        for name in keys:
            found.tell(provider, f"{RUNTIMES}.{name} in {value.path}")
        if keys:
            found.going.append(replace(part, value=_only(value, keys)))
        if (rest := _less(value, keys)) is not None:
            found.staying.append(part if rest is value else replace(part, value=rest))
    return found


def _keys_of(value: Any, handlers: Collection[str]) -> list[str]:
    """Return the handlers among those given that keys of another program's file define."""
    table = value.keys.get(RUNTIMES) if isinstance(value, JSONKeys) else None
    return [name for name in table if name in handlers] if isinstance(table, Mapping) else []


def _only(value: JSONKeys, handlers: Sequence[str]) -> JSONKeys:
    table: Any = value.keys[RUNTIMES]
    return replace(value, keys={RUNTIMES: {name: table[name] for name in handlers}})


def _less(value: Any, handlers: Sequence[str]) -> Any:
    """Return keys without what defines those handlers; ``None`` where nothing else is there."""
    if not handlers:
        return value
    table = {name: keys for name, keys in value.keys[RUNTIMES].items() if name not in handlers}
    keys = {key: entry for key, entry in value.keys.items() if key != RUNTIMES}
    keys |= {RUNTIMES: table} if table else {}
    return replace(value, keys=keys) if keys else None


def _reached(
    files: Sequence[Part], start: Sequence[Part], *, of_one_provider: bool = False
) -> list[Part]:
    """Return the files and programs that are named from a start, or by a file that is.

    Args:
        files: those that are looked at.
        start: what names them.
        of_one_provider: a provider's files count as named by what is its own alone.
    """
    found: list[Part] = []
    naming = list(start)
    while naming:
        by = naming.pop()
        new = [
            part
            for part in files
            if not _among(part, found)
            and part is not by
            and (part.owner.provider == by.owner.provider or not of_one_provider)
            and _names(by, part)
        ]
        found += new
        naming += new
    return found


def _names(by: Part, part: Part) -> bool:
    """Tell whether a declaration names a file or a program; a program only is one, and names none.

    What is installed already stays where it is, so that another who names it loses nothing.
    """
    foreign = part.owner.provider != by.owner.provider
    if isinstance(by.value, Binary) or (foreign and _is_there(part.value)):
        return False
    place = re.compile(_place(part.value, part.owner.provider))
    return any(place.search(text) for text in _texts(vars(by.value)))


def _is_there(value: object) -> bool:
    return isinstance(value, Binary) and bool(value.installed)


def _place(value: ConfigFile | Binary, provider: str) -> str:
    """Return a pattern of what names a file or a program, wherever the node's folders are."""
    if isinstance(value, ConfigFile):
        return re.escape(f"/{provider}/{value.name}") + _END
    if value.installed:
        return re.escape(value.installed) + _END
    return re.escape(f"/{provider}/{value.name}-{value.version}-")


def _stays(saved: Iterable[Part], sure: Sequence[Part]) -> Iterator[str]:
    """Yield a sentence for each file that stays only because another provider's part names it."""
    for part in saved:
        naming = [one for one in sure if _names(one, part)]
        owners = {one.owner.provider for one in naming}
        if owners and part.owner.provider not in owners:
            by = f"{_called(naming[0].value)} of {naming[0].owner.provider}"
            yield f"{_called(part.value)} of {part.owner.provider} stays: {by} names it"


def _called(value: Any) -> str:
    """Return what a declaration is called in a sentence."""
    if isinstance(value, HandlerExtension):
        return f"the extension of {value.handler}"
    if isinstance(value, Check):
        return f"the warning {value.name!r}"
    if isinstance(value, JSONKeys):
        return f"the keys in {value.path}"
    kinds = {"ConfigFile": "the file", "Binary": "the program", "RuntimeHandler": "the handler"}
    kind = kinds.get(type(value).__name__, f"a {type(value).__name__}")
    return f"{kind} {getattr(value, 'name', '')}".rstrip()


def _among(part: Part, others: Iterable[Part]) -> bool:
    return any(part is other for other in others)


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
