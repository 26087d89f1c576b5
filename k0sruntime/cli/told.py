"""Every command as plain data: one source for the man pages and for the reference in the docs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Option:
    """An option: how it is written, and what it is for, its default and variable included."""

    names: str
    words: str


@dataclass(frozen=True)
class Told:
    """A command as its own ``--help`` tells it.

    Attributes:
        name: as it is typed, such as ``k0sruntime plan``.
        usage: what follows the name, such as ``[OPTIONS] [KEY]``.
        summary: the first sentence.
        paragraphs: all of what it says, a line each.
        options: in the order of ``--help``.
        commands: the commands below it: name and summary.
    """

    name: str
    usage: str
    summary: str
    paragraphs: tuple[str, ...]
    options: tuple[Option, ...]
    commands: tuple[tuple[str, str], ...] = ()


def tell(command: click.Command, name: str) -> Iterator[Told]:
    """Yield a command and all commands below it, in the order of ``--help``."""
    context = click.Context(command, info_name=name, **command.context_settings)
    yield from _tell(command, context)


def _tell(command: click.Command, context: click.Context) -> Iterator[Told]:
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    inner = {name: _child(command, context, name) for name in names}
    paragraphs = tuple(_paragraphs(command.help or ""))
    yield Told(
        context.command_path,
        " ".join(command.collect_usage_pieces(context)),
        paragraphs[0].partition(". ")[0].rstrip(".") + "." if paragraphs else "",
        paragraphs,
        tuple(_options(command, context)),
        tuple((name, _summary(child)) for name, child in inner.items()),
    )
    for name, child in inner.items():
        below = click.Context(child, info_name=name, parent=context, **child.context_settings)
        yield from _tell(child, below)


def _child(command: click.Command, context: click.Context, name: str) -> click.Command:
    child = command.get_command(context, name) if isinstance(command, click.Group) else None
    if child is None:
        raise LookupError(f"{context.command_path} lists {name} and does not have it")
    return child


def _summary(command: click.Command) -> str:
    first = next(_paragraphs(command.help or ""), "")
    return first.partition(". ")[0].rstrip(".") + "."


def _paragraphs(text: str) -> Iterator[str]:
    for part in inspect.cleandoc(text.partition("\f")[0]).split("\n\n"):
        if said := " ".join(part.replace("\b", "").split()):
            yield said


def _options(command: click.Command, context: click.Context) -> Iterator[Option]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and isinstance(parameter, click.Option):
            names, words = record
            yield Option(names, " ".join(words.split()))
