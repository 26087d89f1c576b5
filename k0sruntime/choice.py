"""Which of the installed providers may be used: the command line, and ``[node]`` of the settings.

A provider is code that runs as root. One that is left out is not even imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime.settings import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@dataclass(frozen=True)
class Choice:
    """What the operator says about the installed providers.

    Attributes:
        without: left out on the command line.
        none: none but the host's own, ``--no-providers``.
        allowed: the only ones that may be used, ``[node] providers``; ``None``: all.
        denied: those that may not, ``[node] without``.
        preferred: those whose word counts where two want the same, ``[node] prefer``.
    """

    without: Collection[str] = ()
    none: bool = False
    allowed: Collection[str] | None = None
    denied: Collection[str] = ()
    preferred: Collection[str] = ()

    def blocked(self, name: str) -> str:
        """Return why a provider is left out, or an empty string."""
        if self.none:
            return "left out with --no-providers"
        if name in self.without:
            return "left out with --without"
        if name in self.denied:
            return "left out with [node] without"
        if self.allowed is not None and name not in self.allowed:
            return "not among [node] providers"
        return ""

    def notes(self, names: Collection[str]) -> Iterator[str]:
        """Yield what has no effect, for no provider is called so.

        Args:
            names: what is installed, the host's own left out.
        """
        for said, wanted in (
            ("--without", self.without),
            ("[node] without", self.denied),
            ("[node] providers", self.allowed or ()),
        ):
            for name in sorted(set(wanted) - set(names)):
                yield _in_vain(f"{said} {name}", name, names)
        for name in sorted(set(self.preferred) - {"node", *names}):  # the host's own may be
            yield _in_vain(f"[node] prefer {name}", name, names)


def _in_vain(said: str, name: str, names: Collection[str]) -> str:
    if name == "node":
        return f"{said} has no effect: it is the host's own provider"
    return f"{said} has no effect: no such provider is installed. {nearest(name, names)}".rstrip()
