"""The time as our records have it."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    """Return the time in ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
