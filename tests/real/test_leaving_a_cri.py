"""Until k0s was restarted, the CRI that is left keeps what it needs; and it is left by word only."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime.cri import CRI
from k0sruntime.errors import CRIError
from tests.real import k0s_install_stand_in as k0s
from tests.real.conftest import LAB, SETTINGS, RealNode
from tests.real.dockers import running_docker
from tests.real.test_managed import LINES, Worker, _worker
from tests.real.test_other_cri import installed
from tests.real.test_supervisor import QUICK, containerd_pid, supervisor, until

pytestmark = pytest.mark.real

OTHERS = ("gvisor", "nvidia", "mirrors")
CRUN = f'[dockerd.runtimes.crun]\npath = "{LAB}/bin/crun"\n'
BOUNCE_SECONDS = 12.0
"""Longer than k0s takes for a bounce: three seconds of quiet, and five until the next start."""


@pytest.fixture
def elsewhere() -> Iterator[RealNode]:
    """A containerd of another hand's, which serves CRI."""
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as folder:
        node = RealNode(Path(folder), LAB / "bin/containerd")
        node.write_settings(SETTINGS)
        node.put_image()
        node.ok("up")
        yield node
        node.run("down", "--pods", "--purge")


@pytest.fixture(params=list(LINES))
def worker(request: pytest.FixtureRequest, folder: Path) -> Iterator[Worker]:
    yield from _worker(folder, request.param)


def to(other: RealNode) -> list[str]:
    return ["--mode=remote", f"--cri-socket=remote:unix://{other.socket}"]


def ours(node: RealNode) -> dict[str, bytes]:
    """Return our files on the node, but for the settings and what k0s writes itself."""
    written = ("config.toml", "etc/k0s/containerd.toml", "containerd-cri.toml", "systemd")
    found = node.files().items()
    return {name: data for name, data in found if not any(part in name for part in written)}


def handlers(node: RealNode) -> tuple[str, ...]:
    with CRI(str(node.socket)) as cri:
        return tuple(cri.handlers())


def test_k0ss_own_containerd_keeps_its_drop_ins_until_k0s_runs_on_the_other_cri(
    worker: Worker, elsewhere: RealNode
) -> None:
    worker.start()
    node = worker.node
    node.ok("up")
    pid, files = worker.pid, ours(node)
    assert files
    node.write_settings(node.settings.read_text().replace('mode = "managed"\n', ""))

    planned = node.run("plan", *to(elsewhere)).stdout
    assert "  kept      " in planned
    assert "no bounce: k0s still runs on unix://" in planned
    done = node.run("up", *to(elsewhere))
    assert done.returncode == 0, done.stderr
    assert f"k0s still runs on unix://{node.socket}" in done.stdout
    assert f"--cri-socket=remote:unix://{elsewhere.socket}" in done.stdout
    assert ours(node) == files
    node.ok("up", *to(elsewhere))

    node.ok("rollback", "1")
    done = node.run("rollback", "2")
    assert done.returncode == 0, done.stderr
    assert ours(node) == files, "a roll-back takes nothing away either"
    time.sleep(BOUNCE_SECONDS)
    assert worker.pid == pid, "nothing was bounced"

    worker.stop()
    worker.start(f"--cri-socket=remote:unix://{elsewhere.socket}")
    assert "is left over: k0sruntime up" in node.run("verify", *to(elsewhere)).stdout
    document = node.ok("up", *to(elsewhere))
    assert ours(node) == {}
    assert document["k0s"] is None
    assert node.ok("rollback", "1")["ran"] == ""
    assert ours(node) == files


def test_a_containerd_of_ours_and_its_supervisor_stay_until_k0s_was_told_and_restarted(
    node_2: RealNode, elsewhere: RealNode
) -> None:
    node = node_2
    unit = installed(node)
    k0s_program = node.folder / "var/lib/k0s/bin/k0s"
    unit.write_text(
        f"[Service]\nExecStart={k0s_program} worker --cri-socket=remote:unix://{node.socket}\n"
    )
    node.supervised = True
    node.write_settings(node.settings.read_text() + QUICK)
    node.ok("up")
    files, keeper = ours(node), supervisor(node)["pid"]

    done = node.run("up", *to(elsewhere))
    assert done.returncode == 0, done.stderr
    assert f"{unit} still starts k0s on unix://{node.socket}" in done.stdout
    assert "supervisor     none" not in done.stdout
    assert ours(node) == files
    assert supervisor(node)["alive"]
    assert supervisor(node)["pid"] == keeper
    before = containerd_pid(node)
    os.kill(before, signal.SIGKILL)
    until(lambda: containerd_pid(node) not in (0, before) and node.socket.exists(), node)
    until(lambda: "crun" in _handlers_or_none(node), node)

    node.ok("up", *to(elsewhere), "--apply-k0s", "--yes")
    assert f"remote:unix://{elsewhere.socket}" in unit.read_text()
    assert ours(node) == files
    done = node.run("up", *to(elsewhere))
    assert done.returncode == 0, done.stderr
    assert ours(node) == {}
    assert not node.socket.exists()
    assert not supervisor(node)
    first = [line.split(" ")[0] for line in done.stdout.splitlines()]
    removed = {"supervisor", "configuration", "drop-ins", "socket", "log"}
    assert not removed & set(first), "nothing is told of what was removed"
    assert "drop-ins count for nothing" not in done.stdout
    done = node.run("down")
    assert "k0s is still started with another CRI" in done.stdout


def _handlers_or_none(node: RealNode) -> tuple[str, ...]:
    try:
        return handlers(node)
    except CRIError:  # it is on its way
        return ()


def test_what_cannot_be_told_to_k0s_is_refused_before_anything_is_changed(
    node_2: RealNode, elsewhere: RealNode
) -> None:
    node = node_2
    node.ok("up")
    unit = installed(node)
    dropin = unit.with_name(f"{unit.name}.d") / "flags.conf"
    dropin.parent.mkdir()
    dropin.write_text("[Service]\nExecStart=\nExecStart=/usr/bin/k0s worker --debug\n")
    pid, files = containerd_pid(node), ours(node)
    generation = node.ok("status")["generation"]
    done = node.run("up", *to(elsewhere), "--apply-k0s", "--yes")
    assert done.returncode == 3
    assert (containerd_pid(node), ours(node)) == (pid, files)
    assert node.ok("status")["generation"] == generation


def test_without_a_k0s_the_other_cri_takes_the_place_at_once(
    node_2: RealNode, elsewhere: RealNode
) -> None:
    node_2.ok("up")
    done = node_2.run("up", *to(elsewhere))
    assert done.returncode == 0, done.stderr
    assert ours(node_2) == {}
    assert not node_2.socket.exists()
    assert "supervisor  " not in done.stdout


def test_a_socket_that_is_away_for_a_moment_does_not_take_the_node_off_docker(folder: Path) -> None:
    with running_docker() as docker:
        docker.stand_in("0.4.1")
        node = RealNode(folder, Path("/nowhere/containerd"), OTHERS)
        unit = installed(node)
        head = '[node]\nk0s = "1.36"\n'
        more = {"pid_file": f'"{docker.pid_file}"'}
        node.write_settings(head + docker.settings(**more) + CRUN)
        node.ok("up", "--apply-k0s", "--yes")
        told, written = unit.read_text(), docker.daemon_json.read_text()
        assert f"remote:unix://{docker.cri}" in told

        found = docker.settings(**more, enabled='"auto"', socket='""')
        node.write_settings(head + found + CRUN)
        assert node.ok("up")["socket"] == f"unix://{docker.cri}", "it is on Docker already"
        process = docker.processes.pop()
        process.terminate()
        process.wait(30)
        docker.cri.unlink(missing_ok=True)
        generation = node.ok("status")["generation"]
        for options in ((), ("--apply-k0s", "--yes"), ("--force",)):
            done = node.run("up", *options)
            assert done.returncode == 8, done.stderr
            assert "there is no such socket" in done.stderr
        assert unit.read_text() == told
        assert docker.daemon_json.read_text() == written
        assert ours(node) == {}
        assert node.ok("status")["generation"] == generation
        done = node.run("up", "--mode", "managed")
        assert done.returncode == 5
        assert "--without dockerd" in done.stderr

        document = node.ok("up", "--mode", "managed", "--without", "dockerd")
        assert "--cri-socket" not in str(document["k0s"]["lines"])
        assert "[dockerd]" in node.settings.read_text()


def test_on_the_way_back_dockers_runtimes_stay_until_k0s_has_left_it(folder: Path) -> None:
    with running_docker() as docker:
        docker.stand_in("0.4.1")
        before = docker.daemon_json.read_text()
        node = RealNode(folder, Path("/nowhere/containerd"), OTHERS)
        unit = installed(node)
        settings = docker.settings(pid_file=f'"{docker.pid_file}"') + CRUN
        node.write_settings('[node]\nk0s = "1.36"\n' + settings)
        node.ok("up", "--apply-k0s", "--yes")
        assert "crun" in json.loads(docker.daemon_json.read_text())["runtimes"]

        off = settings.replace('enabled = "yes"', 'enabled = "no"')
        node.write_settings('[node]\nmode = "managed"\nk0s = "1.36"\n' + off)
        planned = node.run("plan").stdout
        assert f"{unit} still starts k0s on unix://{docker.cri}: what is kept stays" in planned
        node.ok("up")
        assert "crun" in json.loads(docker.daemon_json.read_text())["runtimes"]
        node.ok("up", "--apply-k0s", "--yes")
        assert "--cri-socket" not in unit.read_text()
        assert k0s.link(folder, "worker").is_symlink()
        node.ok("up")
        assert docker.daemon_json.read_text() == before
        assert node.ok("down")["restored"] == []


def test_down_says_that_a_file_of_another_program_is_put_back_and_not_removed(
    folder: Path,
) -> None:
    with running_docker() as docker:
        docker.stand_in("0.4.1")
        node = RealNode(folder, Path("/nowhere/containerd"), OTHERS)
        settings = docker.settings(pid_file=f'"{docker.pid_file}"') + CRUN
        node.write_settings('[node]\nk0s = "1.36"\n' + settings)
        node.ok("up")
        done = node.run("down")
        assert f"took ours out of {docker.daemon_json}" in done.stdout
        assert f"removed {docker.daemon_json}" not in done.stdout
        assert "0 files removed, 1 file put back" in done.stderr
        assert docker.daemon_json.exists()
