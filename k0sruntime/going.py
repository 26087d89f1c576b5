"""What a coming major takes out of the contract, and who still uses it.

Everything that goes has one line in ``GOING``, two minor versions and six months before it goes. A
provider that uses it is warned of once, by its name, with a ``FutureWarning``: the one of Python's
warnings about a later change that is shown without asking. ``providers NAME`` and the conformance
kit tell it as well.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterable, Iterator, Mapping
    from types import FrameType

    from k0sruntime.node import Node

Version = tuple[int, int]


@dataclass(frozen=True)
class Going:
    """One part of the contract that goes.

    Attributes:
        what: ``DropIn.reason`` is a field of a contribution, ``Node.kvm`` one of the node,
            ``post_start_check(cri)`` an argument of a hook, ``cri_socket`` a hook, and any other
            name one of ``k0sruntime.__all__``.
        since: the contract that announced it.
        gone: the contract that no longer has it.
        instead: what to do, a clause: ``use DropIn.comment``.
    """

    what: str
    since: Version
    gone: Version
    instead: str

    def told(self) -> str:
        """Return it as a sentence without its subject."""
        since, gone = (f"{major}.{minor}" for major, minor in (self.since, self.gone))
        return (
            f"uses {self.what}, which goes with contract {gone} (announced with {since});"
            f" {self.instead}"
        )


GOING: tuple[Going, ...] = ()
"""All that goes; nothing does yet."""


class Uses:
    """What one provider uses of what goes, each told once."""

    def __init__(self, provider: str) -> None:
        self.found: dict[Going, None] = {}
        self._provider = provider

    def add(self, going: Going, place: tuple[str, int] | None = None) -> None:
        """Note a use, and warn of it the first time.

        Args:
            going: what is used.
            place: file and line of the provider's own code; by default where it is running.
        """
        if going in self.found:
            return
        self.found[going] = None
        message = f"provider {self._provider!r} {going.told()}"
        if place:
            warnings.warn_explicit(message, FutureWarning, *place)
        else:
            warnings.warn(message, FutureWarning, stacklevel=4)

    def sentences(self) -> tuple[str, ...]:
        """Return what was found."""
        return tuple(going.told() for going in self.found)


_RUNNING: ContextVar[Uses | None] = ContextVar("the provider whose code runs", default=None)


@contextmanager
def running(uses: Uses) -> Iterator[None]:
    """Say whose code runs in this thread."""
    token = _RUNNING.set(uses)
    try:
        yield
    finally:
        _RUNNING.reset(token)


def used(what: str, uses: Uses | None = None) -> None:
    """Take note that something of the contract is used.

    Args:
        what: as ``Going.what``.
        uses: whose use it is; by default that of whoever runs in this thread.
    """
    for going in GOING:
        if going.what == what:
            if of := uses or _RUNNING.get():
                of.add(going)
            else:
                warnings.warn(f"this code {going.told()}", FutureWarning, stacklevel=3)


def in_signature(hook: str, signature: inspect.Signature) -> Iterator[Going]:
    """Yield what a provider's hook uses by being there, and by its arguments."""
    words = {hook, *(f"{hook}({name})" for name in signature.parameters)}
    yield from (going for going in GOING if going.what in words)


def in_values(values: Iterable[Any]) -> Iterator[Going]:
    """Yield what contributions set that goes; a field with its default is not set."""
    for value in values:
        if is_dataclass(value) and not isinstance(value, type):
            given = {field.name: getattr(value, field.name) for field in fields(value)}
            unset = {field.name: _default(field) for field in fields(value)}
            for going in GOING:
                name, _, key = going.what.partition(".")
                if name == type(value).__name__ and given.get(key) != unset.get(key):
                    yield going
            yield from in_values(_inner(given))


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _inner(given: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the contributions within a contribution, such as the hosts of a hosts file."""
    for value in given.values():
        if isinstance(value, list | tuple):
            yield from value
        elif isinstance(value, dict):
            yield from value.values()
        else:
            yield value


def watched(node: Node[Any], uses: Uses) -> Node[Any]:
    """Return a node that tells when a field of it that goes is read, by a method of its own too.

    It is equal to the same node unwatched. What takes all fields at once uses none of them: a
    copy, a comparison, ``dataclasses.replace``.

    Args:
        node: the node.
        uses: whose reading it is, in whatever thread that happens.
    """
    names = {going.what.removeprefix("Node.") for going in GOING if going.what.startswith("Node.")}
    if not names:
        return node

    class Watched(type(node)):  # type: ignore[misc]
        _unwatched = type(node)

        def __getattribute__(self, name: str) -> Any:
            if name in names and not _takes_all(sys._getframe(1)):  # noqa: SLF001 - as warnings do
                used(f"Node.{name}", uses)
            return super().__getattribute__(name)

        def __eq__(self, other: object) -> bool:
            return bool(_plain(self) == _plain(other))

        def __hash__(self) -> int:
            return hash(_plain(self))

        def __repr__(self) -> str:
            return repr(_plain(self))

    found: Node[Any] = _filled(Watched, node)
    return found


def _plain(one: Any) -> Any:
    kind = getattr(type(one), "_unwatched", None)
    return _filled(kind, one) if kind else one


def _filled(kind: type[Any], node: Any) -> Any:
    """Return a node of another class with the same fields."""
    found = object.__new__(kind)
    found.__dict__.update(node.__dict__)
    return found


def _takes_all(reader: FrameType) -> bool:
    """Tell whether it is no provider's code that reads, but what makes or copies a node."""
    module = reader.f_globals.get("__name__")
    return module == "dataclasses" or reader.f_code.co_name == "__post_init__"
