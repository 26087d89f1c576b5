"""``k0sruntime man``: man pages out of the commands' own words.

The wheel carries ours as ``share/man/man1``. Written for mandoc and groff alike, in the few
requests that man(7) calls portable.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from k0sruntime.__about__ import __version__
from k0sruntime.cli import complete
from k0sruntime.cli.told import tell
from k0sruntime.described import described
from k0sruntime.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.cli.told import Told

FILES: Mapping[str, str] = {
    "/etc/k0sruntime/config.toml": "The operator's settings: a table for each provider.",
    "/etc/k0s/containerd.d/": "Drop-ins; ours begin with k0sruntime-.",
    "/etc/k0s/containerd.d/certs.d/": "Hosts files, one folder a registry.",
    "/etc/k0s/quarantine/": "Files of other hands that were moved away, and are kept.",
    "/var/lib/k0sruntime/": "What we own, the generations, and installed programs.",
    "/run/k0s/containerd.log": "What containerd says, in standalone mode.",
}


@click.command(name="man")
@click.argument("folder", type=click.Path(file_okay=False))
@click.argument("names", metavar="[COMMAND]...", nargs=-1, shell_complete=complete.commands)
def command(*, folder: str, names: tuple[str, ...]) -> int:
    """Write man pages into FOLDER, such as /usr/local/share/man/man1.

    A page for each command of k0sruntime, and of what the installed providers bring; with COMMAND,
    such as k0sruntime-nvidia, those alone.
    """
    from k0sruntime import provider_commands
    from k0sruntime.refused import refused_io

    told = {n: provider_commands.load(n) for n in names or provider_commands.names()}
    with refused_io(folder):
        paths = [] if names else write(folder)
        for name, one in told.items():
            paths += write(folder, one, name)
    for path in paths:
        click.echo(f"+ {path}")
    return 0


def pages(group: click.Command | None = None, name: str = "k0sruntime") -> Mapping[str, str]:
    """Return all man pages of a command, ours by default: file name to text."""
    from k0sruntime.cli.main import cli

    told = list(tell(group or cli, name))
    return {f"{_name(one)}.1": "\n".join(_page(one, told)) + "\n" for one in told}


def _name(told: Told) -> str:
    return told.name.replace(" ", "-")


def _page(told: Told, every: list[Told]) -> Iterator[str]:
    # Without a date, so that the same commands come to the same bytes.
    yield f'.TH "{_name(told).upper()}" "1" "" "k0sruntime {__version__}" "k0sruntime"'
    yield from (".nh", ".ad l")  # names of variables are not to be broken
    yield ".SH NAME"
    yield rf"{_text(_name(told))} \- {_text(told.summary.rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield f".B {_text(told.name)}"
    yield _line(told.usage)
    yield ".SH DESCRIPTION"
    for number, paragraph in enumerate(told.paragraphs):
        yield from ([".PP"] if number else [])
        yield _line(paragraph)
    if told.commands:
        yield ".SH COMMANDS"
        for name, words in told.commands:
            yield from (".TP", rf"\fB{_text(f'{_name(told)}-{name}')}\fP(1)", _line(words))
    yield ".SH OPTIONS"
    for option in told.options:
        yield from (".TP", rf"\fB{_text(option.names)}\fP", _line(option.words))
    yield ".SH EXIT STATUS"
    meanings = described(ExitCode)
    for code in ExitCode:
        yield from (".TP", str(int(code)), _line(meanings[code.name]))
    yield ".SH FILES"
    for path, said in FILES.items():
        yield from (".TP", rf"\fI{_text(path)}\fP", _line(said))
    yield ".SH SEE ALSO"
    others = [_name(one) for one in every if one is not told and (told.commands or one.commands)]
    yield _line(", ".join(f"{other}(1)" for other in others))


def _line(text: str) -> str:
    r"""Return a text as lines: a dot or a quote at the start of one would be a request."""
    lines = (_text(line) for line in _broken(text))
    return "\n".join(rf"\&{line}" if line[:1] in ".'" else line for line in lines)


def _broken(text: str) -> list[str]:
    """Break after sentences, as man(7) wants it."""
    return re.split(r"(?<=[a-z)]\.) +(?=[A-Z])", text)


def _text(text: str) -> str:
    """Escape what roff reads as its own; a dash stays the one that can be copied and typed."""
    return text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...")


def write(folder: str, group: click.Command | None = None, name: str = "k0sruntime") -> list[str]:
    """Write all pages of a command, ours by default, into a folder, and return their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = []
    for page, text in pages(group, name).items():
        paths.append(os.path.join(folder, page))
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(text)
    return paths
