"""The record of settings files that commands bring: what is coming, and what was brought last.

``/var/lib/k0sruntime/settings.json`` has it; the contents are kept as all others of a generation.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.durable import remove, write_atomically
from k0sruntime.ledger import NONSENSE, State

if TYPE_CHECKING:
    from k0sruntime.paths import Paths


@dataclass(frozen=True)
class Brought:
    """A settings file that a command has brought.

    Attributes:
        path: where it lies on this machine's disk; empty for the node's own place.
        digest: of its content; empty for no file at all.
        generation: the generation that it came with.
    """

    path: str
    digest: str
    generation: int

    def place(self, paths: Paths) -> str:
        """Return where it lies on this machine's disk, behind links, but for those of an image."""
        path = self.path or paths.on_disk(paths.settings)
        return path if paths.image else os.path.realpath(path)


@dataclass(frozen=True)
class Coming(Brought):
    """A settings file that a command brings, and that is not in place yet.

    Attributes:
        scratch: the file beside its place where it waits; the name is nobody else's.
        made: the folders that were made for it, the outermost first.
        before: digest of what lay at its place; empty where nothing did.
        edited: somebody had edited that, and nothing was composed from it.
        passed: all has passed, and only the file is left to do.
    """

    scratch: str = ""
    made: tuple[str, ...] = ()
    before: str = ""
    edited: bool = False
    passed: bool = False

    @property
    def as_brought(self) -> Brought:
        """Return what is noted when it is in place."""
        return Brought(self.path, self.digest, self.generation)


def read(paths: Paths) -> tuple[Coming | None, Brought | None]:
    """Return what is coming, and what was brought last; a spoilt record says nothing."""
    try:
        document = json.loads(regular.content(_file(paths)))
        coming, last = document["coming"], document["last"]
        return (
            Coming(**{**coming, "made": tuple(coming.get("made", ()))}) if coming else None,
            Brought(**last) if last else None,
        )
    except (OSError, *NONSENSE):
        return None, None


def write(paths: Paths, coming: Coming | None, last: Brought | None) -> None:
    """Write the record; none where there is nothing to say.

    Raises:
        OSError: the file system refuses.
    """
    document = {
        "coming": asdict(coming) if coming else None,
        "last": asdict(last) if last else None,
    }
    if coming is None and last is None:
        remove(_file(paths))
    else:
        write_atomically(_file(paths), json.dumps(document).encode())


def _file(paths: Paths) -> str:
    return f"{State(paths).folder}/settings.json"
