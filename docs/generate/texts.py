"""Texts that are made from the code, so that nothing is written twice.

A page asks for one with a line ``<!-- generated: NAME -->``.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MARKER = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.MULTILINE)


class UnknownTextError(Exception):
    """A page asks for a text that nobody makes."""


def filled(markdown: str) -> str:
    """Return a page with its generated texts in place.

    Raises:
        UnknownTextError: the page asks for one that there is not.
    """

    def made(match: re.Match[str]) -> str:
        if match[1] not in TEXTS:
            raise UnknownTextError(f"no text {match[1]!r}; there are {', '.join(TEXTS)}")
        return "\n".join(TEXTS[match[1]]()).strip()

    return MARKER.sub(made, markdown)


def exit_codes() -> Iterator[str]:
    """Yield the table of exit codes."""
    from k0sruntime.described import described
    from k0sruntime.errors import ExitCode

    words = described(ExitCode)
    yield from _table(
        ("code", "name in JSON", "what it means"),
        [(str(int(code)), f"`{code.name}`", words[code.name]) for code in ExitCode],
    )


def rules() -> Iterator[str]:
    """Yield the table of lint's rules."""
    from k0sruntime.lint import RULES

    yield from _table(
        ("code", "name", "finds", "usually", ""),
        [
            (
                f"[{rule.code}]({rule.code}.md)",
                rule.name,
                rule.summary,
                rule.consequence,
                "machine" if rule.machine else "",
            )
            for rule in RULES
        ],
    )


def host_commands() -> Iterator[str]:
    """Yield all commands of the host."""
    from k0sruntime.cli.main import cli

    yield from _commands(cli, "k0sruntime")


def provider_commands() -> Iterator[str]:
    """Yield the commands that the four providers bring."""
    from k0sruntime import provider_commands as brought

    for name in brought.names():
        yield from _commands(brought.load(name), name)


def _commands(command: Any, name: str) -> Iterator[str]:
    from k0sruntime.cli.told import tell

    for told in tell(command, name):
        yield f"## {told.name}\n"
        yield f"```text\n{told.name} {told.usage}".rstrip() + "\n```\n"
        yield from (f"{_code_options(paragraph)}\n" for paragraph in told.paragraphs)
        if told.commands:
            rows = [(f"`{name}`", words) for name, words in told.commands]
            yield from _table(("command", ""), rows)
        rows = [(f"`{option.names}`", _code_options(option.words)) for option in told.options]
        yield from _table(("option", ""), rows)


def _code_options(text: str) -> str:
    """Show options as code: two dashes would else become one."""
    text = re.sub(r"(?<![\w`])(--?[a-z][a-z-]*)", r"`\1`", text)
    return text.replace("<", "&lt;").replace("[", "\\[")


def settings() -> Iterator[str]:
    """Yield the keys of each provider's table, as ``providers NAME`` does."""
    from k0sruntime.discovery import discover
    from k0sruntime.settings_schema import fields

    for record in discover().usable():
        yield f"## [{record.name}]\n"
        yield f"{record.summary[:1].upper()}{record.summary[1:]}. From {record.distribution}.\n"
        yield from _table(
            ("key", "type", "default", "what it is for"),
            [
                (
                    f"`{field.key}`",
                    field.type,
                    f"`{field.default}`" if field.default else "",
                    field.words,
                )
                for field in fields(record.settings)
            ],
        )


def documents() -> Iterator[str]:
    """Yield the documents that ``--json`` prints, and their parts."""
    from k0sruntime import documents
    from k0sruntime.seen import document

    kinds = [getattr(documents, name) for name in documents.__all__ if name[0].isupper()]
    kinds = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    whole = [k for k in kinds if issubclass(k, documents.Document) and k is not documents.Document]
    for kind in whole:
        yield from _shape(kind, 2)
    yield from _shape(document.NodeReport, 2)
    yield "## Parts\n"
    for kind in kinds:
        if not issubclass(kind, documents.Document):
            yield from _shape(kind, 3)
    yield "## Parts of a NodeReport\n"
    for kind in vars(document).values():
        part = isinstance(kind, type) and issubclass(kind, document.Part)
        if part and kind not in (document.Part, document.NodeReport):
            yield from _shape(kind, 3)


def _shape(kind: Any, level: int) -> Iterator[str]:
    from k0sruntime.described import described

    words, hints = described(kind), typing.get_type_hints(kind)
    said = " ".join((inspect.getdoc(kind) or "").replace("``", "`").split())
    yield f"{'#' * level} {kind.__name__} {{ #{_anchor(kind)} }}\n"
    yield f"{said}\n"
    fields = [name for name in _fields(kind) if name not in ("kind", "schema")]
    rows = [(f"`{name}`", _json_type(hints[name]), words.get(name, "")) for name in fields]
    yield from _table(("key", "type", ""), rows)


def _fields(kind: Any) -> Sequence[str]:
    """Return the keys of a document; one that is read as well is a struct of msgspec's."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return typing.cast("Sequence[str]", kind.__struct_fields__)


def _anchor(kind: Any) -> str:
    """Return a document's anchor; a node's report has parts of names that others have, too."""
    name = str(kind.__name__).lower()
    own = kind.__module__ == "k0sruntime.seen.document" and name != "nodereport"
    return f"nodereport-{name}" if own else name


def _json_type(hint: Any) -> str:
    """Return a type in JSON's words; parts are links."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return f"array of {_json_type(inner[0])}"
    if origin is dict:
        return "object"
    if origin is typing.Literal:
        return " or ".join(f"`{word}`" for word in inner)
    if inner:
        return " or ".join(_json_type(one) for one in inner)
    if dataclasses.is_dataclass(hint) or hasattr(hint, "__struct_fields__"):
        return f"[{typing.cast('type', hint).__name__}](#{_anchor(hint)})"
    plain = {str: "string", bool: "boolean", int: "integer", float: "number", Any: "any value"}
    return "null" if hint is type(None) else plain[hint]


def contract() -> Iterator[str]:
    """Yield all that a vendor imports from ``k0sruntime``, a heading for each room."""
    import k0sruntime

    homes: dict[str, list[str]] = {}
    for name in k0sruntime.__all__:
        home = getattr(getattr(k0sruntime, name), "__module__", "")
        if str(home).startswith("k0sruntime"):
            homes.setdefault(home, []).append(name)
    for home, names in sorted(homes.items(), key=lambda item: _rank(item[0])):
        words = (inspect.getdoc(importlib.import_module(home)) or "").splitlines()[0]
        yield f"## {words.rstrip('.').replace('``', '`')}\n"
        yield from (f"::: {home}.{name}\n" for name in names)


def _rank(home: str) -> tuple[int, str]:
    first = (
        "hookspecs",
        "contributions",
        "handlers",
        "binaries",
        "json_keys",
        "settings",
        "node",
        "errors",
    )
    name = home.removeprefix("k0sruntime.")
    return (first.index(name) if name in first else len(first), home)


def testing() -> Iterator[str]:
    """Yield all that a vendor imports from ``k0sruntime.testing``."""
    import k0sruntime.testing as kit

    for name in kit.__all__:
        home = getattr(getattr(kit, name), "__module__", "k0sruntime.testing")
        yield f"::: {home}.{name}\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = list(rows)
    if not lines:
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines
    )
    yield ""


TEXTS: Mapping[str, Callable[[], Iterable[str]]] = {
    "commands": host_commands,
    "contract": contract,
    "documents": documents,
    "exit-codes": exit_codes,
    "provider-commands": provider_commands,
    "rules": rules,
    "settings": settings,
    "testing": testing,
}
"""Every text by the name that pages ask for it with."""
