"""A node on a real Docker. cri-dockerd is stood in for by ``cri_dockerd_stand_in.py``."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import IMAGE, LAB, RealNode
from tests.real.dockers import Docker, running_docker

pytestmark = pytest.mark.real

OTHERS = ("gvisor", "nvidia", "mirrors")


@pytest.fixture(scope="module")
def shared() -> Iterator[Docker]:
    """A Docker with a stand-in for cri-dockerd 0.3.17, which tests only look at."""
    with running_docker() as docker:
        docker.stand_in()
        yield docker


def on(running: Docker, folder: Path, k0s: str = "1.36", **more: str) -> RealNode:
    node = RealNode(folder, Path("/nowhere/containerd"), OTHERS)
    node.write_settings(f'[node]\nk0s = "{k0s}"\n{running.settings(**more)}')
    return node


def proofs(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {p["name"]: (p["verdict"], p["detail"]) for p in document["proofs"]}


def test_a_node_on_docker_is_proved_and_k0s_is_pointed_there(shared: Docker, folder: Path) -> None:
    node = on(shared, folder)
    document = node.ok("up")
    found = proofs(document)
    with shared.client() as client:
        version = client.version()["Version"]
        driver = client.info()["CgroupDriver"]
    assert found["the runtime is docker"] == ("pass", f"docker://{version}")
    assert found["Docker answers its API"][0] == "pass"
    assert f"Docker {version}, API 1." in found["Docker answers its API"][1]
    assert found["log driver"] == ("pass", "json-file")
    assert found["cri-dockerd's version"] == ("pass", "0.3.17")
    assert found["pause image"][0] == "warn"
    assert found["cgroup driver of docker"] == ("pass", driver)
    assert found["cgroup driver of the CRI"] == ("pass", driver)
    assert found["cgroup drivers agree"] == ("pass", f"all take {driver}")
    assert document["k0s_flags"] == [f"--cri-socket=remote:unix://{shared.cri}"]
    assert not (folder / "run/k0s/containerd.sock").exists()
    node.ok("down")
    assert set(node.files()) == {"etc/k0sruntime/config.toml"}


def test_a_cri_dockerd_that_does_not_tell_leaves_the_kubelet_to_its_profile(folder: Path) -> None:
    """Docker on systemd's driver, told by nobody: the gate says what is missing."""
    with running_docker() as docker:
        docker.stand_in("0.3.16")
        node = on(docker, folder)
        found = proofs(node.ok("up"))
        assert found["cgroup driver of the CRI"][1].startswith("it does not tell")
        assert found["cgroup drivers agree"] == ("pass", "all take cgroupfs")
        assert found["cri-dockerd's version"][1].startswith("0.3.16: it does not tell")
        node = on(docker, folder, profile='"mine"', cgroup_driver='"systemd"')
        done = node.run("up")
        assert done.returncode == 8
        assert "takes what its worker profile says" in done.stderr
        assert "k0s install" not in done.stdout


def test_a_cri_dockerd_that_asked_docker_too_early_is_told_to_restart(folder: Path) -> None:
    with running_docker() as docker:
        docker.stand_in(driver="systemd")
        done = on(docker, folder).run("up")
        assert done.returncode == 8
        assert "the CRI says systemd, and docker behind it uses cgroupfs" in done.stderr
        assert "Restart what serves the CRI" in done.stderr


def test_another_log_driver_is_told(folder: Path) -> None:
    with running_docker(log_driver="local") as docker:
        docker.stand_in()
        verdict, detail = proofs(on(docker, folder).ok("up"))["log driver"]
        assert (verdict, detail) == ("warn", "local: kubectl logs will show nothing")


def test_a_docker_that_does_not_answer_its_api_fails_the_proof(
    shared: Docker, folder: Path
) -> None:
    node = on(shared, folder, docker='"/nowhere/docker.sock"')
    done = node.run("up")
    assert done.returncode == 8
    assert "Docker answers its API: there is no such socket (/nowhere/docker.sock)" in done.stderr
    node = on(shared, folder, docker=f'"{shared.folder}/c.sock"')
    assert "Docker's API does not answer" in node.run("up").stderr


def test_a_socket_that_is_not_dockers_fails_the_proof(node_2: RealNode, shared: Docker) -> None:
    node_2.ok("up")
    with running_docker() as other:
        node = on(shared, other.folder / "node", socket=f'"{node_2.socket}"')
        done = node.run("up")
        assert done.returncode == 8
        assert "the runtime is docker: containerd" in done.stderr


def test_image_bundles_are_imported_into_docker_on_request(folder: Path) -> None:
    with running_docker() as docker:
        docker.stand_in()
        node = on(docker, folder)
        node.put_image()
        bundle = folder / "var/lib/k0s/images/probe.tar"
        packed = folder / "var/lib/k0s/images/again.tar.gz"
        packed.write_bytes(gzip.compress(bundle.read_bytes()))
        (folder / "var/lib/k0s/images/broken.tar").write_bytes(b"no archive")
        document = node.ok("up")
        assert proofs(document)["image bundles"][0] == "warn"
        assert "k0s then imports no image bundles" in node.run("up").stdout
        command = [sys.executable, "-m", "k0sruntime_dockerd", "import-images"]
        done = subprocess.run(
            [*command, f"--sandbox={folder}", f"--docker={docker.socket}"],
            capture_output=True,
            text=True,
            env=node.environment(),
            check=False,
        )
        assert done.returncode == 3
        assert f"{bundle}: {IMAGE}" in done.stdout
        assert f"{packed}: {IMAGE}" in done.stdout
        assert "broken.tar" in done.stderr
        with docker.client() as client:
            (image,) = client.images()
            assert image["RepoTags"] == [IMAGE]
            made = client.create_container(
                IMAGE, ["/bin/uname"], entrypoint=[], network_disabled=True
            )
            assert made["Id"], "Docker has the layers as well"
            client.remove_container(made["Id"])


def test_runtimes_go_into_daemon_json_with_all_else_kept_and_out_again(folder: Path) -> None:
    theirs = '{\n  "log-driver": "json-file",\n  "runtimes": {"theirs": {"path": "/usr/bin/env"}},\n  "debug": true\n}\n'
    with running_docker() as docker:
        docker.stop()
        docker.daemon_json.write_text(theirs)
        docker.configuration = {}
        docker.start()
        docker.stand_in("0.4.1")
        runtimes = f'[dockerd.runtimes.crun]\npath = "{LAB}/bin/crun"\nargs = ["--debug"]\n'
        node = on(docker, folder, pid_file=f'"{docker.pid_file}"')
        node.settings.write_text(node.settings.read_text() + runtimes)
        found = proofs(node.ok("up"))
        assert found["runtime crun"] == ("pass", "Docker lists it, and cri-dockerd serves it")
        with docker.client() as client:
            assert {"crun", "theirs", "runc"} <= set(client.info()["Runtimes"])
        document = json.loads(docker.daemon_json.read_text())
        assert document["runtimes"]["crun"] == {
            "path": f"{LAB}/bin/crun",
            "runtimeArgs": ["--debug"],
        }
        assert document["runtimes"]["theirs"] == {"path": "/usr/bin/env"}
        assert document["debug"] is True
        written = docker.daemon_json.read_bytes()
        assert node.ok("up")["applied"] is False
        assert docker.daemon_json.read_bytes() == written

        document["max-concurrent-downloads"] = 5  # another hand comes after us
        docker.daemon_json.write_text(json.dumps(document))
        assert node.ok("up")["applied"] is False

        node.settings.write_text(node.settings.read_text().replace('args = ["--debug"]\n', ""))
        node.ok("up")
        document = json.loads(docker.daemon_json.read_text())
        document["max-concurrent-downloads"] = 6
        docker.daemon_json.write_text(json.dumps(document))
        node.ok("rollback")
        document = json.loads(docker.daemon_json.read_text())
        assert document["runtimes"]["crun"]["runtimeArgs"] == ["--debug"]
        assert document["max-concurrent-downloads"] == 6
        node.ok("down")
        left = json.loads(docker.daemon_json.read_text())
        assert left == {**json.loads(theirs), "max-concurrent-downloads": 6}

        docker.daemon_json.write_text(theirs)
        node.ok("up")
        node.ok("down")
        assert docker.daemon_json.read_text() == theirs
        deadline = time.monotonic() + 5
        with docker.client() as client:
            while "crun" in client.info()["Runtimes"]:
                assert time.monotonic() < deadline
                time.sleep(0.1)


KILLED = """
import os, sys
from k0sruntime.cli.main import run
from k0sruntime.modes import remote
remote.reload_owed = lambda paths: os._exit(137)
sys.exit(run(sys.argv[1:]))
"""


def killed_before_the_signal(node: RealNode, command: str) -> None:
    """Run a command that ends, as by kill -9, between the rename of daemon.json and its SIGHUP."""
    words = [sys.executable, "-c", KILLED, *node.command(command)[3:]]
    done = subprocess.run(words, env=node.environment(), capture_output=True, check=False)
    assert done.returncode == 137, done.stderr


def lists_crun(docker: Docker, *, wanted: bool) -> bool:
    """Tell whether Docker comes to list crun, or not to."""
    deadline = time.monotonic() + 5
    with docker.client() as client:
        while ("crun" in client.info()["Runtimes"]) is not wanted:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
    return True


def test_a_signal_that_is_owed_to_docker_is_sent_by_the_next_command(folder: Path) -> None:
    # Docker takes runtimes out only where its file still names some.
    with running_docker(runtimes={"other": {"path": f"{LAB}/bin/runc"}}) as docker:
        docker.stand_in("0.4.1")
        node = on(docker, folder, pid_file=f'"{docker.pid_file}"')
        runtimes = f'[dockerd.runtimes.crun]\npath = "{LAB}/bin/crun"\n'
        node.settings.write_text(node.settings.read_text() + runtimes)
        killed_before_the_signal(node, "up")
        assert "crun" in docker.daemon_json.read_text()
        done = node.run("up")
        assert done.returncode == 0, done.stderr
        assert "dockerd was not yet told to read its file again, and is now" in done.stderr
        assert proofs(node.ok("up"))["runtime crun"][0] == "pass"
        assert "not yet told" not in node.run("up").stderr

        killed_before_the_signal(node, "down")
        assert "crun" not in docker.daemon_json.read_text()
        assert "not yet told" in node.run("down").stderr
        assert lists_crun(docker, wanted=False)


def test_a_docker_that_missed_its_signal_is_told_again(folder: Path) -> None:
    with running_docker() as docker:
        docker.stand_in("0.4.1")
        node = on(docker, folder, pid_file=f'"{docker.pid_file}"')
        runtimes = f'[dockerd.runtimes.crun]\npath = "{LAB}/bin/crun"\n'
        node.settings.write_text(node.settings.read_text() + runtimes)
        killed_before_the_signal(node, "up")
        (folder / "var/lib/k0sruntime/reload.json").unlink()  # as after a signal that was lost
        done = node.run("up")
        assert done.returncode == 0, done.stderr
        assert "it may have missed its file: told to read it again" in done.stderr
        assert lists_crun(docker, wanted=True)


def test_a_sandbox_tells_nobody_whose_pid_file_it_was_not_given(folder: Path) -> None:
    """Its file is its own; the machine's Docker would be who is told otherwise."""
    with running_docker() as docker:
        docker.stand_in("0.4.1")
        node = on(docker, folder)
        runtimes = f'[dockerd.runtimes.crun]\npath = "{LAB}/bin/crun"\n'
        node.settings.write_text(node.settings.read_text() + runtimes)
        done = node.run("up")
        assert done.returncode == 6
        assert "Docker does not list it" in done.stderr
        assert "[dockerd] pid_file names the PID of this Docker" in done.stderr
        assert not lists_crun(docker, wanted=True)


def test_runtimes_that_cri_dockerd_does_not_serve_are_taken_back(folder: Path) -> None:
    with running_docker() as docker:
        docker.stand_in("0.4.3")
        before = docker.daemon_json.read_bytes()
        node = on(docker, folder, pid_file=f'"{docker.pid_file}"')
        runtimes = f'[dockerd.runtimes.crun]\npath = "{LAB}/bin/crun"\n'
        node.settings.write_text(node.settings.read_text() + runtimes)
        done = node.run("up")
        assert done.returncode == 6, done.stderr
        assert "0.4.3: it lost runtime handlers" in done.stderr
        assert "Docker lists it, and cri-dockerd does not serve it" in done.stderr
        assert docker.daemon_json.read_bytes() == before


def test_what_docker_would_not_take_is_refused_before_anything_is_written(folder: Path) -> None:
    with running_docker() as docker:
        docker.stand_in("0.4.1")
        node = on(docker, folder, pid_file=f'"{docker.pid_file}"')
        runtimes = f'[dockerd.runtimes.crun]\npath = "{LAB}/bin/crun"\n'
        node.settings.write_text(node.settings.read_text() + runtimes)
        docker.daemon_json.write_text('{"no-such-key": 1}')
        done = node.run("up")
        assert done.returncode == 3
        assert "would not take the file" in done.stderr
        assert "no-such-key" in done.stderr
        docker.daemon_json.write_text("{not json")
        done = node.run("up")
        assert done.returncode == 3
        assert "not JSON" in done.stderr
        assert docker.daemon_json.read_text() == "{not json"


def test_a_bundle_that_zstd_packed_is_imported_where_zstd_is_there(folder: Path) -> None:
    packer = shutil.which("zstd")
    assert packer, "the program zstd is missing: apt install zstd"
    (folder / "node").mkdir()
    bundle = folder / "probe.tar.zst"
    subprocess.run([packer, "-q", LAB / "images/probe.tar", "-o", bundle], check=True)
    cut, other = folder / "cut.tar.zst", folder / "other.tar.zst"
    cut.write_bytes(bundle.read_bytes()[: bundle.stat().st_size // 2])
    other.write_bytes(b"no archive at all")

    def imported(path: Path, search: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "k0sruntime_dockerd", "import-images"]
        return subprocess.run(
            [*command, f"--sandbox={folder}/node", f"--docker={docker.socket}", path],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": search},
            check=False,
        )

    with running_docker() as docker:
        done = imported(bundle, str(folder))
        assert done.returncode == 3
        assert "needs the program zstd, which is not on PATH: install it" in done.stderr
        for broken in (cut, other):
            done = imported(broken, os.environ["PATH"])
            assert done.returncode == 3
            assert "zstd cannot unpack it" in done.stderr
        with docker.client() as client:
            assert not client.images(IMAGE), "nothing was loaded by then"
        done = imported(bundle, os.environ["PATH"])
        assert (done.returncode, done.stdout) == (0, f"{bundle}: {IMAGE}\n"), done.stderr
        with docker.client() as client:
            assert client.images(IMAGE)


KUBECTL = """#!/bin/sh
# Stands in for kubectl: it answers for any node.
case "$*" in *"get node"*) ;; *) exit 1 ;; esac
echo '{{"status": {{"nodeInfo": {{"containerRuntimeVersion": "{version}"}}}}}}'
"""


@pytest.mark.parametrize("told", ["docker", "containerd://2.3.3"])
def test_the_clusters_view_of_the_node_is_asked_where_a_kubeconfig_is_at_hand(
    shared: Docker, folder: Path, told: str
) -> None:
    node = on(shared, folder)
    assert "the cluster's view of the node" not in proofs(node.ok("up"))
    with shared.client() as client:
        real = f"docker://{client.version()['Version']}"
    kubectl = folder / "var/lib/k0s/bin/kubectl"
    kubectl.parent.mkdir(parents=True, exist_ok=True)
    kubectl.write_text(KUBECTL.format(version=real if told == "docker" else told))
    kubectl.chmod(0o755)
    (folder / "var/lib/k0s/kubelet.conf").write_text("")
    verdict, detail = proofs(node.ok("verify"))["the cluster's view of the node"]
    if told == "docker":
        assert (verdict, detail) == ("pass", real)
    else:
        assert (verdict, detail) == ("warn", f"{told}, not {real} yet")


def test_our_containerd_runs_on_where_docker_does_not_pass(
    node_2: RealNode, shared: Docker
) -> None:
    """The other runtime is judged before anything is stopped or removed."""
    before = node_2.ok("up")["running"]["pid"]
    files = node_2.files()
    node_2.without = OTHERS
    node_2.write_settings('[node]\nk0s = "1.36"\n' + shared.settings(socket=f'"{shared.socket}"'))
    done = node_2.run("up")
    assert done.returncode == 8
    assert "it speaks HTTP, not CRI" in done.stderr
    left = {name: data for name, data in node_2.files().items() if "config.toml" not in name}
    assert left == {name: data for name, data in files.items() if "config.toml" not in name}
    assert node_2.socket.exists()
    assert Path(f"/proc/{before}").exists()
