"""Settings that come with a change go with it, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.real.conftest import LAB, ROOT, RealNode
from tests.real.test_pods_live_on import HANDLER
from tests.real.test_supervisor import QUICK, containerd_pid, proved, until
from tests.real.test_up import proof_of
from tests.test_crash import DEATH

pytestmark = pytest.mark.real

SPECIAL = '\n[node.handlers.special]\nbinary = "{}/var/special"\n'
GOOD = f'#!/bin/sh\nexec {LAB}/bin/runc "$@"\n'
BROKEN = "#!/bin/sh\necho 'special: not on this kernel' >&2\nexit 1\n"
ENDLESS = f'#!/bin/sh\ncase "$*" in *create*) touch "$0.called"; sleep 60 ;; esac\n{GOOD[10:]}'


DIES = """import os, sys
from k0sruntime import {module}
{module}.{function} = lambda *_: os._exit({death})
from k0sruntime.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


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


def dies_at(node: RealNode, place: str, *arguments: str) -> None:
    """Run a command that dies where a function of ours would be called."""
    module, function = place.split(".")
    program = DIES.format(module=module, function=function, death=DEATH)
    words = node.command(*arguments)
    done = subprocess.run(
        [sys.executable, "-c", program, *words[words.index("k0sruntime") + 1 :]],
        env=node.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == DEATH, done.stderr


@pytest.mark.parametrize("brought", [True, False], ids=["brought", "by hand"])
@pytest.mark.parametrize("place", ["last_good.release", "request_record.save"])
def test_after_a_proof_the_supervisor_composes_of_nothing_older(
    node_2: RealNode, place: str, brought: bool
) -> None:
    """The command dies when its change is proved; then another hand changes the folder."""
    node_2.supervised = True
    node_2.write_settings(node_2.settings.read_text() + QUICK)
    node_2.ok("up")
    put_special(node_2, GOOD)
    new = coming(node_2)
    if place == "last_good.release" and brought:
        place = "settings_file.put"  # the file itself is the last step but one
    if not brought:
        os.replace(new, node_2.settings)
    dies_at(node_2, place, "up", *(["--settings-from", new] if brought else []))
    pid = containerd_pid(node_2)
    vendor = HANDLER.format(name="vendor") + 'runtime_type = "io.containerd.runc.v2"\n'
    (node_2.dropins / "vendor.toml").write_text(vendor)
    until(lambda: containerd_pid(node_2) not in (0, pid) and proved(node_2), node_2)
    assert "special" in composed(node_2)
    assert "special" in node_2.settings.read_text()
    done = node_2.ok("up")
    assert (done["ran"], proof_of(done, "special")) == ("adopted", "pass")


@pytest.fixture
def lockable(node_2: RealNode) -> Iterator[RealNode]:
    """A node whose settings folder is a mount of its own, which may be made read-only."""
    folder = node_2.settings.parent
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    yield node_2
    node_2.run("down", "--pods", "--force")
    subprocess.run(["umount", "-l", folder], check=True)


def test_settings_that_cannot_be_written_stop_no_command_and_no_boot(lockable: RealNode) -> None:
    """The folder becomes read-only while the new handler is proved."""
    node, folder = lockable, lockable.settings.parent
    node.ok("up")
    before, files = node.settings.read_text(), composed(node)
    lock = f"mount -o remount,ro,bind {folder}"
    put_special(node, f'#!/bin/sh\ncase "$*" in *create*) {lock} ;; esac\n{GOOD[10:]}')
    new = coming(node)
    done = node.ok("up", "--settings-from", new)
    assert (done["applied"], done["generation"], done["ran"]) == (True, 2, "bounced")
    assert [note for note in done["notes"] if "could not be written (Read-only file" in note]
    assert node.settings.read_text() == before

    again = node.run("up", "--settings-from", new)
    assert again.returncode == 3, "nothing is done, and nothing can be"
    assert "Read-only file system; nothing was changed" in again.stderr

    os.kill(pid := containerd_pid(node), signal.SIGKILL)
    with node.foreground():  # what the machine does when it starts
        until(lambda: containerd_pid(node) not in (0, pid) and proved(node), node)
        assert "special" in composed(node)
    assert "the next command tries again" in (node.folder / "run/story").read_text()

    assert node.ok("rollback", "1")["generation"] == 1
    assert composed(node) == files
    assert node.ok("rollback", "2")["generation"] == 2
    node.ok("down")
    subprocess.run(["mount", "-o", "remount,rw,bind", folder], check=True)
    put_special(node, GOOD)
    assert proof_of(node.ok("up"), "special") == "pass"
    assert node.settings.read_text().endswith(SPECIAL.format(node.folder))
    assert [path.name for path in folder.iterdir()] == ["config.toml"]
