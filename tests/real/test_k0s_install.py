"""``up --apply-k0s``: k0s's service is installed anew, or is as it was, whatever happens meanwhile."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import k0s_install_stand_in as k0s
from tests.real.conftest import ROOT, RealNode
from tests.real.dockers import Docker, running_docker
from tests.real.test_other_cri import installed

pytestmark = pytest.mark.real

OTHERS = ("gvisor", "nvidia", "mirrors")
SYSTEMCTL = '#!/bin/sh\necho "systemctl $*" >> {log}\n'
"""Stands in for systemctl, which would speak to this machine's own systemd."""


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with running_docker() as found:
        found.stand_in()
        yield found


@pytest.fixture
def node(docker: Docker, folder: Path) -> RealNode:
    """A node that shall be on Docker, and whose k0s was not told yet."""
    made = RealNode(folder, Path("/nowhere/containerd"), OTHERS)
    made.write_settings('[node]\nk0s = "1.36"\n' + docker.settings())
    return made


def wait_until(true: object) -> None:
    deadline = time.monotonic() + 30
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def at_work(node: RealNode, unit: Path) -> subprocess.Popen[str]:
    """Start ``up --apply-k0s``, and return when k0s has taken the old service away."""
    process = subprocess.Popen(
        node.command("up", "--apply-k0s", "--yes"),
        env=node.environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: not unit.exists())
    time.sleep(0.2)
    return process


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_ctrl_c_and_sigterm_wait_until_k0s_is_installed(
    node: RealNode, docker: Docker, number: signal.Signals, status: int
) -> None:
    unit = installed(node, seconds=1.5)
    process = at_work(node, unit)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert f"--cri-socket=remote:unix://{docker.cri}" in unit.read_text()
    assert k0s.link(node.folder, "worker").is_symlink()
    assert not (node.folder / "var/lib/k0sruntime/k0s-install.json").exists()


def test_killed_while_k0s_goes_on_the_next_command_waits_for_it(
    node: RealNode, docker: Docker
) -> None:
    unit = installed(node, seconds=2)
    process = at_work(node, unit)
    process.kill()
    process.communicate()
    assert not unit.exists()
    done = node.run("up")
    assert done.returncode == 0, done.stderr
    assert "k0s install had got through" in done.stderr
    assert f"--cri-socket=remote:unix://{docker.cri}" in unit.read_text()
    assert "k0s is started with this already" in done.stdout


@pytest.mark.parametrize("init", ["systemd", "openrc"])
@pytest.mark.parametrize("command", ["up", "down"])
def test_killed_with_k0s_the_next_command_puts_the_service_back(
    node: RealNode, init: str, command: str
) -> None:
    unit = installed(node, init=init, seconds=60)
    before, start = unit.read_text(), k0s.link(node.folder, "worker", init)
    unit.chmod(0o600)
    process = at_work(node, unit)
    process.kill()
    process.communicate()
    (left,) = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is_install(entry, node.folder)
    ]
    os.kill(left, signal.SIGKILL)
    assert not unit.exists()
    assert not start.exists()
    done = node.run(command)
    assert done.returncode == 0, done.stderr
    assert f"k0s install was killed: {unit} is as it was" in done.stderr
    assert unit.read_text() == before
    assert unit.stat().st_mode & 0o777 == 0o600
    assert start.resolve() == unit, "it starts at boot again"


def _is_install(entry: Path, folder: Path) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return "install" in words and f"{folder}/var/lib/k0s/bin/k0s" in words


def test_a_k0s_install_that_fails_leaves_the_service_as_it_was(node: RealNode) -> None:
    unit = installed(node, fails=True)
    log = node.folder / "var/log/k0s-install.log"
    systemctl = node.folder / "var/lib/k0s/bin/systemctl"
    systemctl.write_text(SYSTEMCTL.format(log=log))
    systemctl.chmod(0o755)
    before = unit.read_text()
    done = node.run("up", "--apply-k0s", "--yes")
    assert done.returncode == 6, "our own generation was applied by then"
    assert "disk full" in done.stderr
    assert "its service is as it was" in done.stderr
    assert unit.read_text() == before
    assert k0s.link(node.folder, "worker").resolve() == unit
    assert k0s.log(node.folder)[-2:] == [f"disable {unit.name}", "systemctl daemon-reload"]


def test_a_service_that_does_not_start_at_boot_any_more_is_put_back(node: RealNode) -> None:
    unit = installed(node, enables=False)
    before = unit.read_text()
    done = node.run("up", "--apply-k0s", "--yes")
    assert done.returncode == 6
    assert "nothing starts the service at boot" in done.stderr
    assert unit.read_text() == before
    assert k0s.link(node.folder, "worker").resolve() == unit


def test_without_a_terminal_nothing_is_asked_and_nothing_done(node: RealNode) -> None:
    unit = installed(node)
    before = unit.read_text()
    done = node.run("up", "--apply-k0s")
    assert done.returncode == 2
    assert "say --yes" in done.stderr
    assert unit.read_text() == before
    assert not (node.folder / "var/lib/k0sruntime").exists()


@pytest.mark.parametrize(("answer", "told"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_it_is_run_after_a_yes_at_a_terminal(
    node: RealNode, docker: Docker, answer: str, told: bool
) -> None:
    unit = installed(node)
    before = unit.read_text()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        node.command("up", "--apply-k0s"),
        env=node.environment(),
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = _until(ours, "Run it? [y/N]:")
    assert "k0s install --force" in said, "what is to be run is shown before the question"
    assert unit.read_text() == before, "nothing is run before the answer"
    os.write(ours, answer.encode())
    said = _until(ours, None)
    os.close(ours)
    assert process.wait(30) == 0, said
    if told:
        assert f"--cri-socket=remote:unix://{docker.cri}" in unit.read_text()
        assert "next: systemctl restart k0sworker" in said
    else:
        assert unit.read_text() == before
        assert "k0s was not told" in said


def _until(descriptor: int, text: str | None) -> str:
    """Read from a terminal until a text has come, or its end."""
    found, deadline = "", time.monotonic() + 60
    while text is None or text not in found:
        assert time.monotonic() < deadline, found
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # EIO: nobody is at the other end any more
            return found
        if not part:
            return found
        found += part.decode(errors="replace")
    return found


KUBECTL = """#!/bin/sh
# Stands in for kubectl on a node whose cluster has the worker profiles {has}.
case "$*" in *"configmap worker-config-{has}-1.30 "*) echo '{{"kind": "ConfigMap"}}'; exit 0 ;; esac
case "$*" in *configmap*) echo '{says}' >&2; exit 1 ;; esac
echo '{{}}'
"""
NOT_FOUND = 'Error from server (NotFound): configmaps "worker-config-mine-1.30" not found'
FORBIDDEN = "Error from server (Forbidden): configmaps is forbidden"


@pytest.mark.parametrize(
    ("has", "says", "status"),
    [("other", NOT_FOUND, 3), ("mine", NOT_FOUND, 0), ("other", FORBIDDEN, 0)],
)
def test_the_cluster_is_asked_for_the_worker_profile_before_anything_is_changed(
    node: RealNode, docker: Docker, has: str, says: str, status: int
) -> None:
    node.write_settings('[node]\nk0s = "1.30"\n' + docker.settings(profile='"mine"'))
    unit = installed(node)
    before = unit.read_text()
    kubectl = node.folder / "var/lib/k0s/bin/kubectl"
    kubectl.write_text(KUBECTL.format(has=has, says=says))
    kubectl.chmod(0o755)
    (node.folder / "var/lib/k0s/kubelet.conf").write_text("")
    done = node.run("up", "--apply-k0s", "--yes")
    assert done.returncode == status, done.stderr
    if status:
        assert "the cluster has no worker profile 'mine': a worker does not start" in done.stderr
        assert "export k0s-config --into k0s.yaml" in done.stderr
        assert unit.read_text() == before
        assert not (node.folder / "var/lib/k0sruntime/ledger.json").exists()
    else:
        assert "--profile=mine" in unit.read_text()
        assert ("could not be asked" in done.stderr) == (says == FORBIDDEN)
