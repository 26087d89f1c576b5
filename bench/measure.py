"""Timing two things in turn, so that a machine that drifts slows both."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Figure:
    """One measurement: the median of ours and, where there is one, of what it is held against."""

    name: str
    ours: float
    other: float | None
    goal: float
    """Largest ratio to ``other``, or largest number of units where there is none."""
    unit: str = "s"
    """Unit of ``ours`` and ``other``."""

    @property
    def value(self) -> float:
        """The ratio, or the seconds."""
        return self.ours / self.other if self.other else self.ours

    @property
    def met(self) -> bool:
        """The goal is met."""
        return self.value <= self.goal

    def _shown(self, value: float) -> str:
        return f"{value * 1000:.0f} ms" if self.unit == "s" else f"{value:.0f} {self.unit}"

    def __str__(self) -> str:
        """Return one line of the table."""
        unit = "x" if self.other else self.unit
        verdict = "ok" if self.met else "MISSED"
        times = " / ".join(self._shown(v) for v in (self.ours, self.other) if v is not None)
        figure = f"{self.value:.2f} {unit} of {self.goal:g} {unit}"
        return f"{self.name:<52} {times:<22} {figure:<18} {verdict}"


def seconds(call: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turn(
    ours: Callable[[], float], other: Callable[[], float] | None, runs: int
) -> tuple[float, float | None]:
    """Run both in turn and return the medians; the first round is a warm-up."""
    mine: list[float] = []
    theirs: list[float] = []
    for number in range(runs + 1):
        one = ours()
        two = other() if other else 0.0
        if number:
            mine.append(one)
            theirs.append(two)
    return statistics.median(mine), statistics.median(theirs) if other else None
