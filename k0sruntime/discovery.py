"""Finding providers: entry points of group ``k0sruntime`` become records that say what they are.

Nothing here raises: a provider that cannot be used is a record with a state and a reason, and it
is for the pipeline to decide that ``up`` goes no further. pluggy's own loader is not used: one
import error there stops everything without a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import importlib_metadata

from k0sruntime.__about__ import __version__
from k0sruntime.guard import DeadlineError, bounded, cause
from k0sruntime.hooks import Hooks, InvalidProviderError, implemented
from k0sruntime.node_provider import NodeProvider
from k0sruntime.records import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

GROUP = "k0sruntime"
IMPORT_SECONDS = 10.0
"""Deadline of importing one provider."""

_MAJOR, _MINOR = __version__.split(".")[:2]
_PLAIN_FIT = re.compile(
    rf"k0sruntime\s*(<{int(_MAJOR) + 1},)?>={_MAJOR}\.{_MINOR}(\.0)?(,<{int(_MAJOR) + 1})?",
    re.IGNORECASE,
)
"""A requirement that plainly fits this very version."""


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
    entries = sorted(_entries(path), key=lambda entry: (entry.name, entry.distribution))
    taken = [entry.name for entry in entries]
    for entry in entries:
        record = Record(entry.name, entry.distribution, entry.version, "active")
        if entry.name in without:
            record = replace(record, state="blocked", reason="left out with --without")
        elif entry.name == "node":
            record = replace(
                record, state="duplicate", reason="the name belongs to the host itself"
            )
        elif taken.count(entry.name) > 1:
            record = _duplicate(record, entry, entries)
        else:
            record = _load(entry, record, hooks)
        found.append(record)
    return Discovered(tuple(found), hooks)


@dataclass(frozen=True)
class _Entry:
    """An entry point with what its distribution's metadata says, read once."""

    point: importlib_metadata.EntryPoint
    distribution: str
    version: str
    requires: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.point.name


def _entries(path: Sequence[str] | None) -> list[_Entry]:
    """Return the entry points; an older copy of a distribution on the path counts not."""
    search = {} if path is None else {"path": list(path)}
    seen: set[str] = set()
    entries: list[_Entry] = []
    for distribution in importlib_metadata.distributions(**search):
        points = distribution.entry_points.select(group=GROUP)
        if not points:
            continue
        metadata = distribution.metadata
        name = str(metadata["Name"])
        if name.lower() in seen:
            continue
        seen.add(name.lower())
        requires = tuple(metadata.get_all("Requires-Dist") or ())
        entries += [_Entry(p, name, str(metadata["Version"]), requires) for p in points]
    return entries


def _duplicate(record: Record, entry: _Entry, entries: list[_Entry]) -> Record:
    others = [
        f"{other.distribution} {other.version}"
        for other in entries
        if other.name == entry.name and other is not entry
    ]
    return replace(
        record,
        state="duplicate",
        reason=f"{' and '.join(others)} has a provider of the same name",
        remedy=f"Uninstall one of them, or go on with --without {entry.name}.",
    )


def _load(entry: _Entry, record: Record, hooks: Hooks) -> Record:
    if reason := _incompatible(entry.requires):
        remedy = f"Install a version of {record.distribution} that fits k0sruntime {__version__}."
        return replace(record, state="incompatible", reason=reason, remedy=remedy)
    try:
        plugin = bounded(entry.point.load, IMPORT_SECONDS)
    except KeyboardInterrupt:
        raise
    except DeadlineError as exc:
        return _broken(record, f"its import gave {exc}")
    except BaseException as exc:  # noqa: BLE001 - a plugin may raise SystemExit at import
        return _broken(record, f"its import failed: {cause(exc)}")
    return _register(record, plugin, hooks)


def _incompatible(requires: Sequence[str]) -> str:
    """Return why the distribution's ``Requires-Dist`` does not allow this host, or nothing."""
    lines = [
        line
        for line in requires
        if line.lower().startswith(GROUP) and not _PLAIN_FIT.fullmatch(line)
    ]
    if not lines:  # packaging takes a hundredth of a second to import
        return ""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in lines:
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
