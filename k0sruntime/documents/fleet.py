"""Documents about many nodes, and about what is brought to them."""

from __future__ import annotations

from dataclasses import dataclass

from k0sruntime.documents.parts import Document


@dataclass(frozen=True, kw_only=True)
class FleetDifference:
    """A key that a group has otherwise than the majority."""

    key: str
    majority: str | None
    """``null`` where it is not set."""
    here: str | None
    """``null`` where it is not set."""


@dataclass(frozen=True, kw_only=True)
class FleetGroup:
    """Nodes that run with the same configuration."""

    letter: str
    """``A`` for the largest group."""
    digest: str | None
    """Of the configuration; ``null`` where it is not known."""
    majority: bool
    """It is the group that the others are compared with."""
    nodes: list[str]
    differences: list[FleetDifference]


@dataclass(frozen=True, kw_only=True)
class FleetAttention:
    """A node that somebody should look at, the worst first."""

    node: str
    state: str
    """As in its own report."""
    reasons: list[str]


@dataclass(frozen=True, kw_only=True)
class FleetReport(Document):
    """``report --json`` of two or more nodes."""

    nodes: int
    tied: bool
    """Another group is as large as the first: there is no majority to speak of."""
    usual: dict[str, str]
    """What most nodes have: mode, and versions of k0s, containerd and k0sruntime."""
    groups: list[FleetGroup]
    """The largest first."""
    attention: list[FleetAttention]


@dataclass(frozen=True, kw_only=True)
class BundleEntry:
    """One file of a bundle."""

    path: str
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class BundleProgram:
    """A program that a provider needs."""

    name: str
    version: str
    provider: str
    files: list[str]
    """Paths of the entries that it is made of."""


@dataclass(frozen=True, kw_only=True)
class Bundle(Document):
    """``bundle --json`` and ``bundle --list FILE --json``."""

    file: str
    size: int
    """Bytes."""
    sha256: str
    """Of the whole archive."""
    manifest_schema: int
    """The schema number of the manifest in it."""
    made_by: str
    """Version of the k0sruntime that packed it."""
    arch: str
    """The node's machine, as ``uname -m`` spells it."""
    python: list[str]
    """Python versions for which the wheels are complete; none without wheels."""
    distributions: dict[str, str]
    """The host and the providers that it was packed for, with their versions."""
    requirements: list[str]
    """What ``install.sh`` installs."""
    programs: list[BundleProgram]
    entries: list[BundleEntry]
    notes: list[str]
    """What somebody should know of it."""
