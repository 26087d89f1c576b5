"""Parts that several documents share."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = 1
"""Within a number keys are added, never renamed and never taken away."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole document: its class's name is its ``kind``."""


@dataclass(frozen=True, kw_only=True)
class Containerd:
    """The containerd that we started."""

    pid: int
    version: str
    binary: str


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One verdict of a proof."""

    provider: str
    handler: str
    """The handler that it is about; empty where it is about none alone."""
    seconds: float
    at: str
    """When, in ISO 8601; empty where it was found just now."""
    name: str
    verdict: str
    """``pass``, ``fail``, ``warn`` or ``unknown``."""
    detail: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    message: str
    place: str
    """File and line, or provider and hook."""
    culprit: str
    """Whose it is."""
    remedy: str
    """What to do."""


def dumps(document: Document) -> str:
    """Return a document as JSON, with its kind and the schema number."""
    return json.dumps(data(document), indent=2, default=str)


def data(document: Document) -> dict[str, Any]:
    """Return a document as plain data."""
    return {"kind": type(document).__name__, "schema": SCHEMA, **asdict(document)}
