"""What a composition comes to for k0sctl: files, hooks and flags of a host, and what it cannot do.

k0sctl uploads files before it installs k0s, sets a service's flags from ``installFlags``, and runs
hooks as the user that it logs in as. It knows no transaction: a file is written, k0s bounces, and
nobody puts it back. Source: k0sctl README and ``action/apply.go``.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose import k0s, manifests
from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from k0sruntime.compose.composition import Composition
    from k0sruntime.compose.files import DesiredFile
    from k0sruntime.node import Node
    from k0sruntime.paths import Paths

NAME = "k0sruntime"
"""What every entry of ours is called, so that the next export finds it again."""
SCHEMA_3 = 3
"""What no k0s up to 1.35 can load."""
WORKERS = ("worker", "controller+worker", "single")
CONTROLLERS = ("controller", "controller+worker", "single")
"""Roles of k0sctl's hosts."""
MARK = ": k0sruntime"
"""What our hooks begin with: a command that does nothing, and says whose they are.

The flags that we gave follow it, and the worker profile with a digest of its values: so the next
export knows which of them were ours, even where it wants none any more.
"""
PROFILE = "workerProfile="


@dataclass(frozen=True)
class Upload:
    """A file as k0sctl uploads it.

    Attributes:
        path: on the host.
        content: its text.
        perm: permission bits, in octal.
        secret: only its owner may read it: it does not belong into a k0sctl.yaml.
    """

    path: str
    content: str
    perm: str
    secret: bool = False


@dataclass(frozen=True)
class Export:
    """What goes to k0sctl.

    Attributes:
        uploads: files of every worker.
        manifests: files of every controller.
        flags: flags of a worker's service; what starts with one of their names is replaced.
        after: hooks after an apply.
        reset: hooks after a reset.
        lost: what k0sctl cannot carry, each as a sentence.
    """

    uploads: tuple[Upload, ...]
    manifests: tuple[Upload, ...]
    flags: tuple[str, ...]
    after: tuple[str, ...]
    reset: tuple[str, ...]
    lost: tuple[str, ...]


def exported(composition: Composition, node: Node[Any]) -> Export:
    """Return what a composition comes to for k0sctl.

    Raises:
        RefusedError: the composition is not for a node whose k0s runs its own containerd, or none.
    """
    if composition.mode == "standalone":
        raise RefusedError(
            Problem(
                "the composition is one of standalone mode, and k0sctl installs k0s",
                place="[node] mode or --mode",
                remedy="Say which k0s the hosts have: [node] k0s, or spec.k0s.version of the file.",
            )
        )
    cluster = f"{node.paths.manifests}/"
    uploads = tuple(
        _upload(file)
        for file in composition.files
        if file.edited is None and not file.path.startswith(cluster)
    )
    text = manifests.runtime_classes(composition.handlers)
    classes = f"{cluster}{manifests.STACK}/runtimeclasses.yaml"
    stack = (Upload(classes, manifests.OWNER + text, "0644"),) if text else ()
    flags = tuple(k0s.worker_flags(composition.socket, composition.profile))
    profile = composition.profile
    named = (f"{PROFILE}{fingerprint(profile.name, profile.values)}",) if profile else ()
    mark = shlex.join((*MARK.split(), *flags, *named))
    return Export(
        uploads,
        stack,
        flags,
        (f"{mark}; if command -v k0sruntime >/dev/null; then sudo k0sruntime verify; fi",),
        _removed(uploads, node.paths),
        tuple(_lost(composition, uploads)),
    )


def fingerprint(name: str, values: Mapping[str, Any]) -> str:
    """Return a worker profile's name, and a digest of its values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return f"{name}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Left:
    """What an earlier export left in a host: its flags, and the worker profile."""

    flags: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


def is_ours(hook: Any) -> bool:
    """Tell whether a hook of a host is ours."""
    return isinstance(hook, str) and hook.startswith((f"{MARK};", f"{MARK} "))


def left_by(hooks: Iterable[Any]) -> Left:
    """Read what the marks of our hooks say."""
    words: list[str] = []
    for hook in hooks:
        if is_ours(hook):
            reader = shlex.shlex(hook, posix=True, punctuation_chars=";")
            reader.whitespace_split, reader.commenters = True, ""
            with contextlib.suppress(ValueError):  # a quote that somebody took out
                words += itertools.takewhile(lambda word: word != ";", reader)
    profiles = (word.removeprefix(PROFILE) for word in words if word.startswith(PROFILE))
    return Left(tuple(word for word in words if word.startswith("--")), tuple(profiles))


def _upload(file: DesiredFile) -> Upload:
    return Upload(file.path, file.content.decode(), f"0{file.mode:03o}", not file.mode & 0o077)


def _removed(uploads: tuple[Upload, ...], paths: Paths) -> tuple[str, ...]:
    """k0s's reset leaves ``/etc/k0s`` behind; our files in it go by their names."""
    ours = [upload.path for upload in uploads if upload.path.startswith(f"{paths.dropins}/")]
    return (f"{MARK}; sudo rm -f {shlex.join(ours)}",) if ours else ()


def _lost(composition: Composition, uploads: tuple[Upload, ...]) -> Iterator[str]:
    if composition.mode == "managed" and composition.schema == SCHEMA_3 and uploads:
        yield (
            "these files to hosts whose k0s is still 1.35 or older: it uploads to all hosts before"
            " it upgrades any, and their containerd ends at once; upgrade first, export afterwards"
        )
    yield "the proof and the way back: k0sctl writes files and goes on, whatever becomes of CRI"
    for item in composition.installations:
        yield (
            f"programs of {item.owner.provider} ({item.folder}): k0sctl checks no checksum and"
            " unpacks nothing; install them on the hosts, or with k0sruntime up"
        )
    for file in composition.files:
        if file.edited is not None:
            yield f"{file.path}: it is another program's, and only our keys in it are ours"
    if any(upload.secret for upload in uploads):
        yield "files with credentials: they are left out unless --files DIR gives them a place"
