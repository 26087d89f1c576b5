"""YAML as text with positions, so that a value goes in and every other byte stays.

A file that is loaded and dumped comes back reflowed: comments before its first document, line ends,
empty values and indentation of lists change, and what an alias shares is changed for all that share
it. So nothing is dumped here. The parser says where things stand, and text is put between.
ruamel.yaml is imported for the parser, and only here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["mapping", "sequence", "scalar", "alias"]
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
"""What a reader of YAML 1.1 takes for no string."""


class OddError(Exception):
    """It is laid out in a way in which nothing can be put; says why."""


@dataclass
class Found:
    """A value of a document, and where it stands.

    Attributes:
        kind: what it is.
        start: index of its first character, an anchor's included.
        end: index after its last character; of a block collection only its children's ends count.
        text: a scalar's value, or the name of an alias.
        anchor: its anchor; empty for none.
        tagged: it has a tag.
        plain: a scalar without quotes.
        flow: a collection in brackets.
        inside: it stands within brackets.
        children: key and value in turn, or the items.
    """

    kind: Kind
    start: int
    end: int
    text: str = ""
    anchor: str = ""
    tagged: bool = False
    plain: bool = False
    flow: bool = False
    inside: bool = False
    children: list[Found] = field(default_factory=list)

    @property
    def null(self) -> bool:
        """It says nothing: empty, ``~`` or ``null``."""
        return (
            self.kind == "scalar" and self.plain and self.text in ("", "~", "null", "Null", "NULL")
        )

    @property
    def last(self) -> int:
        """Index after the last character of what it holds."""
        block = self.kind in ("mapping", "sequence") and not self.flow
        return self.children[-1].last if block and self.children else self.end

    def pairs(self) -> Iterator[tuple[Found, Found]]:
        """Yield a mapping's keys and values."""
        yield from zip(self.children[::2], self.children[1::2], strict=True)

    def get(self, key: str) -> Found | None:
        """Return a mapping's value."""
        found = (v for k, v in self.pairs() if k.kind == "scalar" and k.text == key)
        return next(found, None) if self.kind == "mapping" else None


def parsed(text: str) -> list[Found]:
    """Return the documents of a text with their positions.

    Raises:
        ruamel.yaml.error.YAMLError: it is no YAML.
    """
    from ruamel.yaml import YAML

    events = iter(YAML(typ="safe", pure=True).parse(text))
    kinds = {"MappingStartEvent": "mapping", "SequenceStartEvent": "sequence"}

    def value(event: Any, *, inside: bool) -> Found:
        name = type(event).__name__
        start, end = event.start_mark.index, event.end_mark.index
        if name == "AliasEvent":
            return Found("alias", start, end, event.anchor, inside=inside)
        found = Found("scalar", start, end, anchor=event.anchor or "", inside=inside)
        found.tagged = bool(getattr(event, "tag", None))
        if name == "ScalarEvent":
            found.text, found.plain = event.value, bool(event.implicit[0])
            return found
        found.kind = "mapping" if kinds[name] == "mapping" else "sequence"
        found.flow = bool(event.flow_style)
        for inner in events:
            if type(inner).__name__ in ("MappingEndEvent", "SequenceEndEvent"):
                found.end = inner.end_mark.index
                break
            found.children.append(value(inner, inside=inside or found.flow))
        for key, empty in found.pairs() if found.kind == "mapping" else ():
            colon = re.compile(r"\s*:").match(text, key.end)
            if colon and empty.kind == "scalar" and empty.start == empty.end:
                # The parser is past the comments that follow, and past the line.
                empty.start = empty.end = colon.end()
        return found

    return [
        value(event, inside=False)
        for event in events
        if type(event).__name__
        in ("ScalarEvent", "AliasEvent", "MappingStartEvent", "SequenceStartEvent")
    ]


def aliases(found: Found) -> set[str]:
    """Return the names of the anchors that something in a value refers to."""
    names = {found.text} if found.kind == "alias" else set()
    return names.union(*(aliases(child) for child in found.children))


def flow(value: Any) -> str:
    """Return a value as it is written within brackets, and on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def block(value: Mapping[str, Any], indent: int, step: int, dash: int) -> list[str]:
    """Return a mapping as lines.

    Args:
        value: what is written; lists hold mappings, or stand in brackets.
        indent: how far in it stands.
        step: how far in what is below a key stands.
        dash: how far in a list stands.
    """
    lines = []
    for key, inner in value.items():
        head = f"{' ' * indent}{flow(key)}:"
        if isinstance(inner, dict) and inner:
            lines += [head, *block(inner, indent + step, step, dash)]
        elif isinstance(inner, list) and inner and all(isinstance(i, dict) and i for i in inner):
            lines.append(head)
            for item in inner:
                lines += item_lines(item, indent + dash, step, dash)
        else:
            lines.append(f"{head} {flow(inner)}")
    return lines


def item_lines(item: Mapping[str, Any], indent: int, step: int, dash: int) -> list[str]:
    """Return an item of a list as lines; its dash stands at ``indent``."""
    first, *more = block(item, indent + 2, step, dash)
    return [f"{' ' * indent}- {first.lstrip(' ')}", *more]


def first_dash(sequence: Found, text: str) -> int:
    """Return where a list in a block has its first dash."""
    if sequence.anchor or sequence.tagged:
        return text.rfind("-", 0, sequence.children[0].start)
    return sequence.start


@dataclass
class Splice:
    """A text that something is put into.

    Attributes:
        text: the text as it is; changed by what is put in.
        step: how far in the text has what is below a key.
        dash: how far in it has a list.
    """

    text: str
    step: int = 2
    dash: int = 0

    @property
    def newline(self) -> str:
        """The text's own line end."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def add(self, into: Found, value: Mapping[str, Any]) -> None:
        """Put keys into a mapping, or an item into a list.

        Raises:
            OddError: there is no place for them.
        """
        if into.flow:
            self._between(into, value)
        elif not into.children:
            raise OddError("an empty block")
        elif into.kind == "mapping":
            indent = self._column(into.children[0].start)
            self._after(into.last, block(value, indent, self.step, self.dash))
        else:
            indent = self._column(first_dash(into, self.text))
            self._after(into.last, item_lines(value, indent, self.step, self.dash))

    def fill(self, key: Found, empty: Found, value: Any) -> None:
        """Put a value where a key says nothing."""
        if empty.anchor or empty.tagged:
            raise OddError("an anchor or a tag without a value")
        if empty.inside:
            self._replace(empty, flow(value))
            return
        indent = self._column(key.start)
        lines = block({key.text: value}, indent, self.step, self.dash)[1:]
        if not lines:
            raise OddError("a value that has no lines")
        self._after(empty.last, lines)
        if empty.text:
            self._cut(empty)

    def merge(self, key: Found, alias: Found, value: Mapping[str, Any]) -> None:
        """Make a mapping of an alias that has all of it, and keys of its own (YAML 1.1, ``<<``)."""
        if alias.inside:
            inner = flow(value).removeprefix("{")
            self._replace(alias, f"{{<<: *{alias.text}, {inner}")
            return
        indent = self._column(key.start) + self.step
        lines = [f"{' ' * indent}<<: *{alias.text}", *block(value, indent, self.step, self.dash)]
        self._after(alias.end, lines)
        self._cut(alias)

    def replace(self, scalar: Found, value: Any) -> None:
        """Put another value in the place of one on a line.

        Raises:
            OddError: it is an alias, or more than a line.
        """
        if scalar.kind != "scalar" or scalar.anchor or scalar.tagged or "\n" in self._at(scalar):
            raise OddError("another value that stands for more than itself")
        self._replace(scalar, flow(value))

    def _at(self, found: Found) -> str:
        return self.text[found.start : found.end]

    def _replace(self, found: Found, new: str) -> None:
        glued = found.start == found.end  # an empty value, right behind its colon
        self.text = f"{self.text[: found.start]}{' ' * glued}{new}{self.text[found.end :]}"

    def _cut(self, found: Found) -> None:
        """Take a value out, and the space before it where nothing follows on its line."""
        before, after = self.text[: found.start], self.text[found.end :]
        rest = re.match(r"[ \t]*(\r?\n|$)", after)
        self.text = (before.rstrip(" \t") if rest else before) + after

    def _column(self, index: int) -> int:
        start = max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1
        return index - start

    def _after(self, index: int, lines: list[str]) -> None:
        """Put lines behind the line on which something ends."""
        if index and self.text[index - 1 : index] == "\n":  # a block scalar ends with its line
            at, lead, tail = index, "", self.newline
        else:
            end = re.compile(r"\r?\n").search(self.text, index)
            at = end.start() if end else len(self.text)
            lead, tail = self.newline, ""
        put = self.newline.join(lines)
        self.text = f"{self.text[:at]}{lead}{put}{tail}{self.text[at:]}"

    def _between(self, into: Found, value: Mapping[str, Any]) -> None:
        new = flow(value)
        if into.kind == "mapping":
            new = new.removeprefix("{").removesuffix("}")
        if into.children:
            at, new = into.children[-1].last, f", {new}"
        else:
            at = into.end - 1
        self.text = f"{self.text[:at]}{new}{self.text[at:]}"


def style(found: Found, text: str) -> tuple[int, int]:
    """Return how far in a document has what is below a key, and its lists; two and none by default.

    The first that there is of each tells.
    """
    steps: list[int] = []
    dashes: list[int] = []

    def column(index: int) -> int:
        return index - (text.rfind("\n", 0, index) + 1)

    def look(mapping: Found) -> None:
        for key, value in mapping.pairs():
            if value.flow or not value.children:
                continue
            if value.kind == "mapping":
                steps.append(column(value.children[0].start) - column(key.start))
                look(value)
            elif value.kind == "sequence":
                dashes.append(column(first_dash(value, text)) - column(key.start))
                for item in value.children:
                    if item.kind == "mapping" and not item.flow:
                        look(item)

    if found.kind == "mapping" and not found.flow:
        look(found)
    step = next((step for step in steps if step > 0), 2)
    return step, next((dash for dash in dashes if dash >= 0), 0)
