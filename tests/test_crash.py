"""Killed at any step of an apply, the node has the old files or the new ones, and converges.

Every call that changes the disk is a step: the process is ended right before it and, in another
round, right after it. Nothing is simulated but the moment of death.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k0sruntime import apply as apply_
from k0sruntime import staging, transaction
from k0sruntime.compose import Composition, DesiredFile
from k0sruntime.ledger import State
from k0sruntime.observe import observe
from k0sruntime.paths import Paths
from k0sruntime.plan import plan

STEPS = ("open", "link", "replace", "unlink", "mkdir", "chmod", "rmdir", "fsync", "fchmod")
"""The calls through which apply and ledger change the disk."""
DEATH = 77

Files = dict[str, tuple[str, int]]

OLD: Files = {
    "etc/k0s/containerd.toml": ("# k0s_managed=true\nversion = 3\n", 0o644),
    "etc/k0s/containerd.d/k0sruntime-a.toml": ("version = 3\n# old\n", 0o644),
    "etc/k0s/containerd.d/k0sruntime-gone.toml": ("version = 3\n", 0o644),
    "etc/k0s/containerd.d/certs.d/docker.io/hosts.toml": ("# secret\n", 0o600),
    "run/k0s/containerd-cri.toml": ("version = 3\n# old\n", 0o644),
}
NEW: Files = {
    "etc/k0s/containerd.toml": ("# k0s_managed=true\nversion = 3\n# new\n", 0o644),
    "etc/k0s/containerd.d/k0sruntime-a.toml": ("version = 3\n# new\n", 0o644),
    "etc/k0s/containerd.d/k0sruntime-more.toml": ("version = 3\n", 0o644),
    "etc/k0s/containerd.d/certs.d/docker.io/hosts.toml": ("# secret\n", 0o644),
    "etc/k0s/k0sruntime/a/a.toml": ("[a]\n", 0o644),
    "run/k0s/containerd-cri.toml": ("version = 3\n# new\n", 0o644),
}
SCENARIOS: dict[str, tuple[Files, Files]] = {
    "a fresh node": ({}, OLD),
    "an upgrade": (OLD, NEW),
    "a removal": (OLD, {}),
}


def converge(folder: Path, files: Files) -> None:
    """Do what the next command does: undo what is unfinished, plan, apply."""
    paths = Paths.in_sandbox(str(folder))
    transaction.undo(paths)
    desired = tuple(
        DesiredFile(f"{folder}/{name}", content.encode(), "a", mode)
        for name, (content, mode) in files.items()
    )
    ledger = State(paths).ledger()
    composition = Composition("standalone", 3, "native", desired)
    apply_.apply(plan(composition, observe(composition, paths, ledger)), paths, ledger)


def undo(paths: Paths) -> None:
    """Undo what is unfinished, and nothing more."""
    transaction.undo(paths)


def tree(folder: Path) -> Files:
    """Return what lies in the node's folders; our own state and leftovers of staging count not."""
    found = {}
    for base in ("etc", "run/k0s"):
        for path in sorted((folder / base).rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_file() and staging.STAGING not in name:
                found[name] = (path.read_text(), path.stat().st_mode & 0o7777)
    return found


def dies_at(step: int, *, before: bool, action: Callable[[], None]) -> bool:
    """Run ``action`` in a child that dies at its n-th change of the disk; tell whether it did."""
    child = os.fork()
    if child == 0:
        interpose(step, before=before)
        try:
            action()
        except BaseException:  # noqa: BLE001 - told by the status
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, DEATH), f"step {step}: the child failed by itself"
    return code == DEATH


def interpose(step: int, *, before: bool) -> None:
    """Count every call that changes the disk, and die at the n-th."""
    left = step

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object, **options: object) -> object:
            nonlocal left
            changes = call is not real_open or bool(int(arguments[1]) & os.O_WRONLY)  # type: ignore[call-overload]
            left -= changes
            if changes and left == 0 and before:
                os._exit(DEATH)
            try:
                return call(*arguments, **options)
            finally:
                if changes and left == 0:
                    os._exit(DEATH)

        return wrapper

    real_open = os.open
    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def deaths(folder: Path, old: Files, new: Files, *, before: bool) -> Iterator[tuple[int, Path]]:
    """Yield a node for every step at which its apply was ended."""
    step = 0
    while True:
        step += 1
        node = folder / f"{step}"
        node.mkdir()
        if old:
            converge(node, old)
        if not dies_at(step, before=before, action=lambda node=node: converge(node, new)):
            return
        yield step, node


@pytest.mark.parametrize("before", [True, False], ids=["before the step", "after the step"])
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_the_tree_is_old_or_new_and_the_next_command_converges(
    tmp_path: Path, scenario: str, before: bool
) -> None:
    old, new = SCENARIOS[scenario]
    steps = 0
    for step, node in deaths(tmp_path, old, new, before=before):
        steps = step
        paths = Paths.in_sandbox(str(node))
        assert set(tree(node).items()) <= set(old.items()) | set(new.items()), "no half a file"
        transaction.undo(paths)
        assert tree(node) in (old, new), f"step {step}"
        converge(node, new)
        assert tree(node) == new, f"step {step}"
        assert not list(node.rglob(staging.STAGING)), f"step {step} left its staging folder"
        assert not State(paths).ledger().files.keys() ^ {f"{node}/{name}" for name in new}
    assert steps >= 30, f"only {steps} steps"
    sys.stderr.write(f"{scenario}: {steps} steps\n")


def test_dying_while_undoing_is_undone_as_well(tmp_path: Path) -> None:
    """The way back is killed at each of its own steps, too."""
    number = 0
    for _, node in deaths(tmp_path, OLD, NEW, before=False):
        if not transaction.unfinished(Paths.in_sandbox(str(node))):
            continue
        number += 1
        if number % 5:
            continue
        step = 0
        while True:
            step += 1
            paths = Paths.in_sandbox(str(node))
            if not dies_at(step, before=False, action=lambda paths=paths: undo(paths)):
                break
        assert tree(node) in (OLD, NEW)
        converge(node, NEW)
        assert tree(node) == NEW
    assert number
