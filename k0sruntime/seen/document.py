"""The document of one node: what ``report --json`` prints on it, and what a fleet is made of.

A document is typed, so that one of another program, or of another version, is refused with its
place and not half believed. Keys may be added within a schema; one that changes its meaning makes
a new schema. Credentials are masked before anything comes in here.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec

KIND = "NodeReport"
SCHEMA = 1

State = Literal["proved", "not proved", "failed", "held", "refused", "empty"]
"""What the node comes to, in a word.

``proved``: what serves the CRI has passed its proof. ``not proved``: nobody has asked since it was
started. ``failed``: the last proof failed. ``held``: it runs on its last good configuration.
``refused``: the next ``up`` would be refused. ``empty``: nothing of ours is on the node.
"""


KeyPath = Annotated[list[str], msgspec.Meta(min_length=1, max_length=64)]
"""A key with the tables that it is in, from the outermost on; no configuration is that deep."""


class Part(msgspec.Struct, frozen=True):
    """Base of all parts of the document: frozen, unknown keys ignored."""


class GPU(Part, frozen=True):
    """A graphics processor."""

    address: str
    vendor: int
    device_class: int
    driver: str = ""
    driver_version: str = ""


class Machine(Part, frozen=True):
    """The machine, as far as the runtime cares."""

    arch: str = ""
    system: str = ""
    """What ``/etc/os-release`` calls it."""
    kernel: str = ""
    cgroups: int = 0
    k0s: str = ""
    k0s_installed: str = ""
    """The version that the next start of k0s will be."""
    containerd: str = ""
    containerd_path: str = ""
    gpus: list[GPU] = []


class Verdict(Part, frozen=True):
    """One layer of the proof."""

    name: str
    verdict: Literal["pass", "fail", "warn", "unknown"]
    provider: str = ""
    handler: str = ""
    detail: str = ""
    remedy: str = ""
    seconds: float = 0.0


class Handler(Part, frozen=True):
    """A handler, and whose it is."""

    name: str
    owner: str = ""
    runtime_type: str = ""
    runtime_class: str = ""
    default: bool = False


class Contribution(Part, frozen=True):
    """What one call of a hook came to, in a few words."""

    hook: str
    what: str


class Provider(Part, frozen=True):
    """A provider, its state on this node, and what it contributes."""

    name: str
    state: str
    origin: str = ""
    """Distribution and version."""
    summary: str = ""
    reason: str = ""
    contributions: list[Contribution] = []


class Setting(Part, frozen=True):
    """One file's word on a key."""

    value: Any = None
    path: str = ""
    line: int = 0
    owner: str = ""
    reason: str = ""


class Key(Part, frozen=True):
    """A key of the configuration: its value, who set it, and what that overrode."""

    key: KeyPath
    value: Any = None
    set_by: Setting = Setting()
    overrode: list[Setting] = []


class Change(Part, frozen=True):
    """A key that the next ``up`` changes; ``None`` where it is not set."""

    key: KeyPath
    before: Any = None
    after: Any = None


class File(Part, frozen=True):
    """A file that is ours, or would be."""

    path: str
    action: str
    owner: str = ""
    diff: str = ""


class Pending(Part, frozen=True):
    """What the next ``up`` would do."""

    verdict: str = "none"
    """``start``, ``bounce``, ``stop`` or ``none``."""
    reason: str = ""
    files: list[File] = []
    keys: list[Change] = []
    programs: list[str] = []
    """Folders of programs that it would fetch."""


class Problem(Part, frozen=True):
    """One thing that is wrong: what, where, who, and what to do."""

    message: str
    place: str = ""
    culprit: str = ""
    remedy: str = ""


class Held(Part, frozen=True):
    """The node is held back on its last good configuration."""

    at: str
    problems: list[Problem] = []


class RolledBack(Part, frozen=True):
    """A generation that failed its proof: when, what was put back, and what the proof said."""

    at: str
    to: int
    reasons: list[str] = []


class Generation(Part, frozen=True):
    """One applied composition."""

    generation: int
    at: str = ""
    proved: bool = False
    present: bool = False
    files: int = 0
    programs: str = ""
    rolled_back: RolledBack | None = None


class Finding(Part, frozen=True):
    """What lint found."""

    code: str
    name: str
    severity: str
    consequence: str = ""
    message: str = ""
    path: str = ""
    line: int | None = None
    key: str | None = None
    remedy: str = ""
    culprit: str = ""
    help: str = ""


class Process(Part, frozen=True):
    """A process that we know of."""

    pid: int
    alive: bool
    version: str = ""
    started: float = 0.0
    """In seconds since the epoch; 0 where it is not known."""
    detail: str = ""


class Counts(Part, frozen=True):
    """What was counted over the node's life."""

    starts: int = 0
    bounces: int = 0
    roll_backs: int = 0
    last_roll_back: str = ""


class NodeReport(Part, frozen=True, kw_only=True):
    """``report --json`` of one node: everything that is told of it."""

    kind: str = KIND
    schema: int = SCHEMA
    name: str
    at: str
    """When it was looked at, in ISO 8601."""
    version: str = ""
    """Of ``k0sruntime`` on the node."""
    state: State
    sandbox: str = ""
    """The folder that it lives in; empty on a real node."""
    mode: str = ""
    scheme: str = ""
    config_schema: int = 0
    digest: str = ""
    """Of what is in force, without credentials; empty where that is not known."""
    machine: Machine = Machine()
    containerd: Process | None = None
    supervisor: Process | None = None
    generation: int = 0
    proved_at: str = ""
    handlers: list[Handler] = []
    proofs: list[Verdict] = []
    providers: list[Provider] = []
    keys: list[Key] = []
    """The effective configuration as composed; ``pending.keys`` tell what is not in force yet."""
    hosts: list[Key] = []
    """Hosts files as they lie on the node, every key below its registry."""
    pending: Pending | None = None
    drift: list[str] = []
    foreign: list[str] = []
    quarantined: list[str] = []
    unfinished: bool = False
    held: Held | None = None
    problems: list[Problem] = []
    """Why the next ``up`` would be refused."""
    findings: list[Finding] = []
    generations: list[Generation] = []
    """The latest first."""
    counts: Counts = Counts()


def fit_to_travel(node: NodeReport) -> NodeReport:
    """Return a node's document with only what JSON can carry.

    A file's name may be no text, and TOML has numbers that JSON has not.
    """
    return msgspec.convert(_carried(msgspec.to_builtins(node)), NodeReport)


def _carried(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_carried(key): _carried(inner) for key, inner in value.items()}
    return [_carried(inner) for inner in value] if isinstance(value, list) else value


def plain(node: NodeReport) -> NodeReport:
    """Return a node's document with the paths that the node itself would see.

    One that lives in a folder has that folder in front of every path, which says nothing and makes
    it unlike any other.
    """
    if not node.sandbox:
        return node
    folder = msgspec.json.encode(f"{node.sandbox}/")[1:-1]
    return msgspec.json.decode(msgspec.json.encode(node).replace(folder, b"/"), type=NodeReport)
