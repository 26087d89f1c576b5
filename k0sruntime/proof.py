"""Verdicts with their subject: what ``verify`` finds and what is recorded of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.contributions import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from k0sruntime.compose import Handler
    from k0sruntime.node import Schema

TOLD = ("name", "verdict", "detail", "remedy")
"""What is recorded of a check."""


@dataclass(frozen=True)
class Proven:
    """A verdict with the provider whose it is, the handler it is about, and how long it took."""

    provider: str
    check: Check
    handler: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Target:
    """What is to be proved."""

    handlers: Sequence[Handler]
    effective: Mapping[str, Any]
    schema: Schema
    cgroup_driver: str = ""
    """What the worker profile says; empty where it says nothing."""


def failures(proofs: Iterable[Proven]) -> list[Proven]:
    """Return the verdicts that fail the proof."""
    return [proof for proof in proofs if proof.check.verdict == "fail"]


def to_records(proofs: Iterable[Proven], at: str = "") -> tuple[dict[str, Any], ...]:
    """Return verdicts as plain data; ``at`` is when they were found, in ISO 8601."""
    return tuple(
        {
            "provider": proof.provider,
            "handler": proof.handler,
            "seconds": round(proof.seconds, 3),
            "at": at,
            **{key: getattr(proof.check, key) for key in TOLD},
        }
        for proof in proofs
    )


def from_records(records: Iterable[Mapping[str, Any]]) -> tuple[Proven, ...]:
    """Read verdicts back from plain data."""
    return tuple(
        Proven(
            record["provider"],
            Check(**{key: record[key] for key in TOLD}),
            record["handler"],
            record["seconds"],
        )
        for record in records
    )
