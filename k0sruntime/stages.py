"""What the stages hand to each other: the request, everything up to the plan, and the outcome."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from k0sruntime.collect import Collected
    from k0sruntime.compose import Composition
    from k0sruntime.discovery import Discovered
    from k0sruntime.node import Mode, Node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Observed, Plan, Running
    from k0sruntime.proof import Proven
    from k0sruntime.records import Record
    from k0sruntime.upgrade import Upgrade

Ran = Literal["", "started", "bounced", "adopted", "stopped"]


class Story(Protocol):
    """Where the pipeline tells what it does, while it does it."""

    def stage(self, name: str) -> AbstractContextManager[Callable[[str], None]]:
        """Open a stage; the yielded function takes its one-line result."""

    def say(self, text: str) -> None:
        """Tell something that a person must know."""

    def progress(self, text: str) -> None:
        """Tell how far long work is; each text takes the place of the one before."""


class Silent:
    """Tells nothing."""

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Open a stage."""
        del name
        yield lambda _: None

    def say(self, text: str) -> None:
        """Tell nothing."""

    def progress(self, text: str) -> None:
        """Tell nothing."""


@dataclass(frozen=True)
class Request:
    """What a command was asked to do."""

    paths: Paths
    settings: str = ""
    """Path of the settings file, where it is not the node's own."""
    without: frozenset[str] = frozenset()
    no_providers: bool = False
    """None but the host's own."""
    mode: Mode | None = None
    containerd: str = ""
    force: bool = False
    lock_timeout: float = 60.0
    offline: bool = False
    """Never open a socket to another machine: to fetch something, or to check it."""
    cache: str = ""
    """Folder of what was fetched, where it is not the machine's own."""
    only: str = ""
    """Folder of fetched files that counts instead of any cache: what a bundle has brought."""
    cri_socket: str = ""
    """CRI of another runtime, as ``--cri-socket`` of k0s has it."""
    remember: bool = True
    """A person asked, not the supervisor: it is what a supervisor keeps the node at."""
    supervise: bool | None = None
    """Leave a supervisor behind; ``None``: as the settings say."""
    apply_k0s: bool = False
    """Run what k0s must be told."""
    start: bool = True
    """Start or bounce and prove; not so for an image root."""
    instead: Mapping[str, bytes | None] = field(default_factory=dict)
    """Files of other hands as they would be, by path; ``None`` for one that would be gone."""
    upgrade: Upgrade | None = None
    """Compose for the k0s and containerd that the node would have, not for those it has."""
    settings_from: str = ""
    """Path of a file that the settings file shall become, when all has passed."""
    given: bytes | None = None
    """What the settings say, where they are known already: a pipe can be read only once."""

    @property
    def read_from(self) -> str:
        """Path of the file that settings are read from; empty for the node's own."""
        return self.settings_from or self.settings

    def without_brought(self) -> Request:
        """Return the request with the settings that the node has: what was to come did not."""
        return replace(self, settings_from="", given=None) if self.settings_from else self


@dataclass(frozen=True)
class Prepared:
    """Everything up to the plan."""

    discovered: Discovered
    settings: Mapping[str, Any]
    node: Node[Any]
    collected: Collected
    composition: Composition
    observed: Observed
    plan: Plan
    settings_text: bytes = b""
    """The settings file as it was read."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """The fingerprint of the files of other hands that this was composed from."""

    @property
    def node_settings(self) -> NodeSettings:
        """The host's own settings."""
        found: NodeSettings = self.settings["node"]
        return found


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    plan: Plan
    composition: Composition | None = None
    records: tuple[Record, ...] = ()
    generation: int = 0
    applied: bool = False
    ran: Ran = ""
    running: Running | None = None
    proofs: tuple[Proven, ...] = ()
    notes: tuple[str, ...] = ()
    before: int = 0
    """The generation to go back to: the last one before that was proved, if any was."""
    supervisor: int = 0
    """PID of the supervisor that stays with containerd; 0 where there is none."""
    log: str = ""
    """Where a person finds containerd's log."""
