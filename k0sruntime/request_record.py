"""What ``up`` was asked for last: a supervisor keeps the node at that, whatever is edited since.

``/run/k0sruntime/request.json`` has the options and the fingerprint of the files of other hands.
The settings are those that the present generation was composed from, as the ledger has them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime.durable import write_volatile
from k0sruntime.ledger import NONSENSE, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.paths import Paths
    from k0sruntime.stages import Request


@dataclass(frozen=True)
class LastRequest:
    """What ``up`` was asked for last."""

    options: tuple[str, ...]
    """Options of the command line that ask for the same again."""
    inputs: Mapping[str, str]
    """The fingerprint of what other hands had laid there."""


def save(request: Request, inputs: Mapping[str, str]) -> None:
    """Record an ``up`` that was done."""
    state = State(request.paths)
    options = [f"--without={name}" for name in sorted(request.without)]
    options += ["--no-providers"] if request.no_providers else []
    options += [f"--mode={request.mode}"] if request.mode else []
    options += [f"--containerd={request.containerd}"] if request.containerd else []
    options += [f"--cri-socket={request.cri_socket}"] if request.cri_socket else []
    options += ["--offline"] if request.offline else []
    options += [f"--cache={os.path.abspath(request.cache)}"] if request.cache else []
    document = {"options": options, "inputs": dict(inputs)}
    if state.record("request") != document:
        content = json.dumps(document, indent=1).encode()
        write_volatile(f"{state.run}/request.json", content)


def last(paths: Paths) -> LastRequest:
    """Return what was asked for last; nothing in particular where that is not known."""
    try:
        document = State(paths).record("request")
        if document is not None:
            return LastRequest(tuple(document["options"]), dict(document["inputs"]))
    except NONSENSE:
        pass
    return LastRequest((), {})
