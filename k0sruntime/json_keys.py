"""Keys of a JSON file that another program owns: ours go in and come out, all else is kept.

The usual one is Docker's ``daemon.json``. Others edit such a file as well, before us and after us.
So it is never taken over: what is written is what lies there with our keys in it, and what is left
behind is what lies there without them, to the byte where nobody else has edited it since.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from k0sruntime.contributions import conflict
from k0sruntime.errors import ConflictError, Problem, RefusedError
from k0sruntime.values import (
    Table,
    check_name,
    check_path,
    check_plain,
    check_strings,
    plain_table,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from k0sruntime.contributions import Contribution, Owner


class Known(NamedTuple):
    """A file of another program: why a provider may put keys into it, and who reads it again."""

    reason: str
    daemon: str


KNOWN: Mapping[str, Known] = {
    "/etc/docker/daemon.json": Known(
        "Docker's: handlers under cri-dockerd are its runtimes (dockerd(8))", "dockerd"
    ),
}
"""Files that a provider may put keys into without the operator's word.

A provider's files lie under its own name. This is the one way out of there, and a JSON file may be
anything: the kubelet's configuration, a CNI list that takes over the node's network. So a file has
a reason here, or the operator lets it: ``[node] json_files``.
"""
PROGRAM = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.+]*")
NEVER_TOLD = ("containerd", "k0s", "kube", "python")
"""How programs are called that no provider may have signalled, whatever the file.

SIGHUP ends containerd, its shims, k0s and its kubelet, and the host, which is a Python program.
"""
GONE = object()
"""Stands for a key that is not there."""


@dataclass(frozen=True, kw_only=True)
class JSONKeys:
    """Keys that a JSON file of another program must have while this provider is active.

    The file is Docker's ``/etc/docker/daemon.json``, or one that the operator lets providers put
    keys into: ``[node] json_files``, which ``Node.json_files`` tells. Any other is refused.

    Attributes:
        path: absolute path of the file; it is made where it is not there.
        keys: tables are merged, everything else replaces.
        check: command that judges the file before it is put in place, ``{file}`` in it replaced by
            the path of a copy; empty: nobody can judge it.
        daemon: name of the program that reads the file again on SIGHUP; empty: nobody does. Of
            Docker's file it is ``dockerd``; containerd, k0s and k0sruntime are refused for any.
        pid_file: where that program's PID is.
    """

    path: str
    keys: Table
    check: Sequence[str] = ()
    daemon: str = ""
    pid_file: str = ""

    def __post_init__(self) -> None:
        """Check the paths and the shape of the keys."""
        check_plain(self)
        check_path("a file with keys of ours", self.path)
        if self.pid_file:
            check_path(f"pid_file for {self.path}", self.pid_file)
        if self.daemon:
            check_name(f"daemon for {self.path}", self.daemon, PROGRAM)
        if not may_be_told(self.daemon):
            raise ValueError(f"the daemon for {self.path} is {self.daemon}, which SIGHUP ends")
        if bool(self.daemon) != bool(self.pid_file):
            raise ValueError("daemon and pid_file go together")
        if not self.keys:
            raise ValueError(f"there are no keys for {self.path}")
        check_strings(f"check of {self.path}", self.check)
        object.__setattr__(self, "keys", plain_table(f"keys of {self.path}", self.keys))

    @property
    def reload(self) -> str:
        """Who reads the file again, as ``program:pid-file``; empty for nobody."""
        return f"{self.daemon}:{self.pid_file}" if self.daemon else ""


def may_be_told(program: str) -> bool:
    """Tell whether a provider may have a program signalled."""
    return not program.startswith(NEVER_TOLD)


def may_hold_keys(path: str, allowed: Collection[str], sandbox: str = "") -> bool:
    """Tell whether a provider may put keys into a file.

    Args:
        path: the file.
        allowed: what the operator lets: files, and folders with a slash at their end.
        sandbox: the folder that the whole node lives in, where it does.
    """
    folders = [
        *(one for one in allowed if one.endswith("/")),
        *([f"{sandbox}/"] if sandbox else []),
    ]
    return path in KNOWN or path in allowed or path.startswith(tuple(folders))


@dataclass(frozen=True)
class Before:
    """What we wrote into such a file, and what lay there before us."""

    written: bytes
    original: bytes | None


@dataclass(frozen=True)
class Edited:
    """What becomes of such a file.

    Attributes:
        content: with our keys.
        base: without them, as it is left behind; ``None`` where there was no file.
    """

    content: bytes
    base: bytes | None


def edit(
    path: str, found: bytes | None, before: Before | None, parts: Sequence[Contribution[JSONKeys]]
) -> Edited | None:
    """Return a file with the keys of all providers in it; ``None`` where it has them by itself.

    Raises:
        RefusedError: the file is no JSON object.
        ConflictError: two sides want another value for one key.
    """
    base = without(path, found, before)
    document = _load(path, base)
    wanted: dict[str, Any] = {}
    owners: dict[tuple[str, ...], Owner] = {}
    for part in parts:
        _merge(wanted, part.value.keys, (), part.owner, path, owners)
    _refuse_taken(path, document, wanted, owners)
    result = _merged(document, wanted)
    if result == document:
        return None
    if found is not None and _load(path, found) == result:
        return Edited(found, base)
    return Edited(_dump(result, base), base)


def without(path: str, found: bytes | None, before: Before | None) -> bytes | None:
    """Return a file as it is to be left behind: without what we wrote into it.

    Raises:
        RefusedError: it is no JSON object any more.
    """
    if before is None or found is None:
        return found
    if found == before.written:
        return before.original
    now, ours = _load(path, found), _load(path, before.written)
    left = _taken_out(now, ours, _load(path, before.original))
    if left == now:
        return found
    return _dump(left, found) if left or before.original is not None else None


def put_back(path: str, found: bytes | None, now: Before | None, wanted: Before) -> Edited:
    """Return a file with the keys that an earlier generation wrote, and all else as it is now.

    Args:
        path: the file's.
        found: what lies there.
        now: what the present generation wrote into it, if it did.
        wanted: what the earlier generation wrote.

    Raises:
        RefusedError: it is no JSON object any more.
    """
    base = without(path, found, now)
    if base == wanted.original:
        return Edited(wanted.written, base)
    ours = _added(_load(path, wanted.written), _load(path, wanted.original))
    return Edited(_dump(_merged(_load(path, base), ours), base), base)


def _added(written: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that are ours in what we wrote."""
    ours: dict[str, Any] = {}
    for key, value in written.items():
        was = original.get(key, GONE)
        if isinstance(value, dict) and isinstance(was, dict):
            if inner := _added(value, was):
                ours[key] = inner
        elif was is GONE or was != value:
            ours[key] = value
    return ours


def _taken_out(now: Any, ours: Any, original: Any) -> Any:
    """Take out what ours has and the original had not, where it is still as we wrote it."""
    result = dict(now)
    for key, value in ours.items():
        was = original.get(key, GONE)
        if was == value or key not in result:
            continue
        if isinstance(value, dict) and isinstance(result[key], dict):
            inner = _taken_out(result[key], value, was if isinstance(was, dict) else {})
            if inner or was is not GONE:
                result[key] = inner
            else:
                del result[key]
        elif result[key] == value:
            if was is GONE:
                del result[key]
            else:
                result[key] = was
    return result


def _merge(
    into: dict[str, Any],
    keys: Mapping[str, Any],
    above: tuple[str, ...],
    owner: Owner,
    path: str,
    owners: dict[tuple[str, ...], Owner],
) -> None:
    """Put one provider's keys to those of the others.

    Args:
        into: the keys so far.
        keys: the provider's.
        above: the tables that both are in.
        owner: whose ``keys`` are.
        path: the file's.
        owners: who was the first to say each key and each table.

    Raises:
        ConflictError: two values for one key; both sides are named.
    """
    for key, value in keys.items():
        place = (*above, key)
        first = owners.setdefault(place, owner)
        if isinstance(value, dict) and isinstance(into.setdefault(key, {}), dict):
            _merge(into[key], value, place, owner, path, owners)
        elif into.setdefault(key, value) != value:
            problem = conflict(f"two values for {'.'.join(place)}", first, owner)
            raise ConflictError(replace(problem, place=path))


def _merged(document: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(document)
    for key, value in wanted.items():
        inner = result.get(key)
        both = isinstance(value, dict) and isinstance(inner, dict)
        result[key] = _merged(inner, value) if both else value  # type: ignore[arg-type]
    return result


def _refuse_taken(
    path: str,
    document: Mapping[str, Any],
    wanted: Mapping[str, Any],
    owners: Mapping[tuple[str, ...], Owner],
) -> None:
    """Refuse to change what another hand says of the very thing that we would add."""
    for table, entries in wanted.items():
        there = document.get(table)
        if not isinstance(entries, dict) or not isinstance(there, dict):
            continue
        for name, value in entries.items():
            if name in there and there[name] != value:
                raise ConflictError(
                    Problem(
                        f"{table}.{name} is there already, and says something else",
                        place=path,
                        culprit=f"a foreign hand, and provider {owners[table, name].provider}",
                        remedy="Take it out there, or give ours another name.",
                    )
                )


def _load(path: str, data: bytes | None) -> dict[str, Any]:
    if not (data or b"").strip():
        return {}
    try:
        document = json.loads(data or b"")
    except ValueError as exc:
        line = getattr(exc, "lineno", 0)
        place = f"{path}:{line}" if line else path
        remedy = "Correct it: the program that it is for does not start with it either."
        raise RefusedError(Problem(f"not JSON: {exc}", place, "a foreign file", remedy)) from exc
    if not isinstance(document, dict):
        raise RefusedError(Problem("it is no JSON object", path, "a foreign file"))
    return document


def _dump(document: Mapping[str, Any], like: bytes | None) -> bytes:
    """Write a document indented as the file was."""
    found = re.search(rb"\{\s*\n([ \t]+)\"", like or b"")
    indent = found[1].decode() if found else "    "
    return (json.dumps(document, indent=indent, ensure_ascii=False) + "\n").encode()
