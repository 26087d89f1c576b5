"""The real containerds of both lines, and what they load from a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import toml

LAB = Path(os.environ.get("K0SRUNTIME_LAB", Path(__file__).parents[2] / ".lab"))
BINARIES = {
    2: LAB / "containerd-1.7" / "bin" / "containerd",
    3: LAB / "bin" / "containerd",
}

Dump = Callable[[str, int], dict[str, Any]]


@pytest.fixture
def dump(tmp_path: Path) -> Dump:
    """Return what the containerd of a schema loads from a text, its defaults included."""

    def loaded(text: str, schema: int) -> dict[str, Any]:
        file = tmp_path / f"v{schema}.toml"
        file.write_text(text)
        done = subprocess.run(
            [BINARIES[schema], "--config", file, "config", "dump"], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        warnings = done.stderr.decode()
        assert "unknown key" not in warnings, warnings
        return toml.load(done.stdout, "dump")

    return loaded
