"""Where a key of the effective configuration comes from: the value, who set it, what it overrode.

Pure: reads the layers of a composition, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.layers import counts, dotted, leaves
from k0sruntime.errors import Problem, UsageError
from k0sruntime.lines import line_of
from k0sruntime.settings import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k0sruntime.compose import Composition
    from k0sruntime.compose.layers import Layer, Path

SHORTENED = (schema_.RUNTIME, schema_.IMAGES, schema_.CRI)
"""Plugin IDs that a key may leave out, in the order in which they are tried."""


@dataclass(frozen=True)
class Setting:
    """One layer's word on a key."""

    value: Any
    path: str
    line: int
    owner: str
    """``gvisor (k0sruntime-gvisor 0.1.0), hook contribute_dropin``, or ``a foreign file``."""
    reason: str = ""


@dataclass(frozen=True)
class Explained:
    """A key: its effective value, the layer that set it, and what that overrode, latest first."""

    key: Path
    value: Any
    setting: Setting
    overrode: tuple[Setting, ...] = ()


def explain_all(composition: Composition) -> tuple[Explained, ...]:
    """Explain every key of the effective configuration, in the order of their paths."""
    found: dict[Path, list[tuple[Layer, Any]]] = {}
    for layer in composition.layers:
        for path, value in leaves(layer.document):
            found.setdefault(path, []).append((layer, value))
    effective = dict(leaves(composition.effective))
    explained = []
    for path, value in sorted(effective.items()):
        setters = [s for s in found.get(path, []) if counts(path, s[1])] or found.get(path, [])
        if setters:
            latest, *earlier = [_setting(layer, path, said) for layer, said in reversed(setters)]
            shown = masking.value(path, value)
            explained.append(Explained(path, shown, latest, tuple(earlier)))
        elif path[0] not in ("version", "imports"):
            shown = masking.value(path, value)
            explained.append(Explained(path, shown, _base(composition, path, shown)))
    return tuple(explained)


def _setting(layer: Layer, path: Path, value: Any) -> Setting:
    owner = str(layer.owner) if layer.owner else "a foreign file"
    reason = layer.reasons.get(path, "")
    shown = masking.value(path, value)
    return Setting(shown, layer.path, line_of(layer.text, path), owner, reason)


def _base(composition: Composition, path: Path, value: Any) -> Setting:
    """A key that no drop-in sets: the default that the merge-patch scheme starts from."""
    layer = composition.merged or composition.layers[0]
    owner = "the default that drop-ins are merged onto"
    return Setting(value, layer.path, line_of(layer.text, path), owner)


def explain_key(composition: Composition, key: str) -> tuple[Explained, ...]:
    """Explain a dotted key, or all keys below it; the plugin ID may be left out.

    Raises:
        UsageError: nothing sets it; the nearest keys are named.
    """
    everything = explain_all(composition)
    wanted = split(key)
    for candidate in _candidates(wanted):
        found = tuple(e for e in everything if e.key[: len(candidate)] == candidate)
        if found:
            return found
    known = {dotted(entry.key) for entry in everything}
    known |= {short(entry.key) for entry in everything}
    raise UsageError(
        Problem(
            f"no file sets {key!r}; containerd's own default is in force",
            place="the effective configuration",
            remedy=nearest(key, known) or "List all keys with --all.",
        )
    )


def explain_handler(composition: Composition, name: str) -> tuple[Explained, ...]:
    """Explain everything about one handler.

    Raises:
        UsageError: no file defines it; the nearest handlers are named.
    """
    key = ("containerd", "runtimes", name)
    found = tuple(entry for entry in explain_all(composition) if entry.key[2:5] == key)
    if not found:
        known = [handler.name for handler in composition.handlers]
        raise UsageError(
            Problem(
                f"no file defines the handler {name!r}",
                remedy=nearest(name, known) or f"Handlers are {', '.join(known)}.",
            )
        )
    return found


def _candidates(wanted: Path) -> Iterable[Path]:
    yield wanted
    yield ("plugins", *wanted)
    for plugin in SHORTENED:
        yield ("plugins", plugin, *wanted)


def split(key: str) -> Path:
    """Split a dotted key; a part in quotes may hold dots."""
    parts: list[str] = []
    current, quote = "", ""
    for character in key:
        if quote:
            quote, current = ("", current) if character == quote else (quote, current + character)
        elif character in "\"'":
            quote = character
        elif character == ".":
            parts.append(current)
            current = ""
        else:
            current += character
    return tuple(part for part in (*parts, current) if part)


def short(path: Path) -> str:
    """Return a key without its plugin ID where that is a CRI table."""
    if path[:1] == ("plugins",) and len(path) > 2 and path[1] in SHORTENED:
        return dotted(path[2:])
    return dotted(path)
