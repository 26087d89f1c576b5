"""The supervisor: containerd is started again, and a bad drop-in costs a message, never a node."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k0sruntime.cri import CRI
from k0sruntime.lock import holder_of
from k0sruntime.paths import Paths
from tests.real.conftest import RealNode, processes
from tests.real.test_pods_live_on import HANDLER, alive, pid_now, run_pod

pytestmark = pytest.mark.real

NO_SUCH_DEFAULT = """version = 3
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "nope"
"""
PASSES_LINT_AND_KILLS = """version = 3
[metrics]
address = "192.0.2.1:1338"
"""
QUICK = "\n[node.supervisor]\ndebounce = 0.5\nbackoff = 0.1\nlongest_backoff = 0.2\nrestarts = 3\n"


@pytest.fixture
def quick(node_2: RealNode) -> RealNode:
    """A node that is supervised with short waits."""
    node_2.supervised = True
    node_2.write_settings(node_2.settings.read_text() + QUICK)
    return node_2


def containerd_pid(node: RealNode) -> int:
    record = node.folder / "run/k0sruntime/containerd.json"
    try:
        return int(json.loads(record.read_text())["pid"])
    except (OSError, ValueError):
        return 0


def supervisor(node: RealNode) -> dict[str, Any]:
    found = node.run("status", "--json")
    return json.loads(found.stdout)["supervisor"]


def until(what: Callable[[], Any], node: RealNode, seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never came:\n{story(node)}\n{node.log()}")


def story(node: RealNode) -> str:
    path = node.folder / "run/k0sruntime/supervisor.log"
    return path.read_text() if path.exists() else ""


def proved(node: RealNode) -> bool:
    record = node.folder / "run/k0sruntime/containerd.json"
    try:
        return bool(json.loads(record.read_text())["proofs"])
    except (OSError, ValueError):
        return False


def kill_containerd(node: RealNode) -> int:
    """Kill containerd, and return the PID of the one that the supervisor starts instead."""
    first = containerd_pid(node)
    os.kill(first, signal.SIGKILL)
    return until(
        lambda: containerd_pid(node) not in (0, first) and proved(node) and containerd_pid(node),
        node,
    )


def test_up_leaves_a_supervisor_behind_and_down_takes_it_along(quick: RealNode) -> None:
    document = quick.ok("up")
    found = supervisor(quick)
    assert found["alive"]
    assert found["detached"]
    assert document["supervisor"] == found["pid"]
    assert quick.ok("up")["supervisor"] == found["pid"], "one a node"
    second = kill_containerd(quick)
    assert quick.ok("up")["running"]["pid"] == second, "the next up adopts it"
    quick.ok("down")
    assert not processes(quick.folder)


def test_down_right_after_up_leaves_nothing_behind(quick: RealNode) -> None:
    quick.ok("up")
    quick.ok("down")
    time.sleep(1.5)
    assert not processes(quick.folder)
    assert not quick.socket.exists()


def test_without_a_supervisor_it_is_said(node_2: RealNode) -> None:
    done = node_2.run("up", "--no-supervisor")
    assert "containerd is not started again when it ends" in done.stdout
    assert supervisor(node_2) is None


def test_a_bad_drop_in_is_told_everywhere_and_containerd_keeps_what_it_has(
    quick: RealNode,
) -> None:
    first = quick.ok("up")["running"]["pid"]
    bad = quick.dropins / "vendor.toml"
    bad.write_text(NO_SUCH_DEFAULT)
    until((quick.folder / "run/k0sruntime/held.json").exists, quick)
    assert "'nope' is not defined" in story(quick)
    assert containerd_pid(quick) == first
    status = json.loads(quick.run("status", "--json").stdout)
    assert "'nope' is not defined" in status["held"]["problems"][0]["message"]
    assert "held on its last good configuration" in quick.run("status").stdout
    verify = quick.run("verify")
    assert verify.returncode == 8
    assert "held back on its last good configuration, which passes its proof" in verify.stderr
    assert "'nope' is not defined" in verify.stderr

    second = kill_containerd(quick)
    assert containerd_pid(quick) == second, "started again, the bad drop-in notwithstanding"
    assert "starting from the kept copy" in story(quick)
    with CRI(str(quick.socket)) as cri:
        cri.prove_sandbox("crun")

    bad.unlink()
    until(lambda: not (quick.folder / "run/k0sruntime/held.json").exists(), quick)
    assert containerd_pid(quick) == second, "what runs is what the files say again: no bounce"
    assert quick.run("verify").returncode == 0


def test_a_drop_in_that_only_containerd_refuses_is_left_out_after_one_try(
    quick: RealNode,
) -> None:
    """It passes every check, and containerd does not come up with it."""
    first = quick.ok("up")["running"]["pid"]
    bad = quick.dropins / "vendor.toml"
    bad.write_text(PASSES_LINT_AND_KILLS)
    until((quick.folder / "run/k0sruntime/held.json").exists, quick)
    now = containerd_pid(quick)
    assert now not in (0, first)
    assert "containerd runs on its last good configuration" in story(quick)
    with CRI(str(quick.socket)) as cri:
        cri.prove_sandbox("crun")
    time.sleep(1.5)
    assert containerd_pid(quick) == now, "it is not tried again and again"
    assert quick.run("verify").returncode == 8
    bad.unlink()
    until(lambda: not (quick.folder / "run/k0sruntime/held.json").exists(), quick)
    assert quick.run("verify").returncode == 0


def test_a_containerd_that_will_not_stay_up_is_given_up_with_a_reason(quick: RealNode) -> None:
    wrapper = quick.folder / "var/containerd"
    wrapper.parent.mkdir(exist_ok=True)
    broken = quick.folder / "var/broken"
    wrapper.write_text(f'#!/bin/sh\n[ -e {broken} ] && exit 3\nexec {quick.containerd} "$@"\n')
    wrapper.chmod(0o755)
    settings = quick.settings.read_text()
    quick.write_settings(settings.replace("[node]\n", f'[node]\ncontainerd = "{wrapper}"\n', 1))
    first = quick.ok("up")["running"]["pid"]
    broken.touch()
    os.kill(first, signal.SIGKILL)
    found = until(lambda: supervisor(quick)["gave_up"] and supervisor(quick), quick)
    assert not found["alive"]
    assert "containerd ended 4 times in a row" in found["gave_up"]
    assert "gave up: containerd ended 4 times" in quick.run("status").stdout
    broken.unlink()
    document = quick.ok("up")
    assert document["ran"] == "started"
    assert supervisor(quick)["alive"]


def test_the_supervisors_death_leaves_containerd_and_pods_alone(quick: RealNode) -> None:
    first = quick.ok("up")
    with CRI(str(quick.socket)) as cri:
        pod = run_pod(cri)
    os.kill(first["supervisor"], signal.SIGKILL)
    until(lambda: not supervisor(quick)["alive"], quick)
    assert "is gone; k0sruntime up leaves a new one behind" in quick.run("status").stdout
    second = quick.ok("up")
    assert second["ran"] == "adopted"
    assert second["running"]["pid"] == first["running"]["pid"]
    assert second["supervisor"] != first["supervisor"]
    assert pid_now(quick) == pod
    assert alive(pod)


def test_twenty_edits_are_one_bounce_hosts_none_and_a_second_up_none(quick: RealNode) -> None:
    first = quick.ok("up")["running"]["pid"]
    seen = {first}
    hosts = quick.dropins / "certs.d/docker.io"
    hosts.mkdir(parents=True)
    (hosts / "hosts.toml").write_text('server = "https://registry-1.docker.io"\n')
    time.sleep(1.5)
    assert containerd_pid(quick) == first
    for number in range(20):
        name = f"v{number % 4}"
        text = HANDLER.format(name=name) + 'runtime_type = "io.containerd.runc.v2"\n'
        (quick.dropins / f"{name}.toml").write_text(text + f"# {number}\n")
        seen.add(containerd_pid(quick))
        time.sleep(0.03)
    until(lambda: containerd_pid(quick) not in (0, first) and proved(quick), quick)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        seen.add(containerd_pid(quick))
        time.sleep(0.02)
    assert len(seen - {0}) == 2, "one bounce"
    assert quick.ok("up")["running"]["pid"] in seen
    assert len(seen - {0}) == 2


def test_the_service_manager_is_told_when_it_is_ready_and_how_it_is(
    quick: RealNode, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        with quick.foreground(NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            first = manager.recv(4096).decode()
            assert "READY=1" in first.splitlines()
            assert f"STATUS=containerd 2.1.9, PID {containerd_pid(quick)}" in first
            (quick.dropins / "vendor.toml").write_text(NO_SUCH_DEFAULT)
            assert "held on the last good configuration" in manager.recv(4096).decode()
            process.terminate()
            assert manager.recv(4096) == b"STOPPING=1"
            assert process.wait(30) == 0
    assert not processes(quick.folder)


def test_at_boot_a_bad_drop_in_does_not_keep_the_node_down(quick: RealNode, tmp_path: Path) -> None:
    """The machine starts anew, and a vendor has laid a bad drop-in there meanwhile."""
    quick.supervised = False
    first = quick.ok("up")["running"]["pid"]
    (quick.dropins / "vendor.toml").write_text(NO_SUCH_DEFAULT)
    os.kill(first, signal.SIGKILL)
    with quick.foreground():
        pid = until(lambda: containerd_pid(quick) not in (0, first) and proved(quick)
                    and containerd_pid(quick), quick)  # fmt: skip
        assert alive(pid)
        assert quick.run("verify").returncode == 8
        said = (quick.folder / "run/story").read_text()
        assert "'nope' is not defined" in said


def test_a_fresh_node_with_a_bad_drop_in_is_refused_in_the_foreground_too(
    quick: RealNode,
) -> None:
    quick.dropins.mkdir(parents=True)
    (quick.dropins / "vendor.toml").write_text(NO_SUCH_DEFAULT)
    with quick.foreground() as process:
        assert process.wait(30) == 3


def test_one_in_the_foreground_takes_the_place_of_a_detached_one(quick: RealNode) -> None:
    first = quick.ok("up")
    with quick.foreground() as process:
        until(lambda: supervisor(quick)["pid"] == process.pid, quick)
        assert containerd_pid(quick) == first["running"]["pid"]
        second = quick.run("up", "--foreground")
        assert second.returncode == 3
        assert "another supervisor runs on this node" in second.stderr
        assert quick.ok("up")["supervisor"] == process.pid
        document = quick.ok("down")
        assert "stop its service as well" in document["notes"][0]
        assert process.wait(30) == 0
    assert not processes(quick.folder)


def test_the_supervisor_keeps_the_node_at_what_the_last_up_was_asked_for(
    quick: RealNode,
) -> None:
    other = quick.folder / "var/other.toml"
    other.parent.mkdir(exist_ok=True)
    other.write_text(quick.settings.read_text() + "\n[node.handlers.more]\n")
    quick.ok("up")
    document = quick.ok("up", f"--settings={other}")
    assert "more" in {handler["name"] for handler in document["handlers"]}
    pid = document["running"]["pid"]
    (quick.dropins / "empty.toml").write_text("version = 3\n")
    time.sleep(2)
    assert containerd_pid(quick) == pid
    with CRI(str(quick.socket)) as cri:
        assert "more" in cri.handlers()


def test_up_during_a_bounce_waits_and_down_during_up_does_too(quick: RealNode) -> None:
    quick.ok("up")
    (quick.dropins / "vendor.toml").write_text(
        HANDLER.format(name="vendor") + 'runtime_type = "io.containerd.runc.v2"\n'
    )
    bouncing = subprocess.Popen(
        quick.command("up"), env=quick.environment(), stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    document = quick.ok("up")
    assert bouncing.wait(60) == 0, bouncing.communicate()
    assert bouncing.stderr is not None
    bouncing.stderr.close()
    assert document["running"]["pid"] == containerd_pid(quick)
    (quick.dropins / "vendor.toml").unlink()
    starting = subprocess.Popen(
        quick.command("up"),
        env=quick.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    paths = Paths.in_sandbox(str(quick.folder))
    until(lambda: holder_of(paths) == starting.pid, quick)
    done = quick.run("down")
    assert done.returncode == 0, done.stderr
    assert starting.wait(60) == 0
    assert not processes(quick.folder)


def test_another_containerd_that_is_installed_is_said_and_started(node_2: RealNode) -> None:
    wrapper = node_2.folder / "var/containerd"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(f'#!/bin/sh\nexec {node_2.containerd} "$@"\n')
    wrapper.chmod(0o755)
    node_2.ok("up")
    document = node_2.ok("plan", f"--containerd={wrapper}")
    assert document["bounce"]["verdict"] == "bounce"
    assert f"containerd 2.1.9 runs, {wrapper} is 2.1.9 now" in document["bounce"]["reason"]
    assert node_2.ok("up", f"--containerd={wrapper}")["ran"] == "bounced"


def test_a_stale_record_is_told_from_a_pid_that_was_given_to_another(node_2: RealNode) -> None:
    first = node_2.ok("up")["running"]["pid"]
    os.kill(first, signal.SIGKILL)
    time.sleep(0.2)
    reason = node_2.ok("plan")["bounce"]["reason"]
    assert reason == f"the containerd that we started, PID {first}, is gone"
    record = node_2.folder / "run/k0sruntime/containerd.json"
    document = json.loads(record.read_text())
    record.write_text(json.dumps({**document, "pid": os.getpid()}))
    reason = node_2.ok("plan")["bounce"]["reason"]
    assert reason.endswith(f"PID {os.getpid()} is another process now")
    (node_2.folder / "run/k0s/containerd.pid").write_text(f"{os.getpid()}\n")
    assert node_2.ok("up")["ran"] == "started", "a stale PID file of k0s's keeps nobody"


def test_a_socket_that_another_containerd_took_over_is_told(node_2: RealNode) -> None:
    ours = node_2.ok("up")["running"]["pid"]
    node_2.socket.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as rival:
        rival.bind(str(node_2.socket))
        rival.listen()
        done = node_2.run("up")
    assert done.returncode == 3
    assert f"PID {os.getpid()} serves this socket, and the containerd that we" in done.stderr
    assert f"PID {ours}" in done.stderr


def test_a_bounce_by_hand_moves_containerd_beside_the_services_supervisor(
    quick: RealNode,
) -> None:
    """Cgroup, limits and OOM score are those that the service gave the first one."""
    cgroup = Path("/sys/fs/cgroup/systemd/k0sruntime-test")
    if not cgroup.parent.is_dir():
        cgroup = Path("/sys/fs/cgroup/k0sruntime-test")
    cgroup.mkdir(exist_ok=True)
    try:
        with quick.foreground() as process:
            until(lambda: containerd_pid(quick) and proved(quick), quick)
            (cgroup / "cgroup.procs").write_text(str(process.pid))
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
            Path(f"/proc/{process.pid}/oom_score_adj").write_text("321")
            quick.write_settings(quick.settings.read_text() + "\n[node.handlers.more]\n")
            pid = quick.ok("up")["running"]["pid"]
            assert str(pid) in (cgroup / "cgroup.procs").read_text().split()
            assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (4096, 4096)
            assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "321\n"
    finally:
        until(lambda: not (cgroup / "cgroup.procs").read_text(), quick)
        cgroup.rmdir()
