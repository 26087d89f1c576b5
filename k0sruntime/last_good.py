"""The last good configuration: what containerd loaded when it last passed its proof.

The files in place may be changed by any hand, and containerd reads them whenever it is started. So
a copy of what was proved is kept, texts and all, and containerd is started from it where the files
in place are refused: a bad drop-in costs a message, never a node.

``/var/lib/k0sruntime/last-good.json`` has the copy, readable for root alone (drop-ins may hold
credentials). ``/run/k0sruntime/held.json`` tells that the node was held back on it, and why.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import regular
from k0sruntime.compose import Handler
from k0sruntime.durable import (
    remove,
    remove_folder,
    sync_folder,
    write_atomically,
    write_synced,
    write_volatile,
)
from k0sruntime.errors import Problem
from k0sruntime.key_changes import difference
from k0sruntime.ledger import NONSENSE, State
from k0sruntime.loaded import MAIN, copy_of
from k0sruntime.proof import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k0sruntime.compose import Composition
    from k0sruntime.paths import Paths

SECRET = 0o600


@dataclass(frozen=True)
class LastGood:
    """What containerd loaded when it last passed its proof, and what the proof was about."""

    files: Mapping[str, str]
    """A main file and its numbered imports, by name."""
    target: Target

    def differs(self, composition: Composition) -> bool:
        """Tell whether containerd would load something else from the files in place."""
        return bool(difference(self.target.effective, composition.effective))


@dataclass(frozen=True)
class Held:
    """The node was held back on its last good configuration."""

    at: str
    """When, in ISO 8601."""
    problems: tuple[Problem, ...]


def save(paths: Paths, composition: Composition, target: Target) -> None:
    """Keep what was just proved."""
    files, _ = copy_of(composition)
    document = {"kind": "LastGood", "schema": 1, "files": files, "target": asdict(target)}
    content = json.dumps(document, indent=1, default=str).encode()
    write_atomically(_path(paths), content, SECRET)


def load(paths: Paths) -> LastGood | None:
    """Return what was last proved; ``None`` where nothing was, or the record is spoilt."""
    try:
        with regular.opened(_path(paths)) as file:
            document = json.load(file)
        known = document["target"]
        handlers = tuple(
            Handler(**{**handler, "programs": tuple(handler["programs"])})
            for handler in known["handlers"]
        )
        return LastGood(dict(document["files"]), Target(**{**known, "handlers": handlers}))
    except (OSError, *NONSENSE):
        return None


def lay_out(paths: Paths, good: LastGood) -> str:
    """Lay the copy out and return the path of its main file."""
    folder = _laid_out(paths)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for name, text in good.files.items():
        write_synced(f"{folder}/{name}", text.encode(), SECRET)
    sync_folder(folder)
    return f"{folder}/{MAIN}"


def forget(paths: Paths) -> None:
    """Forget what was proved: the node shall have nothing of ours."""
    remove(_path(paths))
    remove_folder(_laid_out(paths))
    release(paths)


def _laid_out(paths: Paths) -> str:
    return f"{State(paths).run}/last-good"


def _path(paths: Paths) -> str:
    return f"{State(paths).folder}/last-good.json"


def hold(paths: Paths, problems: Sequence[Problem], at: str) -> None:
    """Record that the node is held back on its last good configuration, and why."""
    document = {"at": at, "problems": [asdict(problem) for problem in problems]}
    content = json.dumps(document, indent=1).encode()
    write_volatile(f"{State(paths).run}/held.json", content)


def release(paths: Paths) -> None:
    """Record that nothing holds the node back any more."""
    State(paths).forget("held")


def held(paths: Paths) -> Held | None:
    """Return why the node is held back, or ``None`` where it is not."""
    document: dict[str, Any] | None = State(paths).record("held")
    if document is None:
        return None
    return Held(document["at"], tuple(Problem(**problem) for problem in document["problems"]))
