"""Tables for people: handlers with their proofs, and what else was proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k0sruntime.compose import Composition
    from k0sruntime.proof import Proven


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def handler_table(composition: Composition | None, proofs: Iterable[Proven]) -> list[str]:
    """Return the table of handlers with their proofs."""
    rows = [("HANDLER", "FROM", "RUNTIMECLASS", "PROOF")]
    for handler in composition.handlers if composition else ():
        verdicts = [p for p in proofs if p.handler == handler.name]
        rows.append(
            (
                handler.name,
                handler.owner,
                handler.runtime_class or "-",
                _proof(verdicts) or "not run",
            )
        )
    return table(rows)


def _proof(verdicts: Sequence[Proven]) -> str:
    telling = [p for p in verdicts if p.check.verdict != "pass"] or list(verdicts)
    return "; ".join(
        f"{p.check.verdict}: {p.check.name} {p.check.detail}"
        + (f" ({p.seconds:.2f} s)" if p.seconds else "")
        for p in telling
    )


def other_proofs(proofs: Iterable[Proven]) -> list[str]:
    """Return the verdicts that are about no single handler."""
    rows = [
        (p.check.verdict, p.provider, p.check.name, p.check.detail) for p in proofs if not p.handler
    ]
    return ["", *table([("VERDICT", "PROVIDER", "CHECK", "DETAIL"), *rows])] if rows else []
