"""The handler for real: ``up``, ``verify`` and ``down`` of the host, in a folder of their own.

Needs root and a containerd. Everything goes through the host's own command line, as an operator
would use it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.testing.fresh import host
from k0sruntime.testing.seen import NotSeenError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Parts:
    """What the real node is made of.

    Attributes:
        containerd: path of the binary; empty: there is none.
        settings: path of a settings file; empty: none.
        images: an image bundle, for a node that cannot pull; empty: none.
        others: providers that are left out.
    """

    containerd: str
    settings: str = ""
    images: str = ""
    others: tuple[str, ...] = ()


def runs_for_real(provider: str, parts: Parts) -> Iterator[str]:
    """Look at it: ``k0sruntime up --sandbox DIR --settings FILE``; the log is in DIR/run/k0s.

    Each handler runs in a real sandbox, and ``down`` takes everything away.

    Raises:
        NotSeenError: no containerd, no root, or the provider rests on this machine.
    """
    if not parts.containerd:
        raise NotSeenError("no containerd at hand; name one with --k0sruntime-containerd")
    if os.geteuid() != 0:
        raise NotSeenError("a real containerd needs root")
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(
        prefix="k0sr-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        if parts.images:
            images = f"{folder}/var/lib/k0s/images"
            os.makedirs(images)
            shutil.copy(parts.images, images)
        try:
            yield from _lived(provider, parts, folder)
        finally:
            _host(parts, folder, "down", "--pods", "--purge", "--force")


def _lived(provider: str, parts: Parts, folder: str) -> Iterator[str]:
    up = _host(parts, folder, "up", "--no-supervisor")
    if "problems" in up:
        yield from (f"up: {problem['message']}" for problem in up["problems"])
        return
    state, reason = _state(provider, parts, folder)
    if state != "active":
        raise NotSeenError(f"it is {state} here: {reason}")
    verdicts = [p for p in up["proofs"] if p.get("provider") == provider]
    for proof in verdicts:
        if proof["verdict"] == "fail":
            yield f"{proof['name']} {proof.get('handler', '')}: {proof['detail']}"
    unknown = [p for p in verdicts if p["verdict"] == "unknown" and p["name"] == "sandbox"]
    for pod in _pods(folder):
        yield f"a sandbox is left behind: {pod}"
    down = _host(parts, folder, "down", "--pods")
    yield from (f"down: {problem['message']}" for problem in down.get("problems", ()))
    for base, _, files in os.walk(f"{folder}/etc/k0s"):
        yield from (f"after down there is still {base}/{name}" for name in files)
    if unknown:
        raise NotSeenError(
            f"no sandbox could be run: {unknown[0]['detail']}; where it cannot pull, give it"
            " a bundle (--k0sruntime-images) and its image ([node] pause_image)"
        )


def _pods(folder: str) -> list[str]:
    from k0sruntime.cri import CRI

    with CRI(f"{folder}/run/k0s/containerd.sock") as cri:
        return [" ".join(pod) for pod in cri.pods()]


def _state(provider: str, parts: Parts, folder: str) -> tuple[str, str]:
    found = _host(parts, folder, "providers").get("providers", ())
    states = ((p["state"], p["reason"]) for p in found if p["name"] == provider)
    return next(states, ("absent", "it is not installed"))


def _host(parts: Parts, folder: str, command: str, *arguments: str) -> dict[str, Any]:
    """Run one command of the host with ``--json`` and return its document."""
    options = [f"--sandbox={folder}", "--json", *arguments]
    if command != "down":
        options += [f"--containerd={parts.containerd}"]
        options += [f"--without={name}" for name in parts.others]
        options += [f"--settings={os.path.abspath(parts.settings)}"] if parts.settings else []
    path = f"{os.path.dirname(os.path.abspath(parts.containerd))}:{os.environ.get('PATH', '')}"
    try:
        done = host([command, *options], {"PATH": path})
    except subprocess.TimeoutExpired as exc:
        return {
            "problems": [{"message": f"k0sruntime {command} took longer than {exc.timeout:g} s"}]
        }
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        found = {"problems": [{"message": (done.stderr or done.stdout).strip()[-1000:]}]}
    return found
