"""Whose CRI a generation is for: our containerd, k0s's own, or another runtime's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.node import Mode


@dataclass(frozen=True)
class CRIOf:
    """What a generation records of it.

    Attributes:
        mode: who ran containerd; ``None`` where a record does not say.
        socket: URL of the other runtime's.
        profile: name of the worker profile that it needs.
        values: the profile's.
    """

    mode: Mode | None = None
    socket: str = ""
    profile: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, composition: Composition) -> CRIOf:
        """Return whose CRI a composition is for."""
        socket, profile = composition.socket, composition.profile
        return cls(
            composition.mode,
            socket.url if socket else "",
            profile.name if profile else "",
            profile.values if profile else {},
        )
