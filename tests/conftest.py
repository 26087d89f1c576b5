"""Fixtures that every test may use; those of the real parts live in tests/real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # how long an example takes says nothing on a shared machine

ROOT = Path(__file__).parent.parent
LAB = Path(os.environ.get("K0SRUNTIME_LAB", ROOT / ".lab"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of the real parts where they cannot run, and say so; never in CI."""
    wanted = bool(os.environ.get("CI") or os.environ.get("K0SRUNTIME_REAL"))
    able = os.geteuid() == 0 and (LAB / "bin" / "containerd").exists()
    if wanted or able:
        return
    kept, left = [], []
    for item in items:
        (left if item.get_closest_marker("real") else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept
        config.stash[LEFT_OUT] = len(left)


LEFT_OUT = pytest.StashKey[int]()


def pytest_report_header() -> str:
    """Say which parts the tests use."""
    return f"lab: {LAB}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out, so that nobody takes a part for the whole."""
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{count} tests of the real parts left out: they need root and `make lab-all`."
            " `make test` runs them all.",
            yellow=True,
        )
