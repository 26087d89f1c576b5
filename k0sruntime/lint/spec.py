"""How known keys are written down, and walking a document beside them.

containerd reads its keys without regard to upper and lower case (go-toml), and so does this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from k0sruntime.lint.finding import Path
    from k0sruntime.node import Version

Kind = Literal["string", "integer", "boolean", "number", "list", "list of strings", "table"]
FIRST = (0,)
NEVER = (999,)


@dataclass(frozen=True)
class Key:
    """A key that containerd knows.

    Attributes:
        kind: the type that it must have.
        default: containerd's own value, where it has one.
        since: the first containerd that knows it.
        until: the first containerd that does not know it any more.
        inside: the keys of a table; ``None`` where they are free.
        each: the table's own keys are names, and ``inside`` holds for each of its tables.
    """

    kind: Kind
    default: Any = None
    since: tuple[int, ...] = FIRST
    until: tuple[int, ...] = NEVER
    inside: Mapping[str, Key] | None = None
    each: bool = False

    def known_to(self, containerd: Version) -> bool:
        """Tell whether that containerd knows the key."""
        return self.since <= containerd < self.until


Spec = dict[str, Key]


Line = tuple[int, ...]


def string(default: str | None = "", since: Line = FIRST, until: Line = NEVER) -> Key:
    """Return a key that holds a string."""
    return Key("string", default, since, until)


def boolean(*, default: bool | None = False, since: Line = FIRST) -> Key:
    """Return a key that holds a boolean."""
    return Key("boolean", default, since)


def integer(default: int | None = 0, since: Line = FIRST) -> Key:
    """Return a key that holds an integer."""
    return Key("integer", default, since)


def strings(*default: str, since: Line = FIRST) -> Key:
    """Return a key that holds a list of strings."""
    return Key("list of strings", list(default), since)


def table(inside: Spec | None = None) -> Key:
    """Return a key that holds a table."""
    return Key("table", inside=inside)


def named(inside: Spec | None = None) -> Key:
    """Return a key that holds a table of tables by name."""
    return Key("table", inside=inside, each=True)


def find(spec: Mapping[str, Key], name: str) -> Key | None:
    """Return what is known of a key, whatever its case."""
    if name in spec:
        return spec[name]
    return next((key for known, key in spec.items() if known.lower() == name.lower()), None)


def walk(
    document: Mapping[str, Any], spec: Mapping[str, Key], path: Path
) -> Iterator[tuple[Path, Any, Key | None, Mapping[str, Key]]]:
    """Yield (path, value, key, its siblings) of keys at known places; an unknown one is None."""
    for name, value in document.items():
        key = find(spec, name)
        here = (*path, name)
        yield here, value, key, spec
        if key is None or key.inside is None or not isinstance(value, dict):
            continue
        if not key.each:
            yield from walk(value, key.inside, here)
            continue
        for inner, inner_value in value.items():
            if isinstance(inner_value, dict):
                yield from walk(inner_value, key.inside, (*here, inner))
            else:
                yield (*here, inner), inner_value, table(), spec


def fits(value: Any, kind: Kind) -> bool:
    """Tell whether containerd can decode a value where it wants ``kind``."""
    return _FITS[kind](value)


def _is(*types: type) -> Callable[[Any], bool]:
    # To Python a boolean is an integer; to TOML it is not.
    return lambda value: isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_FITS: Mapping[Kind, Callable[[Any], bool]] = {
    "string": _is(str),
    "integer": _is(int),
    "boolean": _is(bool),
    "number": _is(int, float),
    "list": _is(list),
    "list of strings": _strings,
    "table": _is(dict),
}


def kind_of(value: Any) -> str:
    """Return what a value is, as a person calls it."""
    for kind in ("boolean", "integer", "number", "string", "table", "list"):
        if _FITS[kind](value):
            return f"a {kind}" if kind != "integer" else "an integer"
    return "a date or time"
