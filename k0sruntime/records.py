"""One provider as it was found: where it comes from, its state, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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
    contract: tuple[int, int] | None = None
    """The contract that it says it is written for."""
    going: tuple[str, ...] = ()
    """What it uses that a coming contract no longer has, a sentence each."""
    seconds: float = 0.0
    """How long its import took."""
    module: str = ""
    """The module that its entry point names."""

    @property
    def origin(self) -> str:
        """The distribution with its version, where it has one."""
        return f"{self.distribution} {self.version}".rstrip()

    @property
    def unusable(self) -> bool:
        """The provider cannot be used, and nobody asked for that."""
        return self.state in ("broken", "incompatible", "duplicate")
