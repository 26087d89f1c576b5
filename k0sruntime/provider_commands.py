"""Commands that providers bring: entry points of the group ``k0sruntime.commands``.

Each names a click command that the distribution runs with ``run_command``; so a shell can be told
how to complete it, and man pages can be written, without anything of it being run.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import importlib_metadata

from k0sruntime.errors import Problem, ProviderError, UsageError
from k0sruntime.guard import cause, one_line, unheard

if TYPE_CHECKING:
    import click

GROUP = "k0sruntime.commands"
IMPORT_SECONDS = 10.0
"""Deadline of importing one command."""
COMMAND_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,63}")
"""A name that stands in scripts of shells and in names of files."""


def names() -> tuple[str, ...]:
    """Return the names of all commands of installed providers, sorted; nothing is imported."""
    return tuple(sorted(_points()))


def _points() -> dict[str, importlib_metadata.EntryPoint]:
    found: dict[str, importlib_metadata.EntryPoint] = {}
    for distribution in importlib_metadata.distributions():
        try:
            points = list(distribution.entry_points.select(group=GROUP))
        except Exception:  # noqa: BLE001, S112 - discovery tells what is wrong with a provider's
            continue
        for point in points:
            if COMMAND_NAME.fullmatch(point.name):
                found.setdefault(point.name, point)
    return found


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
        ProviderError: it cannot be imported, or is no click command.
    """
    import click

    refuse_unknown(name)
    point = _points()[name]
    try:
        found = unheard(point.load, IMPORT_SECONDS)
    except KeyboardInterrupt:  # the user's: a provider's own comes as another error
        raise
    except BaseException as exc:
        raise _broken(point, f"it cannot be imported: {cause(exc)}") from exc
    if not isinstance(found, click.Command):
        raise _broken(point, f"{point.value} is a {type(found).__name__}, not a click command")
    return found


def _broken(point: importlib_metadata.EntryPoint, reason: str) -> ProviderError:
    distribution = point.dist
    origin = f"{distribution.name} {distribution.version}" if distribution else ""
    return ProviderError(
        Problem(
            f"the command {point.name} cannot be told: {reason}",
            place=f"entry point {point.name} in group {GROUP}",
            culprit=one_line(origin),
            remedy="Update its distribution, or uninstall it.",
        )
    )
