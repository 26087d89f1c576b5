"""Did you mean: for every name that a human types."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_CHARACTERS = 200
"""Longer names are no slip of the pen, and comparing them is slow."""


def nearest(name: str, known: Iterable[str], cutoff: float = 0.7) -> str:
    """Return the known name that is most like ``name``, or an empty text."""
    if len(name) > MOST_CHARACTERS:
        return ""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[near[0]] if near else ""


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.7) -> str:
    """Return ``; did you mean 'x'?`` or an empty text."""
    near = nearest(name, known, cutoff)
    return f"; did you mean {near!r}?" if near else ""
