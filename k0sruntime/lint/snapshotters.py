"""Snapshotters that are named and that nothing provides.

Source: containerd 1.7 ``pkg/cri/sbserver/service.go`` and 2.1 ``plugins/cri/images/plugin.go``
(``failed to find snapshotter``); a handler's is looked up when a pod starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.known_plugins import known_plugins
from k0sruntime.lint.proxy_plugins import TYPES
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Consequence, Path

KIND = TYPES["snapshot"]


def unknown_snapshotter(case: Case) -> Iterator[Hit]:
    """Find snapshotters that are neither containerd's own nor a proxy plugin of these files.

    A containerd that is not k0s's may be built with more of them: there the proof decides.
    """
    known = sorted(_known(case))
    guess: Consequence | None = None if case.target.k0s else "untidy"
    for path, name in _default(case):
        if name == "":
            if case.target.schema > 2:  # 1.7 takes its own default then
                remedy = 'Write "overlayfs", or take the line out.'
                yield Hit(case.setter(path), "the default snapshotter is empty", remedy, path)
        elif isinstance(name, str) and name not in known:
            yield _hit(case, "the default snapshotter", path, name, known, guess)
    for handler in case.handlers():
        name, path = handler.table.get("snapshotter", ""), (*handler.path, "snapshotter")
        if isinstance(name, str) and name and name not in known:
            what = f"the snapshotter of the handler {handler.name!r}"
            yield _hit(case, what, path, name, known, guess or "breaks pods")


def _known(case: Case) -> Iterator[str]:
    for plugin in known_plugins(case.target.containerd):
        if plugin.startswith(f"{KIND}."):
            yield plugin.removeprefix(f"{KIND}.")
    for name, entry in case.effective.table("proxy_plugins").items():
        if isinstance(entry, dict) and entry.get("type") in ("snapshot", KIND):
            yield name


def _default(case: Case) -> Iterator[tuple[Path, object]]:
    for path, table in case.cri("images"):
        for place in ((), ("containerd",)):
            found = table_at(table, *place)
            if "snapshotter" in found:
                yield (*path, *place, "snapshotter"), found["snapshotter"]


def _hit(
    case: Case,
    what: str,
    path: Path,
    name: str,
    known: list[str],
    consequence: Consequence | None,
) -> Hit:
    return Hit(
        case.setter(path),
        f"{what} is {name!r}, which nothing provides{did_you_mean(name, known)}",
        f'Declare it: [proxy_plugins.{name}] with type = "snapshot" and the address of its socket;'
        " or name another one.",
        path,
        consequence=consequence,
    )


RULES = (
    Rule(
        "K0R310",
        "unknown-snapshotter",
        "a snapshotter that nothing provides",
        "kills CRI",
        unknown_snapshotter,
    ),
)
"""K0R310: snapshotters."""
