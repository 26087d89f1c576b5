"""Starting what needs a process of its own: the probe, and the host's commands."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from k0sruntime.testing.facts import Facts, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBE_SECONDS = 180.0
COMMAND_SECONDS = 180.0


def probed_twice(request: Request) -> tuple[Facts, Facts]:
    """Probe a provider in two processes with another order of sets; one that hangs only once."""
    first = probed(request, 1)
    return first, first if first.hangs else probed(replace(request, brief=True), 2)


def probed(request: Request, seed: int) -> Facts:
    """Probe a provider in a process with its own seed of hashes, so that sets have another order.

    Args:
        request: what is to be probed.
        seed: ``PYTHONHASHSEED``.
    """
    with tempfile.TemporaryDirectory(prefix="k0sruntime-probe-") as folder:
        result = f"{folder}/facts.json"
        document = msgspec.json.encode(request).decode()
        command = [sys.executable, "-m", "k0sruntime.testing.probe", document, result]
        extra = {"PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = run(command, extra, PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            return Facts("broken", f"asking it everything took longer than {PROBE_SECONDS:g} s")
        printed = (done.stdout + done.stderr).strip()
        if not os.path.exists(result):
            reason = f"its process ended with status {done.returncode}: {printed[-500:]}"
            return Facts("broken", reason)
        with open(result, "rb") as file:
            return replace(msgspec.json.decode(file.read(), type=Facts), printed=printed)


def host(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run one command of the host."""
    return run([sys.executable, "-m", "k0sruntime", *arguments], environment, COMMAND_SECONDS)


def run(
    command: Sequence[str], environment: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a program in the present environment, without the host's own variables."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("K0SRUNTIME_")}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        timeout=seconds,
        check=False,
    )
