"""What an import found: settings, what was left out and why, and what a person should know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from k0sruntime import Problem
from k0sruntime_mirrors.settings import Registry
from k0sruntime_mirrors.urls import registry_fault

if TYPE_CHECKING:
    from k0sruntime_mirrors.write import Tables


@dataclass
class Imported:
    """Gathers what an import finds.

    Attributes:
        source: the file or folder, for the places of problems.
        tables: the settings.
        refused: what upstream containerd cannot do, or does not do.
        notes: what is not as it was, and is no loss.
    """

    source: str
    tables: Tables = field(default_factory=dict)
    refused: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, message: str, place: str, remedy: str) -> None:
        """Note something that cannot be taken over."""
        self.refused.append(Problem(message, place=f"{self.source}: {place}", remedy=remedy))

    def add(self, name: str, table: dict[str, Any], place: str) -> None:
        """Take a registry's settings over, where the provider would take them."""
        if not table:
            return
        server = bool(table.get("server") or table.get("mirror_only"))
        fault, remedy = registry_fault(name, server=server)
        if fault:
            self.refuse(fault, place, remedy)
            return
        try:
            msgspec.convert(table, Registry)
        except (ValueError, msgspec.ValidationError) as exc:
            self.refuse(str(exc).partition(" - at `$")[0], place, "Correct it, and import again.")
            return
        self.tables[name] = table


def short(endpoint: dict[str, Any]) -> str | dict[str, Any]:
    """Return an endpoint as its URL where that says all."""
    return str(endpoint["url"]) if set(endpoint) == {"url"} else endpoint
