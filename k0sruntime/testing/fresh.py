"""Starting what needs a process of its own: the probe, and the host's commands."""

from __future__ import annotations

import contextlib
import os
import signal
import site
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from k0sruntime.testing.facts import FOLDERS, HOOKS, IMPORT, SETTINGS, Facts, Request
from k0sruntime.testing.given import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

PROBE_SECONDS = 180.0
COMMAND_SECONDS = 180.0
NODES_SECONDS = 30.0
LOOK_SECONDS = 0.02
LONGEST = 1 << 40
"""Bytes; no probe says as much."""


def probes(request: Request) -> tuple[Facts, ...]:
    """Probe a provider in two processes with another order of sets; one that hangs only once.

    Where settings are given, a third is without them, for it is installed before it has any.
    """
    first = probed(request, 1)
    if first.hangs:
        return first, first
    found = first, probed(replace(request, brief=True), 2)
    return (
        (*found, probed(replace(request, brief=True, settings=""), 1))
        if request.settings
        else found
    )


def probed(request: Request, seed: int) -> Facts:
    """Probe a provider in a process with its own seed of hashes, so that sets have another order.

    What it starts ends with it, unless that has left its session.

    Args:
        request: what is to be probed.
        seed: ``PYTHONHASHSEED``.
    """
    with tempfile.TemporaryDirectory(
        prefix="k0sruntime-probe-", ignore_cleanup_errors=True
    ) as folder:
        result = f"{folder}/facts.json"
        document = msgspec.json.encode(replace(request, scratch=folder)).decode()
        command = [sys.executable, "-m", "k0sruntime.testing.probe", document, result]
        extra = {"PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1", **_at_home(folder)}
        try:
            done = run(command, extra, PROBE_SECONDS, f"{folder}/work", alone=True)
        except subprocess.TimeoutExpired:
            return Facts("broken", f"asking it everything took longer than {PROBE_SECONDS:g} s")
        return read_back(result, done)


def nodes_problem(path: str) -> str:
    """Return what is wrong with a file of made-up nodes, asked in a process of its own.

    Args:
        path: the file; empty: there is none, and nothing is wrong.
    """
    if not path:
        return ""
    command = [sys.executable, "-m", "k0sruntime.testing.given", path]
    try:
        done = run(command, {"PYTHONDONTWRITEBYTECODE": "1"}, NODES_SECONDS, alone=True)
    except subprocess.TimeoutExpired:
        return f"the file of nodes {path} takes longer than {NODES_SECONDS:g} s"
    _, _, said = done.stdout.rpartition(MARK)
    if MARK in done.stdout:
        return said
    ended = f"the file of nodes {path} ends its process with status {done.returncode}"
    return ended if done.returncode else ""


def read_back(result: str, done: subprocess.CompletedProcess[str]) -> Facts:
    """Return what a probe wrote down, with what was printed beside it, by who said it."""
    try:
        with open(result, "rb") as file:
            facts = msgspec.json.decode(file.read(), type=Facts)
    except FileNotFoundError:
        last = " ".join(done.stderr.strip().splitlines()[-1:])
        reason = f"its process ended with status {done.returncode}"
        return Facts("broken", f"{reason}: {last}" if last else reason)
    except msgspec.DecodeError:
        return Facts(
            "broken",
            "what was seen of it was not written down wholly: does it set a limit of the process,"
            " such as RLIMIT_FSIZE, or close files that are not its own?",
        )
    printed, before = {}, (0, 0)
    for who in (IMPORT, SETTINGS, HOOKS):
        until = facts.said_until.get(who, (LONGEST, LONGEST))
        words = [text[a:b] for text, a, b in zip(_both(done), before, until, strict=True)]
        printed[who] = b"\n".join(words).decode(errors="replace").strip()
        before = until
    return replace(facts, printed={who: said for who, said in printed.items() if said})


def _both(done: subprocess.CompletedProcess[str]) -> tuple[bytes, bytes]:
    return done.stdout.encode(), done.stderr.encode()


def _at_home(folder: str) -> dict[str, str]:
    """Make the folders in which a probe lives, and return the variables that lead there.

    Python's own way to what is installed stays as it is: the user's packages, and relative paths.
    """
    for name in FOLDERS:
        os.makedirs(f"{folder}/{name}")
    path = os.environ.get("PYTHONPATH", "")
    given = [os.path.abspath(entry) for entry in path.split(os.pathsep)] if path else []
    kinds = ("CONFIG", "CACHE", "DATA", "STATE")
    return {
        **{f"XDG_{kind}_HOME": f"{folder}/home/.{kind.lower()}" for kind in kinds},
        **{variable: f"{folder}/{name}" for name, variable in FOLDERS.items() if variable},
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONPATH": os.pathsep.join([os.getcwd(), *given]),
    }


def host(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run one command of the host.

    Raises:
        subprocess.TimeoutExpired: it does not end.
    """
    return run([sys.executable, "-m", "k0sruntime", *arguments], environment, COMMAND_SECONDS)


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    seconds: float,
    folder: str = "",
    *,
    alone: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program in the present environment, without the host's own variables.

    What it says goes to files: one that it leaves behind holds no pipe of ours.

    Args:
        command: the program and its arguments.
        environment: variables that are added.
        seconds: how long it may take.
        folder: where it works; empty: here.
        alone: what it leaves behind in its session is ended with it.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was ended with all that it started.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("K0SRUNTIME_")}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=err,
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            cwd=folder or None,
            start_new_session=True,
        )
        ended = False
        try:
            ended = _ended(process.pid, time.monotonic() + seconds)
        finally:
            if alone or not ended:
                # The leader is not waited for yet, so that this number is nobody else's.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        if not ended:
            raise subprocess.TimeoutExpired(command, seconds)
        said = [_read(file) for file in (out, err)]
        return subprocess.CompletedProcess(command, code, *said)


def _ended(pid: int, end: float) -> bool:
    """Wait for the end of a process, and leave it to be waited for."""
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
