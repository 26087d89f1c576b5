"""The manifest of a bundle: what is in it, whom it fits, and every entry's checksum.

A bundle is a plain tar archive, whose first member is ``manifest.json``::

    manifest.json             this document
    install.sh                makes a Python environment out of the wheels
    wheels/*.whl
    programs/sha512/<hex>     fetched files, as they lie in a cache
    programs/documents/<hex>  vendors' checksum documents
    images/*.tar              image bundles for k0s's folder
    settings/config.toml      its owner's alone

There is no other place in it, so no name can lead out of a folder.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCHEMA = 1
"""Of the manifest. A change that an older reader would get wrong makes it one more."""
MANIFEST = "manifest.json"
SCRIPT = "install.sh"
SETTINGS = "settings/config.toml"
LARGEST_MANIFEST = 16 << 20
"""Bytes; no bundle has a hundred thousand entries."""
IMAGE_NAME = r"[A-Za-z0-9_][-A-Za-z0-9_.+@=]{0,199}\.(?:tar|tar\.gz|tgz|tar\.zst)"
"""File names of image bundles that k0s and we import."""
_PLACES = re.compile(
    rf"""{re.escape(SCRIPT)} | {re.escape(SETTINGS)}
    | programs/(?:sha512/[0-9a-f]{{128}} | sha256/[0-9a-f]{{64}} | documents/[0-9a-f]{{64}})
    | wheels/[A-Za-z0-9_][-A-Za-z0-9_.+!]{{0,250}}\.whl
    | images/{IMAGE_NAME}""",
    re.VERBOSE,
)
SECRET = 0o600


class Entry(msgspec.Struct, frozen=True):
    """One file of the archive; ``size`` is in bytes."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Program(msgspec.Struct, frozen=True):
    """A program that a provider needs, and the entries that it is made of."""

    name: str
    version: str
    provider: str
    files: list[str]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says of itself."""

    kind: str = "Bundle"
    schema: int = SCHEMA
    made_by: str
    """Version of the k0sruntime that packed it."""
    arch: str
    """The node's machine, as ``uname -m`` spells it."""
    python: list[str] = []
    """Python versions, such as ``3.11``, for which the wheels are complete; none without wheels."""
    distributions: dict[str, str] = {}
    """The host and the providers that it was packed for, with their versions."""
    requirements: list[str] = []
    """What ``install.sh`` installs; pip brings what they need out of the wheels."""
    programs: list[Program] = []
    entries: list[Entry] = []

    def below(self, folder: str) -> list[Entry]:
        """Return the entries of one folder of the archive."""
        return [entry for entry in self.entries if entry.path.startswith(f"{folder}/")]

    def entry(self, path: str) -> Entry | None:
        """Return the entry of this path, if it is in the archive."""
        return next((entry for entry in self.entries if entry.path == path), None)


class _Head(msgspec.Struct):
    """As much of any of our documents as tells whether the rest can be read."""

    kind: str = ""
    schema: int = 0


def mode_of(path: str) -> int:
    """Return the permissions of an entry: settings may hold secrets."""
    return SECRET if path == SETTINGS else 0o755 if path == SCRIPT else 0o644


def is_place(path: str) -> bool:
    """Tell whether a bundle may hold something at this path."""
    return _PLACES.fullmatch(path) is not None


def encode(manifest: Manifest) -> bytes:
    """Return the document, the same bytes for the same content."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic")) + b"\n"


def decode(content: bytes, place: str) -> Manifest:
    """Read a manifest.

    Args:
        content: the document.
        place: the archive, for messages.

    Raises:
        RefusedError: it is no manifest, a newer one, or names a place where nothing may lie.
    """
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.kind != "Bundle":
            raise foreign(place, f"its manifest is of the kind {head.kind!r}")
        if head.schema > SCHEMA:
            raise RefusedError(
                Problem(
                    f"the bundle has schema {head.schema}, and this k0sruntime reads {SCHEMA}",
                    place=place,
                    remedy="Install the k0sruntime that it brings first: its install.sh does it.",
                )
            )
        found = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as exc:
        raise foreign(place, f"its manifest cannot be read: {exc}") from exc
    paths = [entry.path for entry in found.entries]
    wrong = [path for path in paths if not is_place(path)]
    if wrong:
        raise foreign(place, f"nothing may lie at {wrong[0]!r}")
    if len(set(paths)) != len(paths):
        raise foreign(place, "its manifest names a file twice")
    if any(not text.isprintable() for text in _texts(msgspec.to_builtins(found))):
        raise foreign(place, "its manifest holds control codes")
    return found


def _texts(found: Any) -> Iterator[str]:
    """Yield every text in plain data, keys included: all of it is printed somewhere."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for key, inner in found.items():
            yield key
            yield from _texts(inner)
    elif isinstance(found, list):
        for item in found:
            yield from _texts(item)


def foreign(place: str, why: str) -> RefusedError:
    """Return the error for a file that no k0sruntime has packed."""
    return RefusedError(
        Problem(
            f"this is no bundle of k0sruntime: {why}",
            place=place,
            remedy="Make one where there is a network: k0sruntime bundle FILE.",
        )
    )


def damaged(place: str, why: str) -> RefusedError:
    """Return the error for a bundle that is not as it was packed."""
    return RefusedError(
        Problem(
            f"the bundle is damaged: {why}; nothing was written",
            place=place,
            remedy="Carry it here once more, and compare its sha256 with that of the original.",
        )
    )


def refuse_misfit(manifest: Manifest, place: str, *, arch: str, python: str) -> None:
    """Stop where a bundle was packed for another machine or another Python.

    Args:
        manifest: what it says of itself.
        place: the archive, for messages.
        arch: the node's machine.
        python: the Python that runs k0sruntime there, such as ``3.11``; empty: not asked.

    Raises:
        RefusedError: with how to pack one that fits.
    """
    problems = []
    if manifest.arch != arch:
        message = f"the bundle was packed for {manifest.arch}, and the node is {arch}"
        remedy = f"Pack another: k0sruntime bundle --arch {arch}."
        problems.append(Problem(message, place, remedy=remedy))
    if manifest.python and python and python not in manifest.python:
        versions = _words(manifest.python)
        message = f"its wheels are for Python {versions}, and this is Python {python}"
        remedy = f"Pack another: k0sruntime bundle --python-version {python}, or --no-wheels."
        problems.append(Problem(message, place, remedy=remedy))
    if problems:
        raise RefusedError(*problems)


def _words(versions: Iterable[str]) -> str:
    return " and ".join(versions)
