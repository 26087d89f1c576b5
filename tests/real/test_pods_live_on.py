"""A pod keeps running, with the same PID, whatever happens to containerd and to us."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime.cri import CRI, api
from tests.real.conftest import IMAGE, RealNode
from tests.real.test_up import NO_SUCH_DEFAULT, pid_of, wait_for_pid, wait_for_story

pytestmark = pytest.mark.real

HANDLER = 'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.{name}]\n'


@pytest.fixture
def pod(node_2: RealNode) -> Iterator[int]:
    """A pod with one container of busybox under runc; gives the PID of its container."""
    node_2.ok("up")
    with CRI(str(node_2.socket)) as cri:
        yield run_pod(cri)


def run_pod(cri: CRI) -> int:
    namespaces = api.NamespaceOption(network=api.NamespaceMode.NODE)
    context = api.LinuxSandboxSecurityContext(namespace_options=namespaces)
    config = api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(name="lives", uid="1", namespace="default"),
        linux=api.LinuxPodSandboxConfig(security_context=context),
    )
    runtime = cri._runtime
    pod = runtime.RunPodSandbox(api.RunPodSandboxRequest(config=config)).pod_sandbox_id
    container = api.ContainerConfig(
        metadata=api.ContainerMetadata(name="c"),
        image=api.ImageSpec(image=IMAGE),
        linux=api.LinuxContainerConfig(),
    )
    made = runtime.CreateContainer(
        api.CreateContainerRequest(pod_sandbox_id=pod, config=container, sandbox_config=config)
    )
    runtime.StartContainer(api.StartContainerRequest(container_id=made.container_id))
    return pid_in(cri, made.container_id)


def pid_in(cri: CRI, container: str) -> int:
    request = api.ContainerStatusRequest(container_id=container, verbose=True)
    return json.loads(cri._runtime.ContainerStatus(request).info["info"])["pid"]


def pid_now(node: RealNode) -> int:
    """Ask the containerd that runs now for the container's PID."""
    with CRI(str(node.socket)) as cri:
        (found,) = cri._runtime.ListContainers(api.ListContainersRequest()).containers
        assert found.state == api.ContainerState.CONTAINER_RUNNING
        return pid_in(cri, found.id)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_through_changes_refusals_roll_backs_and_bounces(node_2: RealNode, pod: int) -> None:
    first = pid_of(node_2)
    dropin = node_2.dropins / "vendor.toml"
    dropin.write_text(HANDLER.format(name="more") + 'runtime_type = "io.containerd.runc.v2"\n')
    assert node_2.ok("up")["ran"] == "bounced"
    assert pid_of(node_2) != first
    assert pid_now(node_2) == pod

    dropin.write_text(NO_SUCH_DEFAULT)
    assert node_2.run("up").returncode == 3
    assert pid_now(node_2) == pod
    dropin.unlink()

    good = node_2.settings.read_text()
    node_2.write_settings(good + '\n[node.handlers.broken]\nbinary = "/bin/false"\n')
    assert node_2.run("up").returncode == 6
    assert pid_now(node_2) == pod

    node_2.write_settings(good + "\n[node.handlers.more]\n")
    node_2.ok("up")
    assert pid_now(node_2) == pod
    assert node_2.ok("rollback")["ran"] == "bounced"
    assert pid_now(node_2) == pod

    node_2.write_settings(good)
    node_2.ok("up")
    assert pid_now(node_2) == pod
    assert alive(pod)


def test_through_the_death_of_the_supervisor_and_of_containerd(node_2: RealNode, pod: int) -> None:
    with node_2.foreground() as process:
        containerd = wait_for_pid(node_2, 0)
        os.kill(containerd, signal.SIGKILL)
        second = wait_for_pid(node_2, containerd)
        assert pid_now(node_2) == pod
        process.kill()
        process.wait()
    assert alive(second), "containerd outlives its supervisor"
    document = node_2.ok("up")
    assert document["ran"] == "adopted"
    assert document["running"]["pid"] == second
    assert pid_now(node_2) == pod


def test_down_leaves_pods_alone_unless_it_is_told_otherwise(node_2: RealNode, pod: int) -> None:
    document = node_2.ok("down")
    assert "1 pods live on" in document["notes"][0]
    assert alive(pod)
    node_2.ok("up")
    assert pid_now(node_2) == pod
    node_2.ok("down", "--pods")
    assert not alive(pod)


def test_many_edits_at_once_come_to_one_bounce_and_edits_of_hosts_to_none(
    node_2: RealNode,
) -> None:
    with node_2.foreground():
        first = wait_for_pid(node_2, 0)
        hosts = node_2.dropins / "certs.d/docker.io"
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text('server = "https://registry-1.docker.io"\n')
        time.sleep(4)
        assert pid_of(node_2) == first
        for number in range(20):
            name = f"v{number % 4}"
            (node_2.dropins / f"{name}.toml").write_text(
                HANDLER.format(name=name) + 'runtime_type = "io.containerd.runc.v2"\n'
            )
            time.sleep(0.04)
        second = wait_for_pid(node_2, first)
        time.sleep(4)
        assert pid_of(node_2) == second, "one bounce, and no more"
        wait_for_story(node_2, "changed by another hand")
