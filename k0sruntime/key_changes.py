"""Which keys of the effective configuration change: what decides on a bounce, and is shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.compose.layers import dotted, leaves
from k0sruntime.values import same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose.layers import Path


@dataclass(frozen=True)
class KeyChange:
    """A key of the effective configuration that changes; ``None`` where it is not set."""

    path: Path
    before: Any
    after: Any

    def __str__(self) -> str:
        """Return one line of a difference."""
        before = _value(masking.value(self.path, self.before))
        after = _value(masking.value(self.path, self.after))
        sign = "+" if self.before is None else "-" if self.after is None else "~"
        if sign == "~":
            return f"~ {dotted(self.path)}: {before} -> {after}"
        return f"{sign} {dotted(self.path)} = {after if sign == '+' else before}"


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[KeyChange, ...]:
    """Return the keys whose effective value changes; where files lie makes no difference."""
    old = {path: _plain(value) for path, value in leaves(before) if path[0] != "imports"}
    new = {path: _plain(value) for path, value in leaves(after) if path[0] != "imports"}
    return tuple(
        KeyChange(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if not same(old.get(path), new.get(path))
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON would bring it back, so that recorded and composed ones compare."""
    return (
        value
        if isinstance(value, str | bool | int | float)
        else json.loads(json.dumps(value, default=str))
    )


def _value(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
