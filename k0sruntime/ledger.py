"""The ledger and the generations: what we own, what we applied, and how to put it back.

Below ``/var/lib/k0sruntime``::

    ledger.json             the present generation: paths, digests, owners
    generations/7.json      what generation 7 consisted of, and its verdict
    objects/<sha256>        contents, ours and those that we displaced (0600)
    journal.json            an apply that is under way, or was when it was killed
    reload.json             who must still read a file again that we changed

Below ``/run/k0sruntime`` lie the records that a new start of the machine ends: the containerd that
we started, its supervisor, what holds the node back. Every write is a new file, fsynced, renamed.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from k0sruntime import regular
from k0sruntime.durable import remove, write_atomically, write_volatile
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.json_keys import Before
from k0sruntime.plan import Ledger, OwnedFile, Running, digest
from k0sruntime.rolled_back import RolledBack
from k0sruntime.whose_cri import CRIOf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.paths import Paths


KEPT_GENERATIONS = 50
KEPT_SECONDS = 90 * 24 * 3600.0
"""So long a content stays that no generation names any more."""


class State:
    """The folder of our own state on this machine."""

    def __init__(self, paths: Paths) -> None:
        self.folder = paths.on_disk(paths.state)
        self.run = paths.on_disk(paths.own_run)

    @property
    def journal(self) -> str:
        """Path of the journal."""
        return f"{self.folder}/journal.json"

    def ledger(self) -> Ledger:
        """Read the ledger; an empty one where there is none.

        Raises:
            RefusedError: it is there and cannot be read.
        """
        return self._ledger(f"{self.folder}/ledger.json") or Ledger()

    def save(self, ledger: Ledger) -> None:
        """Write the ledger, and the generation that it stands for."""
        self.record_generation(ledger)
        write_atomically(f"{self.folder}/ledger.json", ledger_json(ledger))

    def record_generation(self, ledger: Ledger) -> None:
        """Write a generation without making it the present one."""
        path = f"{self.folder}/generations/{ledger.generation}.json"
        write_atomically(path, ledger_json(ledger))

    def generation(self, number: int) -> Ledger | None:
        """Return a recorded generation, or ``None``.

        Raises:
            RefusedError: it is there and cannot be read.
        """
        return self._ledger(f"{self.folder}/generations/{number}.json")

    def _ledger(self, path: str) -> Ledger | None:
        document = self._read(path)
        if document is None:
            return None
        try:
            return ledger_from(document)
        except NONSENSE as exc:
            raise _spoilt(path, exc) from exc

    def generations(self) -> list[int]:
        """Return the numbers of all recorded generations, ascending."""
        try:
            names = os.listdir(f"{self.folder}/generations")
        except FileNotFoundError:
            return []
        return sorted(
            int(n.removesuffix(".json")) for n in names if n.removesuffix(".json").isdigit()
        )

    def prune(self) -> None:
        """Forget old generations, and contents that none needs and nobody touched for long.

        The newest generations stay, the present one, and the last that was proved. A content that
        no generation names may be a file that somebody edited, kept when it was overwritten.
        """
        known = {number: self.generation(number) for number in self.generations()}
        proved = [number for number, found in known.items() if found and found.proved]
        stay = {*list(known)[-KEPT_GENERATIONS:], *proved[-1:], self.ledger().generation}
        for number in known.keys() - stay:
            remove(f"{self.folder}/generations/{number}.json")
        ledgers = [self.ledger(), *(found for n, found in known.items() if found and n in stay)]
        needed = {
            key
            for ledger in ledgers
            for owned in ledger.files.values()
            for key in (owned.digest, owned.displaced)
        } | {ledger.settings for ledger in ledgers}
        oldest = time.time() - KEPT_SECONDS
        for key in set(os.listdir(f"{self.folder}/objects")) - needed:
            path = f"{self.folder}/objects/{key}"
            if os.stat(path).st_mtime < oldest:
                remove(path)

    def keep(self, content: bytes) -> str:
        """Keep a content and return its digest."""
        key = digest(content)
        path = f"{self.folder}/objects/{key}"
        if not os.path.exists(path):
            write_atomically(path, content, 0o600)
        return key

    def kept(self, key: str) -> bytes:
        """Return a kept content.

        Raises:
            RefusedError: it is not there any more, or is not what was kept.
        """
        try:
            content = regular.content(f"{self.folder}/objects/{key}")
            state = "spoilt in"
        except OSError as exc:
            content, missing = None, isinstance(exc, FileNotFoundError)
            state = "missing from" if missing else "not to be read in"
        if content is None or digest(content) != key:
            raise RefusedError(
                Problem(
                    f"a kept file is {state} {self.folder}/objects",
                    place=key,
                    remedy="Restore the folder from a backup, or run up to compose anew.",
                )
            )
        return content

    def before(self, owned: OwnedFile) -> Before:
        """Return what we wrote into another program's file, and what was there before.

        Raises:
            RefusedError: one of them is not kept any more.
        """
        original = self.kept(owned.displaced) if owned.displaced else None
        return Before(self.kept(owned.digest), original)

    def running(self) -> Running | None:
        """Return what was recorded of the containerd that we started, dead or alive."""
        path = f"{self.run}/containerd.json"
        document = self.record("containerd")
        if document is None:
            return None
        try:
            document["proofs"] = tuple(document.get("proofs", ()))
            document["search_path"] = tuple(document.get("search_path", ()))
            return Running(**document)
        except NONSENSE as exc:
            raise _spoilt(path, exc) from exc

    def record_running(self, running: Running | None) -> None:
        """Record the containerd that we started, or that there is none any more."""
        if running is None:
            self.forget("containerd")
            return
        content = json.dumps(asdict(running), indent=1, default=str).encode()
        write_volatile(f"{self.run}/containerd.json", content, 0o600)  # effective keys

    def remember_profile(self, name: str, own: str) -> None:
        """Note down the worker profile that another runtime needs, and k0s's own before it."""
        content = json.dumps({"profile": name, "own": own}).encode()
        write_atomically(f"{self.folder}/k0s.json", content)

    def remembered_profile(self) -> tuple[str, str]:
        """Return the worker profile that another runtime needed, and the own that comes back."""
        document = self._read(f"{self.folder}/k0s.json") or {}
        return str(document.get("profile", "")), str(document.get("own", ""))

    def forget_profile(self) -> None:
        """Forget it: k0s is started without."""
        remove(f"{self.folder}/k0s.json")

    def record(self, name: str) -> dict[str, Any] | None:
        """Read a record that lasts until the machine is started anew.

        Raises:
            RefusedError: it is there and cannot be read.
        """
        return self._read(f"{self.run}/{name}.json")

    def forget(self, name: str) -> None:
        """Remove such a record, if it is there."""
        remove(f"{self.run}/{name}.json")

    def _read(self, path: str) -> dict[str, Any] | None:
        try:
            document = json.loads(regular.content(path))
        except FileNotFoundError:
            return None
        except PermissionError as exc:
            problem = Problem("our own record is for root alone", path, remedy="Run it as root.")
            raise RefusedError(problem) from exc
        except (OSError, ValueError) as exc:
            raise _spoilt(path, getattr(exc, "strerror", exc)) from exc
        if not isinstance(document, dict):
            raise _spoilt(path, "it is no JSON object")
        return document


NONSENSE = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a record raises that is not what we wrote."""


def _spoilt(path: str, why: object) -> RefusedError:
    reason = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else why
    return RefusedError(
        Problem(
            f"our own record cannot be read: {reason}",
            place=path,
            remedy="Move it away; the next up composes anew and takes over equal files.",
        )
    )


def ledger_json(ledger: Ledger) -> bytes:
    """Return a ledger as the document that lies on disk."""
    document = {"kind": "Ledger", "schema": 1, **asdict(ledger)}
    return json.dumps(document, indent=1, sort_keys=True).encode()


def ledger_from(document: Mapping[str, Any]) -> Ledger:
    """Read a ledger from its document.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is none.
    """
    files = {
        path: OwnedFile(
            **{**owned, "displaced_owner": tuple(owned.get("displaced_owner", (-1, -1)))}
        )
        for path, owned in document["files"].items()
    }
    number = int(document["generation"])
    return Ledger(
        number,
        files,
        tuple(document["folders"]),
        bool(document.get("proved")),
        dict(document.get("programs", {})),
        dict(document.get("runtime_classes", {})),
        CRIOf(**document.get("cri", {})),
        str(document.get("at", "")),
        str(document.get("settings", "")),
        _rolled_back(document.get("rolled_back")),
    )


def _rolled_back(found: Mapping[str, Any] | None) -> RolledBack | None:
    return RolledBack(found["at"], found["to"], tuple(found["reasons"])) if found else None


def as_proved(ledger: Ledger) -> Ledger:
    """Return the ledger with its proof passed: nothing gives it up any more."""
    return replace(ledger, proved=True, rolled_back=None)
