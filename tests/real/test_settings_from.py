"""Settings that come with a change go with it, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.real.conftest import LAB, RealNode
from tests.real.test_up import proof_of

pytestmark = pytest.mark.real

SPECIAL = '\n[node.handlers.special]\nbinary = "{}/var/special"\n'
GOOD = f'#!/bin/sh\nexec {LAB}/bin/runc "$@"\n'
BROKEN = "#!/bin/sh\necho 'special: not on this kernel' >&2\nexit 1\n"
ENDLESS = f'#!/bin/sh\ncase "$*" in *create*) touch "$0.called"; sleep 60 ;; esac\n{GOOD[10:]}'


def put_special(node: RealNode, text: str) -> None:
    program = node.folder / "var/special"
    program.write_text(text)
    program.chmod(0o755)


def coming(node: RealNode) -> str:
    """Write settings with one more handler to a file beside, and return its path."""
    path = node.folder / "coming.toml"
    path.write_text(node.settings.read_text() + SPECIAL.format(node.folder))
    return str(path)


def composed(node: RealNode) -> str:
    return (node.dropins / "k0sruntime-node.toml").read_text()


def test_settings_stay_as_they_were_where_the_change_does_not_hold(node_2: RealNode) -> None:
    node_2.ok("up")
    before, files = node_2.settings.read_text(), composed(node_2)
    new = coming(node_2)

    put_special(node_2, BROKEN)
    assert node_2.run("up", "--settings-from", new).returncode == 6
    assert (node_2.settings.read_text(), composed(node_2)) == (before, files)

    put_special(node_2, ENDLESS)
    process = subprocess.Popen(
        node_2.command("up", "--settings-from", new),
        env=node_2.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    called, deadline = node_2.folder / "var/special.called", time.monotonic() + 30
    while not called.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert called.exists(), "the proof of the new handler has not begun"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    assert node_2.settings.read_text() == before
    assert "special" in composed(node_2), "it was killed when the files were there"

    put_special(node_2, GOOD)
    node_2.ok("up")
    assert (node_2.settings.read_text(), composed(node_2)) == (before, files)
    assert sorted(path.name for path in node_2.settings.parent.iterdir()) == ["config.toml"]


def test_a_roll_back_takes_the_settings_along(node_2: RealNode) -> None:
    node_2.ok("up")
    before = node_2.settings.read_text()
    put_special(node_2, GOOD)
    new = coming(node_2)
    done = node_2.ok("up", "--settings-from", new)
    assert (done["generation"], done["before"]) == (2, 1)
    assert proof_of(done, "special") == "pass"
    assert node_2.settings.read_text().endswith(SPECIAL.format(node_2.folder))
    back = node_2.ok("rollback")
    assert (back["generation"], back["before"]) == (1, 2)
    assert node_2.settings.read_text() == before
    assert node_2.ok("plan")["pending"] is False, "the next up stays there"
