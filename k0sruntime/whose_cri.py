"""Whose CRI a generation is for: our containerd, k0s's own, or another runtime's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.cri_flag import same_path
from k0sruntime.node import OtherCRI

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.compose import Composition
    from k0sruntime.compose.k0s_unit import Service
    from k0sruntime.node import Mode
    from k0sruntime.paths import Paths


@dataclass(frozen=True)
class CRIOf:
    """What a generation records of it.

    Attributes:
        mode: who ran containerd; ``None`` where a record does not say.
        socket: URL of the other runtime's.
        profile: name of the worker profile that it needs.
        values: the profile's.
        provider: who contributed the socket.
    """

    mode: Mode | None = None
    socket: str = ""
    profile: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    provider: str = ""

    @classmethod
    def of(cls, composition: Composition) -> CRIOf:
        """Return whose CRI a composition is for."""
        socket, profile = composition.socket, composition.profile
        return cls(
            composition.mode,
            socket.url if socket else "",
            profile.name if profile else "",
            profile.values if profile else {},
            composition.socket_of,
        )


def in_use(service: Service | None, applied: CRIOf, paths: Paths) -> OtherCRI | None:
    """Return the CRI of another runtime that a node is on; ``None`` for containerd, k0s's or ours.

    Args:
        service: how k0s is started; ``None`` where nobody knows, and what was applied counts.
        applied: whose CRI the present generation is for.
        paths: the node's paths.
    """
    if service is None or not service.runs_a_kubelet:
        return OtherCRI(applied.socket, applied.provider) if applied.socket else None
    path = service.cri(paths)
    if path in ("", paths.socket):
        return None
    ours = applied.socket and same_path(applied.socket.removeprefix("unix://"), path)
    return OtherCRI(f"unix://{path}", applied.provider if ours else "")
