"""Asking one hook of one provider: guarded, bounded, every value checked and stamped.

Generators run inside the guarded call, for that is where their errors belong.
"""

from __future__ import annotations

import contextlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import going
from k0sruntime.contributions import Contribution, Owner
from k0sruntime.errors import Inactive, Problem, ProviderError, Refused, RefusedError
from k0sruntime.guard import cause, one_line, unheard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_VALUES = 1000
"""More contributions than this from one hook call are a runaway generator."""


@dataclass(frozen=True)
class Question:
    """One hook of one provider.

    Attributes:
        call: asks it, given the hook's arguments by name.
        owner: who answers for what comes back.
        kinds: what it may return.
        seconds: how long it may take.
        uses: what the provider was seen to use that goes.
        place: file and line of the hook, where they are known.
    """

    call: Callable[..., list[Any]]
    owner: Owner
    kinds: tuple[type, ...]
    seconds: float
    uses: going.Uses
    place: tuple[str, int] | None


def ask(
    question: Question, arguments: Mapping[str, Any], refused: list[Problem] | None = None
) -> list[Contribution[Any]]:
    """Return what the hook returns, each value with its owner.

    Args:
        question: whom, and what.
        arguments: what the hook is given; a ``node`` among them tells what is read of it.
        refused: where to put what the provider refuses, instead of raising.

    Raises:
        Inactive: as the provider raised it.
        RefusedError: what the provider says that this node cannot have.
        ProviderError: anything else that went wrong, with provider, version and hook named.
    """
    owner = question.owner
    given = dict(arguments)
    if "node" in given:
        given["node"] = going.watched(given["node"], question.uses)
    values: list[Any] = []

    def call() -> None:
        with going.running(question.uses):
            for result in question.call(**given):
                for value in _values(result):
                    values.append(value)  # noqa: PERF402 - it counts if the rest does not

    try:
        with _kept(refused, owner):
            unheard(call, question.seconds)
        _check_kinds(values, question.kinds)
        found = going.in_values(values)  # runs what the values' classes bring along
        used = unheard(lambda: tuple(found), question.seconds) if going.GOING else ()
    except Inactive:
        raise
    except Refused as exc:
        raise RefusedError(*(_refused(owner, problem) for problem in exc.problems)) from exc
    except BaseException as exc:
        if isinstance(exc, KeyboardInterrupt):  # the user's: see guard.bounded
            raise
        raise provider_error(owner, cause(exc)) from exc
    for one in used:
        question.uses.add(one, question.place)
    return [Contribution(owner, value) for value in values]


def provider_error(owner: Owner, message: str) -> ProviderError:
    """Return the error of a provider that failed in a hook."""
    return ProviderError(
        Problem(
            f"provider {owner.provider!r} failed in {owner.hook}: {message}",
            place=f"hook {owner.hook}",
            culprit=f"{owner.distribution} {owner.version}",
            remedy=f"Update {owner.distribution}, or go on with --without {owner.provider}.",
        )
    )


def _refused(owner: Owner, problem: Problem) -> Problem:
    return Problem(
        one_line(problem.message),
        one_line(problem.place) or f"[{owner.provider}] of the settings",
        str(owner),
        one_line(problem.remedy),
    )


@contextlib.contextmanager
def _kept(refused: list[Problem] | None, owner: Owner) -> Iterator[None]:
    """Take down what a provider refuses, where somebody asked for that."""
    try:
        yield
    except Refused as exc:
        if refused is None:
            raise
        refused += [_refused(owner, problem) for problem in exc.problems]


def _values(result: object) -> Iterator[object]:
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("the hook is a coroutine; hooks are plain functions or generators")
    if isinstance(result, str | bytes | dict) or not hasattr(result, "__iter__"):
        raise TypeError(f"the hook returned a {type(result).__name__}, not contributions")
    iterable: Iterable[object] = result
    for number, value in enumerate(iterable):
        if number >= MAX_VALUES:
            raise ValueError(f"the hook returned more than {MAX_VALUES} contributions")
        yield value


def _check_kinds(values: list[object], kinds: tuple[type, ...]) -> None:
    for value in values:
        if not isinstance(value, kinds):
            expected = ", ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"it returned a {type(value).__name__}; expected {expected}")
