"""Judging a node's files as they lie there, or as they would lie there after a mend."""

from __future__ import annotations

import os
import posixpath
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime import gate, lint, regular
from k0sruntime.compose import k0s_unit
from k0sruntime.errors import Problem
from k0sruntime.lint.config_dump import with_containerd
from k0sruntime.lint.gather import gather
from k0sruntime.observe import owned
from k0sruntime.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.compose.k0s_unit import Service
    from k0sruntime.lint.finding import Finding
    from k0sruntime.lint.subject import Subject
    from k0sruntime.lint.target import Target
    from k0sruntime.node import Files, Mode, Node
    from k0sruntime.stages import Request


@dataclass(frozen=True)
class Judge:
    """What files are judged by, and which.

    Attributes:
        looked: the files and folders that are judged, absolute.
        target: what they are judged against; rules about the machine run where it has one.
        binary: a containerd that reads them itself; empty for none.
        follow: imports by absolute path are the node's.
        remote: another CRI serves the node: k0s's pre-flight checks alone read the files.
    """

    looked: tuple[str, ...]
    target: Target
    binary: str = ""
    follow: bool = True
    remote: bool = False

    def subject(self, files: Files) -> Subject:
        """Return what is judged.

        Raises:
            RefusedError: files that are there and cannot be read.
        """
        return gather(self.looked, files, follow=self.follow)

    def findings(self, files: Files) -> tuple[Finding, ...]:
        """Return what is found.

        Raises:
            RefusedError: files that cannot be read, or a containerd that does not answer.
        """
        if self.remote and not self.target.strict_k0s:
            return ()
        subject = self.subject(files)
        found = lint.check(subject, self.target, files)
        if self.remote:
            return gate.of_pre_flight(found)
        if self.binary:
            return with_containerd(found, subject, self.target, self.binary)
        return found

    def stops(self, files: Files) -> tuple[Problem, ...]:
        """Return what leaves the node without a runtime, as problems."""
        return tuple(gate.problem(finding) for finding in lint.errors(self.findings(files)))


@dataclass(frozen=True)
class Served:
    """Who serves the CRI once k0s was replaced and nothing else done, and what tells it."""

    mode: Mode | None
    notes: tuple[str, ...] = ()


def served(request: Request, node: Node[Any], composed: Mode | None) -> Served:
    """Tell who serves a node's CRI as it lies there.

    The operator's word counts, and then how k0s is started, for that is what its next start does,
    whatever the settings want. Where nobody can see that, the last generation tells, and the
    settings; where they do not tell either, that is said.

    Args:
        request: what the operator says.
        node: how k0s is started, and what was applied last.
        composed: what its settings come to now; ``None`` where they cannot be composed.
    """
    mode: Mode | None = composed or node.mode
    if request.mode or request.cri_socket:
        return Served(composed or ("remote" if node.other_cri else node.mode))
    service = k0s_unit.find(node)
    if service is not None and service.runs_a_kubelet:
        return _by_service(service, node, mode)
    applied = owned(node.paths).cri
    if applied.socket and mode != "standalone":
        return Served("remote", (f"the last generation was made for the CRI on {applied.socket}",))
    unknown = mode == "managed" and applied.mode is None
    return Served(mode, (NOT_TOLD,) if unknown else ())


def _by_service(service: Service, node: Node[Any], mode: Mode | None) -> Served:
    by, path = service.path or "the k0s that runs", service.cri(node.paths)
    if path != node.paths.socket:
        return Served("remote", (f"{by} starts k0s with the CRI on unix://{path}",))
    if mode != "remote":
        return Served(mode)
    return Served("managed", (f"{by} starts k0s with its own containerd, whatever is set",))


NOT_TOLD = (
    "nothing here tells how k0s is started, so it was judged with its own containerd; where another"
    " CRI serves the node, say it: --mode remote --cri-socket"
)


def unreadable(paths: Paths, folder: str = "") -> tuple[Problem, ...]:
    """Return what this user may not read, so that nobody can say what would become of the node.

    Args:
        paths: the node's.
        folder: a folder of drop-ins that stands for the node.
    """
    names = (folder,) if folder else (paths.settings, paths.main_file, paths.dropins, paths.state)
    on_disk = Paths() if folder else paths
    return tuple(
        Problem(
            f"could not be judged: {exc.strerror}",
            place=path,
            remedy="Run it as root.",
        )
        for name in names
        for path, exc in _refused(on_disk, name)
    )


def _refused(paths: Paths, path: str) -> Iterator[tuple[str, PermissionError]]:
    on_disk = paths.on_disk(path)
    try:
        mode = os.stat(on_disk).st_mode
        inside = os.listdir(on_disk) if stat.S_ISDIR(mode) else []
        if stat.S_ISREG(mode):
            with regular.opened(on_disk):
                return
    except PermissionError as exc:
        yield path, exc
        return
    except OSError:
        return  # it is not there, or is refused elsewhere
    for name in sorted(inside):
        if path != paths.state and name.endswith(".toml"):
            yield from _refused(paths, posixpath.join(path, name))
