"""``python3 -m lab.venv DIR``: a virtual environment with pip, on a bare Debian as well.

Debian's python3 has no ``ensurepip`` unless python3-venv is installed. There, pip comes from
Debian's own wheel of it, unpacked and not installed.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

from lab.debian import LabError, run
from lab.folder import Lab

OLDEST = (3, 10)
NEWEST_PIP_FEATURE = "25.1"
"""First pip that knows ``--group`` (PEP 735)."""


def make(folder: Path, lab: Lab) -> None:
    """Make the environment if it is not there, with a pip that knows dependency groups.

    Raises:
        LabError: Python is too old, or no pip can be had.
    """
    if sys.version_info < OLDEST:
        raise LabError(f"Python {sys.version.split()[0]} is too old; 3.10 is the oldest")
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=False, symlinks=True)
    if not _succeeds(python, "-m", "pip", "--version"):
        _bring_pip(python, lab)
    wanted = f"pip>={NEWEST_PIP_FEATURE}"
    run([str(python), "-m", "pip", "install", "--quiet", "--upgrade", wanted], "a recent pip")


def _succeeds(python: Path, *arguments: str) -> bool:
    done = subprocess.run([python, *arguments], capture_output=True, check=False)
    return done.returncode == 0


def _bring_pip(python: Path, lab: Lab) -> None:
    known = importlib.util.find_spec("ensurepip") is not None
    if known and _succeeds(python, "-m", "ensurepip", "--default-pip"):
        return
    folder, _ = lab.unpack("bookworm", "python3-pip-whl")
    wheel = next(folder.rglob("pip-*.whl"))
    run([str(python), f"{wheel}/pip", "install", "--quiet", "pip"], "pip from Debian's wheel")


def main(arguments: list[str]) -> int:
    """Make the environment that is named and return the exit code."""
    lab = Lab(Path(os.environ.get("K0SRUNTIME_LAB", ".lab")).absolute())
    try:
        make(Path(arguments[0]).absolute(), lab)
    except LabError as exc:
        print(f"setup: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
