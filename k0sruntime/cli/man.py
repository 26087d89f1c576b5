"""``k0sruntime man``: man pages out of the commands' own words.

The wheel carries ours as ``share/man/man1``. Written for mandoc and groff alike, in the few
requests that man(7) calls portable.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.__about__ import __version__
from k0sruntime.cli import complete
from k0sruntime.cli.options import choice_options, request
from k0sruntime.cli.story import Stderr
from k0sruntime.cli.told import tell
from k0sruntime.described import described
from k0sruntime.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from k0sruntime.choice import Choice
    from k0sruntime.cli.told import Told
    from k0sruntime.provider_commands import Brought

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
@choice_options
def command(*, folder: str, names: tuple[str, ...], **options: Any) -> int:
    """Write man pages into FOLDER, such as /usr/local/share/man/man1.

    A page for each command of k0sruntime, and of what the installed providers bring; with COMMAND,
    such as k0sruntime-nvidia, those alone. A provider that is left out is not imported, and has
    none. What cannot be told, or would stand in the place of a page of ours or of somebody else's,
    is told and left out; where it is named, nothing is written.
    """
    from k0sruntime import own_settings, provider_commands
    from k0sruntime.errors import K0sRuntimeError
    from k0sruntime.observe import read_settings
    from k0sruntime.refused import refused_io

    asked = request(**options)
    own = own_settings.node_settings(read_settings(asked.paths, asked.settings), asked)
    choice = own_settings.chosen(asked, own)
    ours = dict(pages())
    found: dict[str, str] = {}
    story = Stderr()
    for name in names or provider_commands.names():
        try:
            found |= _theirs(name, choice, {**ours, **found})
        except K0sRuntimeError as exc:
            if names:
                raise
            story.say(f"no page for {name}: {exc}")
    with refused_io(folder):
        paths = lay(folder, found if names else {**ours, **found})
    for path in paths:
        click.echo(f"+ {path}")
    return 0


def _theirs(name: str, choice: Choice, taken: Mapping[str, str]) -> Mapping[str, str]:
    """Return the man pages of a provider's command; the provider is code, and may not be wanted.

    Args:
        name: the command's.
        choice: what the operator says about the providers.
        taken: pages that are there already, whose place is theirs.

    Raises:
        UsageError: there is no such command.
        RefusedError: the operator leaves it out.
        ProviderError: it cannot be told, or a page of it would take another's place.
    """
    from k0sruntime import provider_commands
    from k0sruntime.errors import ProviderError, RefusedError
    from k0sruntime.guard import cause, unheard

    provider_commands.refuse_unknown(name)
    makers = provider_commands.brought()[name]
    if reason := next(filter(None, (maker.blocked(choice) for maker in makers)), ""):
        raise RefusedError(makers[0].problem(reason, "Let it in, or name others."))
    _refuse_taken((f"{name}.1",), taken, makers[0])  # before anything of it is imported
    group = provider_commands.load(name)
    try:
        found = unheard(lambda: pages(group, name), provider_commands.IMPORT_SECONDS)
    except KeyboardInterrupt:  # the user's: a provider's own comes as another error
        raise
    except BaseException as exc:
        raise ProviderError(makers[0].problem(cause(exc))) from exc
    _refuse_taken(found, taken, makers[0])
    return found


def _refuse_taken(found: Iterable[str], taken: Iterable[str], maker: Brought) -> None:
    from k0sruntime.errors import ProviderError
    from k0sruntime.guard import one_line
    from k0sruntime.provider_commands import COMMAND_NAME

    there = {page.casefold() for page in taken}  # some file systems know no case
    for page in found:
        if not COMMAND_NAME.fullmatch(page):
            raise ProviderError(maker.problem(f"its page {one_line(page)!r} is no name of a file"))
        if page.casefold() in there:
            raise ProviderError(maker.problem(f"its page {page} would take another's place"))


def pages(group: click.Command | None = None, name: str = "k0sruntime") -> Mapping[str, str]:
    """Return all man pages of a command, ours by default: file name to text."""
    from k0sruntime.cli.main import cli

    told = list(tell(group or cli, name))
    codes = described(ExitCode)
    return {f"{_name(one)}.1": "\n".join(_page(one, told, codes)) + "\n" for one in told}


def _name(told: Told) -> str:
    return told.name.replace(" ", "-")


def _page(told: Told, every: list[Told], codes: Mapping[str, str]) -> Iterator[str]:
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
    for code in ExitCode:
        yield from (".TP", str(int(code)), _line(codes[code.name]))
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
    return lay(folder, pages(group, name))


def lay(folder: str, found: Mapping[str, str]) -> list[str]:
    """Write pages into a folder, and return their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = []
    for page, text in found.items():
        paths.append(os.path.join(folder, page))
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(text)
    return paths
