"""Why a generation was rolled back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RolledBack:
    """A generation did not pass its proof.

    Attributes:
        at: when, in ISO 8601.
        to: the generation that was put back; 0 for the node before us.
        reasons: what the proof said, a sentence each.
    """

    at: str
    to: int
    reasons: tuple[str, ...] = ()
