"""Killed at any step of an apply, the node has files that containerd loads, and the next up works.

The pipeline is the real one, with the node's own containerd as its check. The process is ended
right after each of its changes of the disk; see ``tests/test_crash.py`` for how.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from k0sruntime import pipeline, transaction
from k0sruntime.cli.story import Silent
from k0sruntime.paths import Paths
from k0sruntime.stages import Request
from tests.real.conftest import CONTAINERDS, LAB, RealNode, processes
from tests.test_crash import dies_at, tree

pytestmark = pytest.mark.real

OLD = '[node]\npause_image = "k0sruntime.local/probe:1"\n[node.handlers.crun]\n'
NEW = OLD + f'binary = "{LAB}/bin/crun"\n[node.handlers.more]\nbinary = "{LAB}/bin/runc"\n'
EVERY = 12
"""After so many steps, containerd is really started by the next ``up`` and proved."""
STRIDE = {"2.1": 1, "1.7": 3}
"""Every step is died at once; the older line, of which the same must come, sees a part of them."""


def request(node: RealNode) -> Request:
    return Request(
        Paths.in_sandbox(str(node.folder)),
        without=frozenset(node.without),
        containerd=str(node.containerd),
        start=False,
    )


def up(node: RealNode) -> Callable[[], object]:
    return lambda: pipeline.up(request(node), Silent())


def down(node: RealNode) -> Callable[[], object]:
    return lambda: pipeline.down(request(node), Silent(), pods=False, purge=False)


def loads(node: RealNode) -> None:
    """See containerd itself read what lies there."""
    main = node.folder / "etc/k0s/containerd.toml"
    if not main.exists():
        return
    done = subprocess.run(
        [node.containerd, f"--config={main}", "config", "dump"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def files(node: RealNode) -> dict[str, tuple[str, int]]:
    found = tree(node.folder)
    return {name: state for name, state in found.items() if "config.toml" not in name}


@pytest.mark.parametrize("line", list(CONTAINERDS))
@pytest.mark.parametrize("scenario", ["a fresh node", "an upgrade", "a removal"])
def test_containerd_loads_what_is_left_and_the_next_up_converges(
    folder: Path, tmp_path: Path, scenario: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = RealNode(folder, CONTAINERDS[line])
    monkeypatch.setenv("PATH", node.environment()["PATH"])
    node.write_settings(OLD)
    node.put_image()
    if scenario != "a fresh node":
        up(node)()
    before = files(node)
    node.write_settings(NEW if scenario == "an upgrade" else OLD)
    action, following = (down, down) if scenario == "a removal" else (up, up)
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept, symlinks=True)
    action(node)()
    after = files(node)
    loads(node)
    steps, stride = 0, STRIDE[line]
    while True:
        shutil.rmtree(folder)
        shutil.copytree(kept, folder, symlinks=True)
        if not dies_at(steps + stride, before=False, action=action(node)):
            break
        steps += stride
        assert set(files(node).items()) <= set(before.items()) | set(after.items()), "half a file"
        transaction.undo(Paths.in_sandbox(str(folder)))
        assert files(node) in (before, after), f"step {steps}"
        if files(node) != after:
            loads(node)
        following(node)()
        assert files(node) == after, f"step {steps}"
        if steps % EVERY == 0:
            _really_up_and_down(node)
    assert steps >= 30, f"only {steps} steps"
    sys.stderr.write(f"{scenario}, containerd {line}: {steps} steps\n")
    assert not processes(folder)


def _really_up_and_down(node: RealNode) -> None:
    document = node.ok("up")
    assert {proof["verdict"] for proof in document["proofs"]} == {"pass"}
    assert node.ok("down", "--pods")["ran"] == "stopped"
    assert os.path.exists(node.settings)
