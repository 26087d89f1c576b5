"""What an operator meets at 3 a.m.: the way back, and a supervisor that makes nothing worse."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime.cri import CRI
from tests.real.conftest import CONTAINERDS, LAB, RealNode, processes
from tests.real.test_supervisor import (
    PASSES_LINT_AND_KILLS,
    QUICK,
    containerd_pid,
    kill_containerd,
    proved,
    supervisor,
    until,
)
from tests.real.test_up import write_provider

pytestmark = pytest.mark.real

BROKEN = '\n[node.handlers.broken]\nbinary = "/bin/false"\n'
MORE = f'\n[node.handlers.more]\nbinary = "{LAB}/bin/runc"\n'
NONSENSE = "\n[node.handlers.more]\nno_such_key = 1\n"
VENDOR = {
    "2.1": 'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.vend]\n'
    'runtime_type = "io.containerd.runc.v2"\n',
    "1.7": 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.vend]\n'
    'runtime_type = "io.containerd.runc.v2"\n',
}


def supervised(node: RealNode) -> RealNode:
    node.supervised = True
    node.write_settings(node.settings.read_text() + QUICK)
    return node


@pytest.fixture
def quick(node: RealNode) -> RealNode:
    """A node under each containerd, supervised with short waits."""
    return supervised(node)


@pytest.fixture
def quick_2(node_2: RealNode) -> RealNode:
    """The same under one, for what is the same to both: the supervisor's own doing."""
    return supervised(node_2)


def line_of(node: RealNode) -> str:
    return next(line for line, path in CONTAINERDS.items() if path == node.containerd)


def pids_within(node: RealNode, seconds: float) -> set[int]:
    deadline, seen = time.monotonic() + seconds, set()
    while time.monotonic() < deadline:
        seen.add(containerd_pid(node))
        time.sleep(0.02)
    return seen - {0}


def handlers(node: RealNode) -> set[str]:
    """Return the names under which a sandbox really runs."""
    found = set()
    with CRI(str(node.socket)) as cri:
        for name in ("runc", "crun", "more", "vend"):
            try:
                cri.prove_sandbox(name)
            except Exception:  # noqa: BLE001 - it is not there
                continue
            found.add(name)
    return found


def test_an_up_that_fails_is_not_tried_again_by_the_supervisor(quick_2: RealNode) -> None:
    quick_2.ok("up")
    quick_2.write_settings(quick_2.settings.read_text() + BROKEN)
    assert quick_2.run("up").returncode == 6
    assert len(pids_within(quick_2, 3)) == 1
    assert quick_2.run("verify").returncode != 3


def test_a_drop_in_that_kills_containerd_is_tried_once(quick: RealNode) -> None:
    first = quick.ok("up")["running"]["pid"]
    text = PASSES_LINT_AND_KILLS.replace(
        "version = 3", f"version = {3 if line_of(quick) == '2.1' else 2}"
    )
    (quick.dropins / "vendor.toml").write_text(text)
    until((quick.folder / "run/k0sruntime/held.json").exists, quick)
    seen = pids_within(quick, 3)
    assert len(seen) == 1
    assert first not in seen
    assert {"runc", "crun"} <= handlers(quick)
    second = kill_containerd(quick)
    assert pids_within(quick, 2) == {second}, "started from what was proved"


def test_a_rollback_on_request_stays_whatever_the_supervisor_sees(quick_2: RealNode) -> None:
    quick_2.ok("up")
    quick_2.write_settings(quick_2.settings.read_text() + MORE)
    done = quick_2.ok("up")
    assert "more" in handlers(quick_2)
    assert quick_2.ok("rollback")["supervisor"] == done["supervisor"] != 0, "it is still there"
    pid = containerd_pid(quick_2)
    assert pids_within(quick_2, 3) == {pid}
    assert "more" not in handlers(quick_2)


def test_a_rollback_keeps_what_other_hands_have_laid_there_since(quick: RealNode) -> None:
    quick.ok("up")
    settings = quick.settings.read_text()
    quick.write_settings(settings + MORE)
    pid = quick.ok("up")["running"]["pid"]
    quick.supervised = False
    (quick.dropins / "vendor.toml").write_text(VENDOR[line_of(quick)])
    # A sandbox that starts while containerd is stopped would leave its shim behind.
    until(lambda: containerd_pid(quick) not in (0, pid) and proved(quick), quick)
    assert "vend" in handlers(quick)
    document = quick.ok("rollback", "1")
    assert {p["verdict"] for p in document["proofs"]} == {"pass"}
    assert handlers(quick) == {"runc", "crun", "vend"}
    kill_containerd(quick)
    assert handlers(quick) == {"runc", "crun", "vend"}


def test_a_rollback_needs_no_sound_settings(node: RealNode) -> None:
    node.ok("up")
    node.write_settings(node.settings.read_text() + MORE)
    node.ok("up")
    node.write_settings(node.settings.read_text() + NONSENSE.replace("more", "less"))
    assert node.run("up").returncode == 3
    node.ok("rollback")
    assert "more" not in handlers(node)


def test_a_rollback_that_the_node_could_not_live_with_changes_nothing(node_2: RealNode) -> None:
    node_2.ok("up")
    node_2.write_settings(node_2.settings.read_text() + MORE)
    pid = node_2.ok("up")["running"]["pid"]
    (node_2.dropins / "vendor.toml").write_text(
        'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd]\n'
        'default_runtime_name = "nope"\n'
    )
    files = node_2.files()
    done = node_2.run("rollback")
    assert done.returncode == 3
    assert "'nope' is not defined" in done.stderr
    assert node_2.files() == files
    assert containerd_pid(node_2) == pid


UPGRADED = """
from k0sruntime import RuntimeHandler

def contribute_dropin(node):
    yield RuntimeHandler(name="acme", options={{"BinaryName": {program!r}}})
"""


def test_a_provider_that_was_upgraded_stays_upgraded(quick_2: RealNode, tmp_path: Path) -> None:
    quick_2.python_path = [tmp_path]
    write_provider(tmp_path, UPGRADED.format(program=str(LAB / "bin/runc")))
    quick_2.ok("up")
    write_provider(tmp_path, UPGRADED.format(program=str(LAB / "bin/crun")))
    document = quick_2.ok("up")
    pid = document["running"]["pid"]
    dropin = quick_2.dropins / "k0sruntime-acme.toml"
    assert f"{LAB}/bin/crun" in dropin.read_text()
    assert pids_within(quick_2, 2) == {pid}
    (quick_2.dropins / "vendor.toml").write_text(VENDOR[line_of(quick_2)])
    until(lambda: containerd_pid(quick_2) not in (0, pid) and proved(quick_2), quick_2)
    assert f"{LAB}/bin/crun" in dropin.read_text()


def test_containerd_is_started_again_as_it_was_asked_for(quick_2: RealNode) -> None:
    hidden = quick_2.folder / "var/elsewhere/containerd"
    hidden.parent.mkdir(parents=True)
    for name in ("containerd", "ctr", "containerd-shim-runc-v2"):
        shutil.copy(quick_2.containerd.with_name(name), hidden.with_name(name))
    quick_2.ok("up", f"--containerd={hidden}")
    pid = kill_containerd(quick_2)
    assert Path(os.readlink(f"/proc/{pid}/exe")) == hidden


def test_a_relative_settings_file_is_the_same_one_for_the_supervisor(quick_2: RealNode) -> None:
    relative = os.path.relpath(quick_2.settings, Path(__file__).parent.parent.parent)
    pid = quick_2.ok("up", f"--settings={relative}")["running"]["pid"]
    (quick_2.dropins / "vendor.toml").write_text(VENDOR[line_of(quick_2)])
    until(lambda: containerd_pid(quick_2) not in (0, pid) and proved(quick_2), quick_2)
    assert not (quick_2.folder / "run/k0sruntime/held.json").exists()


def test_settings_that_are_being_edited_wait_for_the_next_up(quick_2: RealNode) -> None:
    pid = quick_2.ok("up")["running"]["pid"]
    quick_2.write_settings(quick_2.settings.read_text() + NONSENSE)
    (quick_2.dropins / "vendor.toml").write_text(VENDOR[line_of(quick_2)])
    until(lambda: containerd_pid(quick_2) not in (0, pid) and proved(quick_2), quick_2)
    assert handlers(quick_2) == {"runc", "crun", "vend"}


def test_what_cannot_be_started_is_refused_before_anything_is_written(quick_2: RealNode) -> None:
    """No journal runs here."""
    pid = quick_2.ok("up")["running"]["pid"]
    settings = quick_2.settings.read_text().replace("[node]\n", '[node]\nlog = "journal"\n', 1)
    quick_2.write_settings(settings + MORE)
    files = quick_2.files()
    done = quick_2.run("up")
    assert done.returncode == 3
    assert "the journal cannot be reached" in done.stderr
    assert quick_2.files() == files
    assert containerd_pid(quick_2) == pid
    assert supervisor(quick_2)["alive"]


def test_the_way_back_runs_the_containerd_that_ran_before(node: RealNode) -> None:
    """The new one answers every question, and ends when it is started."""
    node.ok("up")
    other = node.folder / "var/containerd"
    other.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f'  *version* | *dump*) exec {node.containerd} "$@" ;;\n'
        "  *) echo 'containerd: I will not' >&2; exit 1 ;;\nesac\n"
    )
    other.chmod(0o755)
    done = node.run("up", f"--containerd={other}")
    assert done.returncode == 6, done.stderr
    assert "I will not" in done.stderr
    assert "generation 1 is back and proved" in done.stderr
    exe = os.readlink(f"/proc/{containerd_pid(node)}/exe")
    assert Path(exe) == node.containerd.resolve()


def test_after_a_reboot_with_bad_settings_the_last_good_configuration_runs(
    quick: RealNode,
) -> None:
    """``/run`` is empty then, and with it the merged CRI file of containerd 1.7."""
    quick.supervised = False
    pid = quick.ok("up")["running"]["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not [p for p in processes(quick.folder) if "--address" in p], quick)
    shutil.rmtree(quick.folder / "run")
    quick.write_settings(quick.settings.read_text() + NONSENSE)
    with quick.foreground():
        until(lambda: containerd_pid(quick) and proved(quick), quick)
        assert handlers(quick) == {"runc", "crun"}
        assert quick.run("verify").returncode == 8


def test_a_containerd_without_its_socket_is_bounced(node_2: RealNode) -> None:
    first = node_2.ok("up")["running"]["pid"]
    node_2.socket.unlink()
    assert "nobody serves its socket" in node_2.ok("plan")["bounce"]["reason"]
    document = node_2.ok("up")
    assert document["ran"] == "bounced"
    assert document["running"]["pid"] != first
    assert handlers(node_2) == {"runc", "crun"}


def test_an_up_that_fails_starts_what_was_proved_though_it_had_died(node: RealNode) -> None:
    first = node.ok("up")["running"]["pid"]
    os.kill(first, signal.SIGKILL)
    node.write_settings(node.settings.read_text() + BROKEN)
    assert node.run("up").returncode == 6
    assert handlers(node) == {"runc", "crun"}


def wait_until_heard(process: subprocess.Popen[bytes]) -> None:
    """Wait until Python takes SIGINT down (proc(5), SigCgt): before, a busy machine starts it yet."""
    for _ in range(1000):
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught >> (signal.SIGINT - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("it never listened")


@pytest.mark.parametrize("delay", [0.3, 0.45, 0.6, 0.8, 1.0])
def test_ctrl_c_at_any_moment_leaves_a_containerd(node_2: RealNode, delay: float) -> None:
    node_2.ok("up")
    node_2.write_settings(node_2.settings.read_text() + MORE)
    process = subprocess.Popen(
        node_2.command("up"),
        env=node_2.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until_heard(process)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (0, 130)
    assert {"runc", "crun"} <= handlers(node_2)
    assert node_2.ok("up")["running"]


def test_ctrl_c_in_the_midst_of_a_roll_back_is_obeyed_when_the_old_state_is_back(
    node_2: RealNode,
) -> None:
    node_2.ok("up")
    node_2.write_settings(node_2.settings.read_text() + BROKEN)
    command, environment = node_2.command("up"), node_2.environment()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "going back to generation" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert node_2.ok("status")["running"]
    assert handlers(node_2) == {"runc", "crun"}


@pytest.fixture
def locked_etc(node_2: RealNode) -> Iterator[RealNode]:
    """A node whose ``/etc`` is a file system of its own, which may be made read-only."""
    etc = node_2.folder / "etc"
    settings = node_2.settings.read_text()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "etc", etc], check=True)
    node_2.write_settings(settings)
    yield node_2
    subprocess.run(["mount", "-o", "remount,rw", etc], check=True)
    node_2.run("down", "--pods", "--force")
    subprocess.run(["umount", "-l", etc], check=True)


def test_down_that_cannot_remove_its_files_stops_nothing(locked_etc: RealNode) -> None:
    locked_etc.supervised = True
    pid = locked_etc.ok("up")["running"]["pid"]
    subprocess.run(["mount", "-o", "remount,ro", locked_etc.folder / "etc"], check=True)
    done = locked_etc.run("down")
    assert done.returncode == 3
    assert "Read-only file system; nothing was changed" in done.stderr
    assert containerd_pid(locked_etc) == pid
    assert supervisor(locked_etc)["alive"]


def test_what_may_hold_credentials_is_for_root_alone(node_2: RealNode) -> None:
    node_2.ok("up")
    secret = [
        node_2.folder / "run/k0sruntime/containerd.json",
        *(node_2.folder / "var/lib/k0sruntime/objects").iterdir(),  # the settings are one of them
        node_2.folder / "var/lib/k0sruntime/last-good.json",
    ]
    if line_of(node_2) == "1.7":
        secret.append(node_2.folder / "run/k0s/containerd-cri.toml")
    assert {path.name: path.stat().st_mode & 0o077 for path in secret} == dict.fromkeys(
        [path.name for path in secret], 0
    )
    node_2.ok("down")
    assert not (node_2.folder / "run/k0sruntime/last-good").exists()


def test_rollback_in_an_image_starts_nothing(tmp_path: Path) -> None:
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    base = '[node]\nmode = "standalone"\nk0s = "1.36"\n'
    program = tmp_path / "usr/bin/containerd"
    program.parent.mkdir(parents=True)
    shutil.copy(CONTAINERDS["2.1"], program)
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    node = RealNode(tmp_path, program)

    def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        words = [
            part for part in node.command(command, *arguments, "--json") if part != "--sandbox"
        ]
        words[words.index(str(tmp_path))] = f"--root={tmp_path}"
        return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    settings.write_text(base)
    assert run("up").returncode == 0, run("up").stderr
    settings.write_text(base + "[node.handlers.more]\n")
    assert run("up").returncode == 0
    done = run("rollback", "1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["running"] is None
    dropin = tmp_path / "etc/k0s/containerd.d/k0sruntime-node.toml"
    assert "more" not in dropin.read_text()
    assert not processes(tmp_path)


@pytest.fixture
def small_run(node_2: RealNode) -> Iterator[RealNode]:
    """A node whose ``/run`` is a small file system of its own."""
    run = node_2.folder / "run"
    run.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "run", run], check=True)
    yield node_2
    (run / "filler").unlink(missing_ok=True)
    node_2.run("down", "--pods", "--force")
    subprocess.run(["umount", "-l", run], check=True)


def test_a_full_run_is_told_before_containerd_is_stopped(small_run: RealNode) -> None:
    small_run.supervised = True
    pid = small_run.ok("up")["running"]["pid"]
    small_run.write_settings(small_run.settings.read_text() + MORE)
    files = small_run.files()
    with (small_run.folder / "run/filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 1024):
                pass
        except OSError:
            pass
    done = small_run.run("up")
    assert done.returncode == 3, done.stderr
    assert "No space left on device; nothing was changed" in done.stderr
    assert small_run.files() == files
    assert containerd_pid(small_run) == pid
    (small_run.folder / "run/filler").unlink()
    assert small_run.ok("up")["ran"] == "bounced"
