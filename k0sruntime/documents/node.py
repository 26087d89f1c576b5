"""Documents about the node: what is planned, done, running and proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k0sruntime.documents.parts import Containerd, Document, Problem, Proof


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """Is containerd stopped and started, and why."""

    verdict: str
    """``none``, ``start``, ``bounce`` or ``stop``."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class File:
    """What happens to one file."""

    path: str
    action: str
    """``create``, ``update``, ``remove``, ``restore``, ``drift``, ``foreign`` or ``unchanged``."""
    owner: str
    kept: bool
    """It is not wanted any more, and stays until k0s has left the CRI that it is for."""
    before: str | None
    """SHA-256 of what lies there."""
    after: str | None
    """SHA-256 of what will lie there."""
    diff: str
    """Unified, secrets masked."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that comes from a download."""

    name: str
    version: str
    owner: str
    folder: str
    action: str
    """``fetch`` or ``unchanged``."""
    urls: list[str]


@dataclass(frozen=True, kw_only=True)
class Warned:
    """What a provider says that this node will not be happy with."""

    provider: str
    name: str
    verdict: str
    detail: str
    remedy: str
    cgroup_driver: str


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of what containerd loads that changes."""

    key: list[str]
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """A key that two files set: by containerd's order the later one wins."""

    key: list[str]
    loser: str
    winner: str


@dataclass(frozen=True, kw_only=True)
class Plan(Document):
    """``plan --json``, ``up --dry-run --json``, and the plan within ``up --json``."""

    generation: int
    """The one that an apply would make."""
    mode: str
    """``managed``, ``standalone`` or ``remote``."""
    containerd_schema: int
    """2 or 3: how tables are called in the composed files."""
    scheme: str
    """``merge-patch`` or ``native``: how drop-ins come together."""
    pending: bool
    """There is something to do."""
    bounce: Bounce
    files: list[File]
    binaries: list[Program]
    warnings: list[Warned]
    effective: list[Key]
    overlaps: list[Overlap]
    unfinished: bool
    """An apply was killed half-way; the next ``up`` undoes it first."""


@dataclass(frozen=True, kw_only=True)
class Handler:
    """A runtime handler of the composition."""

    name: str
    owner: str
    runtime_class: str


@dataclass(frozen=True, kw_only=True)
class K0sTold:
    """What k0s must be told."""

    lines: list[str]
    """Commands, to be run in this order."""
    service: str
    """The unit or script that the commands are built on."""
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Up(Document):
    """``up --json`` and ``rollback --json``."""

    generation: int
    before: int
    """The generation to go back to: the last one before that was proved, if any was; 0 for none."""
    applied: bool
    """Files were changed."""
    ran: str
    """``started``, ``bounced``, ``adopted``, ``stopped``; empty where nothing ran."""
    running: Containerd | None
    socket: str
    """Where the kubelet talks."""
    handlers: list[Handler]
    proofs: list[Proof]
    supervisor: int | None
    """Its PID."""
    k0s_flags: list[str]
    """The worker's flags that another CRI and its profile need."""
    k0s: K0sTold | None
    profile: dict[str, Any] | None
    """Values of the worker profile."""
    notes: list[str]
    plan: Plan | None


@dataclass(frozen=True, kw_only=True)
class LastGood(Document):
    """``up --last-good --json``."""

    started: bool
    """False where it ran already."""
    running: Containerd | None


@dataclass(frozen=True, kw_only=True)
class RolledBack:
    """Why a generation was taken back."""

    at: str
    """When, in ISO 8601."""
    to: int
    """The generation that was put back; 0 for the node before us."""
    reasons: list[str]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A recorded generation."""

    generation: int
    at: str
    """When it was applied, in ISO 8601."""
    proved: bool
    programs: str
    """``installed``, ``cached`` or ``gone``."""
    rolled_back: RolledBack | None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What is counted over the node's life."""

    starts: int
    bounces: int
    roll_backs: int
    last_roll_back: str
    """In ISO 8601; empty where there was none."""


@dataclass(frozen=True, kw_only=True)
class Supervisor:
    """The supervisor as it is recorded, dead or alive."""

    pid: int
    start_time: int
    """Clock ticks since boot."""
    detached: bool
    """``up`` left it behind; else a service, or a person, runs it."""
    gave_up: str
    """Why it ended by itself."""
    alive: bool


@dataclass(frozen=True, kw_only=True)
class Held:
    """The node is held on its last good configuration."""

    at: str
    """Since when, in ISO 8601."""
    problems: list[Problem]


@dataclass(frozen=True, kw_only=True)
class GPU:
    """A graphics processor or accelerator on the PCI bus."""

    address: str
    vendor: int
    """PCI vendor; 4318 (0x10de) is NVIDIA."""
    device_class: int
    """PCI class and subclass; 768 (0x0300) is VGA."""
    driver: str
    """Empty where none is bound."""
    driver_version: str


@dataclass(frozen=True, kw_only=True)
class Status(Document):
    """``status --json``; printed where the settings or a drop-in are refused as well."""

    mode: str | None
    """Null where the settings or a drop-in are refused; ``problems`` says why."""
    generation: int
    proved: bool
    generations: list[Generation]
    counts: Counts
    gpus: list[GPU]
    running: Containerd | None
    supervisor: Supervisor | None
    held: Held | None
    owned: list[str]
    foreign: list[str]
    """Files of other hands that containerd loads."""
    quarantined: list[str]
    drift: list[str]
    """Files of ours that somebody edited."""
    pending: bool | None
    unfinished: bool
    proofs: list[Proof]
    problems: list[Problem]


@dataclass(frozen=True, kw_only=True)
class Verify(Document):
    """``verify --json``."""

    proofs: list[Proof]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Down(Document):
    """``down --json``."""

    removed: list[str]
    restored: list[str]
    """Files of other hands as they were before us."""
    ran: str
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file of a program, in the cache."""

    name: str
    version: str
    owner: str
    url: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Fetch(Document):
    """``fetch --json``."""

    cache: str
    files: list[Fetched]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One file's word on a key."""

    value: Any
    path: str
    line: int
    owner: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ExplainedKey:
    """A key, who set it, and what that overrode, latest first."""

    key: list[str]
    value: Any
    set_by: Setting
    overrode: list[Setting]


@dataclass(frozen=True, kw_only=True)
class Explain(Document):
    """``explain --json``."""

    keys: list[ExplainedKey]


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """What became of one file of another hand."""

    path: str
    kept: str
    """Where the original is; empty where there was nothing to put right."""
    repaired: list[str]
    """What was put right, a clause each."""


@dataclass(frozen=True, kw_only=True)
class Quarantine(Document):
    """``quarantine --json``."""

    files: list[Quarantined]


@dataclass(frozen=True, kw_only=True)
class Adopt(Document):
    """``adopt --json``."""

    path: str
    kept: str
    """Where the original is."""
