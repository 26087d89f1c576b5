"""How containerd shall log, in words that it does not know.

Sources: containerd ``cmd/containerd/command/main.go`` (``setLogLevel``, ``setLogFormat``), logrus
``ParseLevel``, which reads any case. k0s and ``up`` start containerd with ``--log-level``: so the
file's level counts for nothing there, and a containerd that somebody starts without the option
exits. Seen on 1.7.24 and 2.1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case

LEVELS = ("panic", "fatal", "error", "warn", "warning", "info", "debug", "trace")
FORMATS = ("text", "json")


def unknown_log_word(case: Case) -> Iterator[Hit]:
    """Find a level or a format that containerd does not have; other values are K0R003's."""
    debug = case.effective.table("debug")
    level, path = debug.get("level", ""), ("debug", "level")
    if isinstance(level, str) and level and level.lower() not in LEVELS:
        near = did_you_mean(level, LEVELS)
        yield Hit(
            case.setter(path),
            f"debug.level = {level!r} is no log level{near}; only a containerd that is started"
            " without --log-level reads it, and exits",
            f"Write one of {', '.join(LEVELS)}, or take it out: k0s gives --log-level.",
            path,
            consequence="silently ignored",
        )
    form, path = debug.get("format", ""), ("debug", "format")
    if isinstance(form, str) and form and form not in FORMATS:
        near = did_you_mean(form, FORMATS)
        yield Hit(
            case.setter(path),
            f"debug.format = {form!r} is no log format{near}",
            "Write text or json.",
            path,
        )


RULES = (
    Rule(
        "K0R111",
        "unknown-log-word",
        "a log format or level that containerd does not have",
        "stops the node",
        unknown_log_word,
    ),
)
"""K0R111: how containerd logs."""
