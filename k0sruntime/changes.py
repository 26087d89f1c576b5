"""What happens to one file: as it lies there, and as it will."""

from __future__ import annotations

import difflib
import hashlib
import posixpath
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["create", "update", "remove", "restore", "unchanged", "drift", "foreign"]


@dataclass(frozen=True)
class FileState:
    """A file as it lies on disk."""

    content: bytes
    mode: int
    owner: tuple[int, int] = field(default=(-1, -1), compare=False)
    """User and group; -1 for whoever we run as. Told, so that what comes back is as it was."""

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return digest(self.content)


@dataclass(frozen=True)
class Change:
    """What happens to one file."""

    path: str
    action: Action
    owner: str
    before: FileState | None = None
    after: FileState | None = None
    loaded: bool = True
    base: bytes | None = None
    """For an edited file: what is left of it without us; ``None`` for nothing."""
    edited: bool = False
    reload: str = ""
    kept: bool = False
    """It is not wanted any more, and stays for as long as k0s is on the CRI that is left."""

    @property
    def is_dropin(self) -> bool:
        """It changes a file of which k0s takes notice."""
        folder = posixpath.basename(posixpath.dirname(self.path))
        return folder == "containerd.d" and self.action not in ("unchanged", "drift", "foreign")

    def diff(self, before: str | None = None, after: str | None = None) -> str:
        """Return the change as a unified diff; empty where nothing changes.

        Args:
            before: what is shown of the file as it lies there, by default all of it.
            after: what is shown of it as it is to be.
        """
        before = _text(self.before) if before is None else before
        after = _text(self.after) if after is None else after
        return "".join(
            difflib.unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                f"{self.path} (on disk)" if self.before else "/dev/null",
                f"{self.path} (composed)" if self.after else "/dev/null",
            )
        )


def digest(content: bytes) -> str:
    """Return the SHA-256 of ``content``, in hex."""
    return hashlib.sha256(content).hexdigest()


def _text(state: FileState | None) -> str:
    return state.content.decode(errors="replace") if state else ""
