"""Finding providers: entry points of group ``k0sruntime`` become records that say what they are.

Nothing here raises: a provider that cannot be used is a record with a state and a reason, and it
is for the pipeline to decide that ``up`` goes no further. pluggy's own loader is not used: one
import error there stops everything without a name.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import importlib_metadata

from k0sruntime import going
from k0sruntime.__about__ import CONTRACT, CONTRACT_SINCE, __version__
from k0sruntime.choice import Choice
from k0sruntime.guard import DeadlineError, cause, one_line, unheard
from k0sruntime.hooks import Hooks, InvalidProviderError, implemented
from k0sruntime.node_provider import NodeProvider
from k0sruntime.records import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

GROUP = "k0sruntime"
IMPORT_SECONDS = 10.0
"""Deadline of importing one provider."""
PROVIDER_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,63}")
"""A provider's name is part of the names of its files and folders."""

_MAJOR, _MINOR = __version__.split(".")[:2]
_LEAST = rf"({re.escape(CONTRACT_SINCE)}|{_MAJOR}\.{_MINOR})(\.0)?"
_PLAIN_FIT = re.compile(
    rf"k0sruntime\s*(<{int(_MAJOR) + 1},)?>={_LEAST}(,<{int(_MAJOR) + 1})?", re.IGNORECASE
)
"""A requirement that plainly fits this very version."""


@dataclass(frozen=True)
class Discovered:
    """All providers by name, in the order in which they are asked, and their hooks."""

    records: tuple[Record, ...]
    hooks: Hooks
    notes: tuple[str, ...] = ()
    """What the operator must know of names that were left out."""

    def usable(self) -> tuple[Record, ...]:
        """Return the records that can be asked."""
        return tuple(record for record in self.records if record.state == "active")

    def names(self) -> tuple[str, ...]:
        """Return the names of all providers found, usable or not."""
        return tuple(record.name for record in self.records)


def discover(
    without: Choice | Collection[str] = (), path: Sequence[str] | None = None
) -> Discovered:
    """Find, import and register all providers; the built-in ``node`` is the first.

    Args:
        without: what the operator says about the providers, or names of those that are blocked;
            one that is blocked is not imported.
        path: folders with distributions instead of ``sys.path``.
    """
    choice = without if isinstance(without, Choice) else Choice(without)
    hooks = Hooks()
    node = Record("node", GROUP, __version__, "active", summary=NodeProvider.summary)
    found = [register(node, NodeProvider(), hooks)]
    entries = sorted(_entries(path), key=lambda entry: (entry.name, entry.distribution))
    taken = [entry.name for entry in entries]
    for entry in entries:
        record = Record(entry.name, entry.distribution, entry.version, "active")
        if blocked := choice.blocked(entry.name):
            record = replace(record, state="blocked", reason=blocked)
        elif entry.name == "node":
            record = replace(
                record, state="duplicate", reason="the name belongs to the host itself"
            )
        elif taken.count(entry.name) > 1:
            record = _duplicate(record, entry, entries)
        elif not PROVIDER_NAME.fullmatch(entry.name):
            record = _broken(record, "its name cannot be part of the name of a file")
        else:
            record = _load(entry, record, hooks)
        found.append(record)
    return Discovered(tuple(found), hooks, tuple(choice.notes(taken)))


def installed(path: Sequence[str] | None = None) -> tuple[Record, ...]:
    """Return all providers that are installed, importing none; the host's own is left out.

    Args:
        path: folders with distributions instead of ``sys.path``.
    """
    return tuple(
        Record(entry.name, entry.distribution, entry.version, "active")
        for entry in sorted(_entries(path), key=lambda entry: (entry.name, entry.distribution))
    )


@dataclass(frozen=True)
class _Entry:
    """An entry point with what its distribution's metadata says, read once."""

    name: str
    point: importlib_metadata.EntryPoint | None
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    damage: str = ""
    """Why the installation cannot be used, whatever its code is like."""


def _entries(path: Sequence[str] | None) -> list[_Entry]:
    """Return the entry points; an older copy of a distribution on the path counts not.

    Nor does what is left of a damaged installation where there is a sound one.
    """
    seen: set[str] = set()
    sound: list[_Entry] = []
    damaged: list[_Entry] = []
    for distribution in _distributions(path):
        if not _may_provide(distribution):
            continue
        metadata = _metadata(distribution)
        if metadata is None:
            damaged += _entries_of(distribution, None)
            continue
        name = str(metadata["Name"])
        normal = re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
        if normal in seen:
            continue
        seen.add(normal)
        copies = _distributions(path, name=name)
        sound += _entries_of(*(_first_sound(copies) or (distribution, metadata)))
    names = {entry.name for entry in sound}
    return sound + [entry for entry in damaged if entry.name not in names]


def _distributions(
    path: Sequence[str] | None, **search: Any
) -> list[importlib_metadata.Distribution]:
    where = {} if path is None else {"path": list(path)}
    found: Any = importlib_metadata.distributions(**where, **search)
    return list(found)


def _first_sound(
    copies: Sequence[importlib_metadata.Distribution],
) -> tuple[importlib_metadata.Distribution, importlib_metadata.PackageMetadata] | None:
    """Return the copy that counts, though it may have no provider (any more)."""
    if len(copies) > 1:
        for copy in copies:
            if metadata := _metadata(copy):
                return copy, metadata
    return None


def _may_provide(distribution: importlib_metadata.Distribution) -> bool:
    try:
        return bool(distribution.entry_points.select(group=GROUP))
    except Exception:  # noqa: BLE001 - whatever a parser says to a damaged file
        return f"[{GROUP}]" in _written(distribution)


def _written(distribution: importlib_metadata.Distribution) -> str:
    """Return the text of entry points that no parser takes, though it may not be UTF-8."""
    try:
        return distribution.read_text("entry_points.txt") or ""
    except UnicodeDecodeError as exc:
        return exc.object.decode(errors="replace")
    except Exception:  # noqa: BLE001 - nothing that can be read is nothing of ours
        return ""


def _metadata(
    distribution: importlib_metadata.Distribution,
) -> importlib_metadata.PackageMetadata | None:
    """Return a distribution's metadata, where it tells at least name and version."""
    try:
        found = distribution.metadata
        return found if found["Name"] and found["Version"] else None
    except Exception:  # noqa: BLE001 - as above
        return None


def _entries_of(
    distribution: importlib_metadata.Distribution,
    metadata: importlib_metadata.PackageMetadata | None,
) -> list[_Entry]:
    """Return the entry points of one distribution, damaged or not."""
    name = f"an installation without metadata in {distribution.locate_file('')}"
    version, damage = "", "its installation has no metadata"
    requires: tuple[str, ...] = ()
    if metadata is not None:
        name, version, damage = one_line(metadata["Name"]), one_line(metadata["Version"]), ""
        requires = tuple(metadata.get_all("Requires-Dist") or ())
    try:
        points = list(distribution.entry_points.select(group=GROUP))
    except Exception as exc:  # noqa: BLE001 - as above
        damage = f"its entry points cannot be read: {cause(exc)}"
        return [_Entry(name, None, name, version, damage=damage)]
    return [
        _Entry(one_line(point.name), point, name, version, requires, damage) for point in points
    ]


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
    if entry.damage or entry.point is None:
        remedy = f"Install it anew, or go on with --without {record.name}."
        return replace(record, state="broken", reason=entry.damage, remedy=remedy)
    if reason := _incompatible(entry.requires):
        remedy = f"Install a version of {record.distribution} that fits k0sruntime {__version__}."
        return replace(record, state="incompatible", reason=reason, remedy=remedy)
    point, began = entry.point, time.monotonic()

    def load() -> Any:
        with going.running(hooks.uses(record.name)):
            return point.load()

    try:
        plugin = unheard(load, IMPORT_SECONDS)
    except KeyboardInterrupt:  # the user's: a provider's own comes as another error
        raise
    except DeadlineError as exc:
        return _broken(record, f"its import gave {exc}")
    except BaseException as exc:  # noqa: BLE001 - a plugin may raise SystemExit at import
        record = _broken(record, f"its import failed: {cause(exc)}")
        if isinstance(exc, ImportError) and (exc.name or "").partition(".")[0] == GROUP:
            remedy = f"It is written for another k0sruntime than {__version__}. {record.remedy}"
            record = replace(record, remedy=remedy)
        return record
    seconds = time.monotonic() - began
    record = replace(record, seconds=seconds, module=entry.point.module)
    return register(record, plugin, hooks)


def _incompatible(requires: Sequence[str]) -> str:
    """Return why the distribution's ``Requires-Dist`` does not allow this host, or nothing."""
    lines = [
        line
        for line in requires
        if line.lower().startswith(GROUP) and not _PLAIN_FIT.fullmatch(line)
    ]
    if not lines:  # packaging takes a hundredth of a second to import
        return ""
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement

    for line in lines:
        try:
            requirement = Requirement(line)
            meant = requirement.marker is None or requirement.marker.evaluate()
        except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            continue
        if not meant or requirement.name.lower() != GROUP:
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            return f"it needs k0sruntime {requirement.specifier}, this is {__version__}"
    return ""


def register(record: Record, plugin: object, hooks: Hooks) -> Record:
    """Look at a provider and take it in; a look may run the provider's own code.

    Returns the record with what the provider says of itself; never raises: one that cannot be
    used is ``broken`` or ``incompatible``, with the reason.
    """
    try:
        return unheard(lambda: _looked_at(record, plugin, hooks), IMPORT_SECONDS)
    except InvalidProviderError as exc:
        return _broken(record, one_line(exc))
    except KeyboardInterrupt:  # the user's: a provider's own comes as another error
        raise
    except BaseException as exc:  # noqa: BLE001 - as at its import
        return _broken(record, f"it raises when it is looked at: {cause(exc)}")


def _looked_at(record: Record, plugin: object, hooks: Hooks) -> Record:
    record = replace(
        record,
        summary=one_line(getattr(plugin, "summary", "") or ""),
        settings=getattr(plugin, "settings", None),
        hooks=implemented(plugin),
        contract=_contract(plugin),
    )
    if misfit := _misfit(record):
        return misfit
    hooks.register(record, plugin)
    return replace(record, going=hooks.uses(record.name).sentences())


def _contract(plugin: object) -> tuple[int, int] | None:
    """Return the contract that a provider says it is written for.

    Raises:
        InvalidProviderError: it is no pair of numbers.
    """
    said = getattr(plugin, "contract", None)
    if said is None:
        return None
    if isinstance(said, tuple | list) and [type(part) for part in said] == [int, int]:
        return said[0], said[1]
    raise InvalidProviderError(f"its contract must be (major, minor), such as {CONTRACT}")


def _misfit(record: Record) -> Record | None:
    """Return the record of a provider that is written for another contract, with what to do."""
    if record.contract is None:
        return None
    major, minor = record.contract
    if major == CONTRACT[0] and minor <= CONTRACT[1]:
        return None
    has = f"this k0sruntime {__version__} has {CONTRACT[0]}.{CONTRACT[1]}"
    reason = f"it is written for contract {major}.{minor}, and {has}"
    newer = (major, minor) > CONTRACT
    remedy = (
        f"Update k0sruntime, or install an older {record.distribution}"
        if newer
        else f"Update {record.distribution}: contract {major} is no longer served"
    )
    remedy += f"; or go on with --without {record.name}."
    return replace(record, state="incompatible", reason=reason, remedy=remedy)


def _broken(record: Record, reason: str) -> Record:
    remedy = f"Update {record.distribution}, or go on with --without {record.name}."
    return replace(record, state="broken", reason=reason, remedy=remedy)
