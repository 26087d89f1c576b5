"""Durations that Go cannot read: ``config dump`` prints them as they are, and the start fails.

Sources: containerd 1.7 ``pkg/cri/config/config.go`` and 2.x ``internal/cri/config/config.go`` (the
``Validate`` functions: an empty string is taken for none), ``cmd/containerd/server/server.go`` for
``[timeouts]`` (where an empty one is refused), ``plugins/gc/scheduler.go``; 2.3
``internal/cri/server/stats_collector.go``, which passes over what it cannot read. Seen on
1.7.24 and 2.1.9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime.compose.layers import dotted
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Consequence, Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6}
_UNITS |= {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"[-+]?(0|({_PART})+)")
_LONGEST = 2**63 - 1
"""In nanoseconds: a Go duration is a signed integer of 64 bits."""


def is_duration(text: str) -> bool:
    """Tell whether Go's ``time.ParseDuration`` reads a text."""
    if not _DURATION.fullmatch(text):
        return False
    total = sum(float(n) * _UNITS[unit] for n, unit in re.findall(_PART, text))
    return total <= _LONGEST


@dataclass(frozen=True)
class _Place:
    """Where a duration stands: in which plugin, below which key, and who cannot read it."""

    plugin: str
    key: str
    since: tuple[int, ...] = (0,)
    consequence: Consequence = "kills CRI"
    empty: bool = True
    """An empty one is taken for none."""


_SCHEDULER = "io.containerd.gc.v1.scheduler"
_STOPS: Consequence = "stops the node"
_ALWAYS = (
    _Place(CRI, "stream_idle_timeout"),
    _Place(_SCHEDULER, "schedule_delay", (0,), _STOPS, empty=False),
    _Place(_SCHEDULER, "startup_delay", (0,), _STOPS, empty=False),
)
_OF_CRI = ("drain_exec_sync_io_timeout", "image_pull_progress_timeout")
_IN_2 = (*_ALWAYS, *(_Place(CRI, key) for key in _OF_CRI))
_IN_3 = (
    *_IN_2,  # a file of version 2 keeps its names, and containerd 2 migrates it
    _Place(RUNTIME, "drain_exec_sync_io_timeout"),
    _Place(IMAGES, "image_pull_progress_timeout"),
    _Place(RUNTIME, "stats_collect_period", (2, 3), "silently ignored"),
    _Place(RUNTIME, "stats_retention_period", (2, 3), "silently ignored"),
)


def bad_duration(case: Case) -> Iterator[Hit]:
    """Find durations that Go cannot read; a value of a wrong type is K0R003's."""
    for place in _IN_2 if case.target.schema == 2 else _IN_3:
        if case.target.containerd < place.since:
            continue
        value = case.effective.table("plugins", place.plugin).get(place.key)
        if value == "" and place.empty:
            continue
        if isinstance(value, str) and not is_duration(value):
            path = ("plugins", place.plugin, place.key)
            yield _hit(case, path, value, place.consequence)
    for name, value in table_at(case.effective.document, "timeouts").items():
        if isinstance(value, str) and not is_duration(value):
            yield _hit(case, ("timeouts", name), value, _STOPS)


def _hit(case: Case, path: Path, value: str, consequence: Consequence) -> Hit:
    return Hit(
        case.setter(path),
        f"{dotted(path[-1:])} = {value!r} is no duration",
        'Write numbers with their units and without blanks, such as "5m0s" or "1h30m".',
        path,
        consequence=consequence,
    )


RULES = (
    Rule(
        "K0R311",
        "bad-duration",
        "a duration that containerd cannot read",
        "kills CRI",
        bad_duration,
    ),
)
"""K0R311: durations."""
