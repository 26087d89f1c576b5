"""Finding providers: entry points of group ``k0sruntime`` become records that say what they are.

Nothing here raises: a provider that cannot be used is a record with a state and a reason, and it
is for the pipeline to decide that ``up`` goes no further. pluggy's own loader is not used: one
import error there stops everything without a name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import importlib_metadata

from k0sruntime.__about__ import __version__
from k0sruntime.guard import DeadlineError, bounded, cause
from k0sruntime.hooks import Hooks, InvalidProviderError, implemented
from k0sruntime.node_provider import NodeProvider

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

GROUP = "k0sruntime"
IMPORT_SECONDS = 10.0
"""Deadline of importing one provider."""

State = Literal["active", "inactive", "blocked", "broken", "incompatible", "duplicate"]


@dataclass(frozen=True)
class Record:
    """One provider as it was found.

    ``state`` is ``active`` until its hooks were asked; ``collect`` may turn it to ``inactive``.
    """

    name: str
    distribution: str
    version: str
    state: State
    reason: str = ""
    hooks: tuple[str, ...] = ()
    summary: str = ""
    settings: Any = None
    remedy: str = ""

    @property
    def unusable(self) -> bool:
        """The provider cannot be used, and nobody asked for that."""
        return self.state in ("broken", "incompatible", "duplicate")


@dataclass(frozen=True)
class Discovered:
    """All providers by name, in the order in which they are asked, and their hooks."""

    records: tuple[Record, ...]
    hooks: Hooks

    def usable(self) -> tuple[Record, ...]:
        """Return the records that can be asked."""
        return tuple(record for record in self.records if record.state == "active")

    def names(self) -> tuple[str, ...]:
        """Return the names of all providers found, usable or not."""
        return tuple(record.name for record in self.records)


def discover(without: Collection[str] = (), path: Sequence[str] | None = None) -> Discovered:
    """Find, import and register all providers; the built-in ``node`` is the first.

    Args:
        without: names of providers that the operator blocks; they are not imported.
        path: folders with distributions instead of ``sys.path``.
    """
    hooks = Hooks()
    node = Record("node", GROUP, __version__, "active", summary=NodeProvider.summary)
    found = [_register(node, NodeProvider(), hooks)]
    points = sorted(_entry_points(path), key=lambda point: (point.name, _distribution(point)[0]))
    taken = [point.name for point in points]
    for point in points:
        distribution, version = _distribution(point)
        record = Record(point.name, distribution, version, "active")
        if point.name in without:
            record = replace(record, state="blocked", reason="left out with --without")
        elif point.name == "node":
            record = replace(
                record, state="duplicate", reason="the name belongs to the host itself"
            )
        elif taken.count(point.name) > 1:
            record = _duplicate(record, point, points)
        else:
            record = _load(point, record, hooks)
        found.append(record)
    return Discovered(tuple(found), hooks)


def _entry_points(path: Sequence[str] | None) -> list[importlib_metadata.EntryPoint]:
    if path is None:
        return list(importlib_metadata.entry_points(group=GROUP))
    seen: set[str] = set()
    points: list[importlib_metadata.EntryPoint] = []
    for distribution in importlib_metadata.distributions(path=list(path)):
        if distribution.name in seen:  # an older copy later on the path counts for nothing
            continue
        seen.add(distribution.name)
        points += distribution.entry_points.select(group=GROUP)
    return points


def _distribution(point: importlib_metadata.EntryPoint) -> tuple[str, str]:
    if point.dist is None:
        return "unknown distribution", "?"
    return point.dist.name, point.dist.version


def _duplicate(
    record: Record,
    point: importlib_metadata.EntryPoint,
    points: list[importlib_metadata.EntryPoint],
) -> Record:
    others = [" ".join(_distribution(p)) for p in points if p.name == point.name and p is not point]
    return replace(
        record,
        state="duplicate",
        reason=f"{' and '.join(others)} has a provider of the same name",
        remedy=f"Uninstall one of them, or go on with --without {point.name}.",
    )


def _load(point: importlib_metadata.EntryPoint, record: Record, hooks: Hooks) -> Record:
    if reason := _incompatible(point):
        remedy = f"Install a version of {record.distribution} that fits k0sruntime {__version__}."
        return replace(record, state="incompatible", reason=reason, remedy=remedy)
    try:
        plugin = bounded(point.load, IMPORT_SECONDS)
    except KeyboardInterrupt:
        raise
    except DeadlineError as exc:
        return _broken(record, f"its import gave {exc}")
    except BaseException as exc:  # noqa: BLE001 - a plugin may raise SystemExit at import
        return _broken(record, f"its import failed: {cause(exc)}")
    return _register(record, plugin, hooks)


def _incompatible(point: importlib_metadata.EntryPoint) -> str:
    """Return why the distribution's ``Requires-Dist`` does not allow this host, or nothing."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in (point.dist.requires if point.dist else None) or ():
        if not line.lower().startswith(GROUP):
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.name.lower() != GROUP or requirement.marker is not None:
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            return f"it needs k0sruntime {requirement.specifier}, this is {__version__}"
    return ""


def _register(record: Record, plugin: object, hooks: Hooks) -> Record:
    record = replace(
        record,
        summary=str(getattr(plugin, "summary", "") or ""),
        settings=getattr(plugin, "settings", None),
        hooks=implemented(plugin),
    )
    try:
        hooks.register(record, plugin)
    except InvalidProviderError as exc:
        return _broken(record, str(exc))
    return record


def _broken(record: Record, reason: str) -> Record:
    remedy = f"Update {record.distribution}, or go on with --without {record.name}."
    return replace(record, state="broken", reason=reason, remedy=remedy)
