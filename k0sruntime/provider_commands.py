"""Commands that providers bring: entry points of the group ``k0sruntime.commands``.

Each names a click command that the distribution runs with ``run_command``; so a shell can be told
how to complete it, and man pages can be written, without anything of it being run. To import one is
to run a provider's code: what the operator leaves out is not imported here either.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import importlib_metadata

from k0sruntime.discovery import GROUP as PROVIDERS
from k0sruntime.errors import Problem, ProviderError, UsageError
from k0sruntime.guard import cause, one_line, unheard

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

    from k0sruntime.choice import Choice

GROUP = "k0sruntime.commands"
IMPORT_SECONDS = 10.0
"""Deadline of importing one command."""
COMMAND_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,63}")
"""A name that stands in scripts of shells and in names of files."""


@dataclass(frozen=True)
class Brought:
    """A command as an installed distribution names it.

    Attributes:
        point: its entry point.
        origin: the distribution and its version.
        providers: the names of the providers in the same distribution.
    """

    point: importlib_metadata.EntryPoint
    origin: str
    providers: tuple[str, ...]

    def blocked(self, choice: Choice) -> str:
        """Return why it is left out, or an empty string.

        Where one provider of its distribution is left out, so is it. One without any provider
        counts as one that nobody has named.
        """
        reasons = (choice.blocked(name) for name in self.providers or ("",))
        return next(filter(None, reasons), "")

    def problem(
        self, reason: str, remedy: str = "Update its distribution, or uninstall it."
    ) -> Problem:
        """Return what is wrong with it, whose it is, and what to do."""
        return Problem(
            f"the command {self.point.name} cannot be told: {reason}",
            place=f"entry point {self.point.name} in group {GROUP}",
            culprit=self.origin,
            remedy=remedy,
        )


def names() -> tuple[str, ...]:
    """Return the names of all commands of installed providers, sorted; nothing is imported."""
    return tuple(sorted(brought()))


def brought() -> Mapping[str, tuple[Brought, ...]]:
    """Return all commands by name; several of one name have several makers. Nothing is imported.

    An older copy of a distribution on the path counts not.
    """
    found: dict[str, tuple[Brought, ...]] = {}
    seen: set[str] = set()
    for distribution in importlib_metadata.distributions():
        try:
            points = list(distribution.entry_points.select(group=GROUP))
            if not points or (normal := _normal(distribution.name)) in seen:
                continue
            seen.add(normal)
            providers = distribution.entry_points.select(group=PROVIDERS)
            origin = one_line(f"{distribution.name} {distribution.version}")
        except Exception:  # noqa: BLE001, S112 - discovery tells what is wrong with a provider's
            continue
        owners = tuple(sorted(one_line(provider.name) for provider in providers))
        for point in points:
            if COMMAND_NAME.fullmatch(point.name):
                one = Brought(point, origin, owners)
                found[point.name] = (*found.get(point.name, ()), one)
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # PEP 503


def refuse_unknown(name: str) -> None:
    """Refuse a command that no installed provider brings: a shell would run it at every key.

    Raises:
        UsageError: there is none of this name.
    """
    known = names()
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    there = f"There are {', '.join(known)}." if known else "No installed provider brings one."
    remedy = f"Did you mean {near[0]}?" if near else there
    message = f"no installed provider brings a command {one_line(name)!r}"
    raise UsageError(Problem(message, remedy=f"{remedy} See entry points of group {GROUP}."))


def load(name: str) -> click.Command:
    """Import a provider's command.

    Raises:
        UsageError: there is none of this name.
        ProviderError: it cannot be imported, is no click command, or two distributions bring it.
    """
    import click

    refuse_unknown(name)
    one, *others = brought()[name]
    if others:
        makers = " and ".join(sorted(maker.origin for maker in (one, *others)))
        raise ProviderError(one.problem(f"{makers} bring one of this name"))
    try:
        found = unheard(one.point.load, IMPORT_SECONDS)
    except KeyboardInterrupt:  # the user's: a provider's own comes as another error
        raise
    except BaseException as exc:
        raise ProviderError(one.problem(f"it cannot be imported: {cause(exc)}")) from exc
    if not isinstance(found, click.Command):
        kind = one_line(f"{one.point.value} is a {type(found).__name__}, not a click command")
        raise ProviderError(one.problem(kind))
    return found
