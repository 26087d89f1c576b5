"""Remote mode against a real CRI that another hand runs, and managed mode's files."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.real.conftest import SETTINGS, RealNode
from tests.real.test_up import proof_of, write_provider

pytestmark = pytest.mark.real

REMOTE = """
from k0sruntime import CRISocket, KubeletProfile

def cri_socket(node):
    yield CRISocket(url="unix://{socket}")

def kubelet_profile(node):
    yield KubeletProfile(name="acme", values={{"cgroupDriver": "cgroupfs"}})
"""


def test_a_providers_cri_socket_is_proved_and_no_containerd_is_started(
    node_2: RealNode, tmp_path: Path
) -> None:
    node_2.ok("up")
    write_provider(tmp_path, REMOTE.format(socket=node_2.socket))
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as other:
        remote = RealNode(Path(other), node_2.containerd, python_path=[tmp_path])
        done = remote.run("up")
        assert done.returncode == 0, done.stderr
        wanted = f"--cri-socket=remote:unix://{node_2.socket} --profile=acme"
        assert f"k0s install --force worker {wanted}" in done.stdout
        assert "workerProfiles:" in done.stdout
        assert 'cgroupDriver: "cgroupfs"' in done.stdout
        assert not remote.socket.exists()
        document = remote.ok("up")
        assert document["socket"] == f"unix://{node_2.socket}"
        assert remote.run("export", "k0s-config").stdout.startswith("spec:\n  workerProfiles:\n")


def test_what_another_runtime_never_reads_is_not_checked_there(
    node_2: RealNode, tmp_path: Path
) -> None:
    node_2.ok("up")
    write_provider(tmp_path, REMOTE.format(socket=node_2.socket))
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as other:
        left_out = ("gvisor", "nvidia", "dockerd")
        remote = RealNode(Path(other), node_2.containerd, left_out, [tmp_path])
        remote.write_settings('[mirrors."docker.io"]\nendpoints = ["https://m.example"]\n')
        document = remote.ok("up")
        assert not [proof for proof in document["proofs"] if proof["provider"] == "mirrors"]


def test_a_socket_where_nobody_listens_fails_its_proof(folder: Path, tmp_path: Path) -> None:
    write_provider(tmp_path, REMOTE.format(socket="/tmp/nobody-listens-here.sock"))
    remote = RealNode(folder, Path("/usr/bin/containerd"), python_path=[tmp_path])
    done = remote.run("up")
    assert done.returncode == 8
    assert "there is no such socket" in done.stderr
    assert "k0s install" not in done.stdout


def test_switching_to_remote_stops_our_containerd_and_removes_its_files(
    node_2: RealNode, tmp_path: Path
) -> None:
    node_2.ok("up")
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as other:
        elsewhere = RealNode(Path(other), node_2.containerd)
        elsewhere.write_settings(SETTINGS)
        elsewhere.put_image()
        elsewhere.ok("up")
        write_provider(tmp_path, REMOTE.format(socket=elsewhere.socket))
        node_2.python_path = [tmp_path]
        node_2.ok("up")
        assert set(node_2.files()) == {"etc/k0sruntime/config.toml"}
        assert not node_2.socket.exists()
        document = node_2.ok("rollback")
        assert document["ran"] == "started"
        assert proof_of(document, "crun") == "pass"
        assert "etc/k0s/containerd.toml" in node_2.files()
        document = node_2.ok("rollback", "2")
        assert document["socket"] == f"unix://{elsewhere.socket}"
        assert set(node_2.files()) == {"etc/k0sruntime/config.toml"}
        assert not node_2.socket.exists()
        elsewhere.run("down", "--pods", "--purge")


def test_a_mode_that_is_asked_for_and_a_socket_are_a_conflict(folder: Path, tmp_path: Path) -> None:
    write_provider(tmp_path, REMOTE.format(socket="/run/acme.sock"))
    node = RealNode(folder, Path("/nowhere/containerd"), python_path=[tmp_path])
    done = node.run("up", "--mode", "standalone")
    assert done.returncode == 5
    assert "the mode standalone is asked for" in done.stderr
    assert "unix:///run/acme.sock" in done.stderr
    assert "--without acme" in done.stderr


@pytest.mark.parametrize(("line", "schema"), [("1.35", 2), ("1.36", 3)])
def test_managed_mode_writes_drop_ins_for_the_k0s_line_and_no_main_file(
    folder: Path, line: str, schema: int
) -> None:
    node = RealNode(folder, Path("/nowhere/containerd"), without=("gvisor", "nvidia", "dockerd"))
    node.write_settings(
        f'[node]\nmode = "managed"\nk0s = "{line}"\n[node.handlers.crun]\n'
        '[mirrors."docker.io"]\nendpoints = ["https://m.example"]\n'
    )
    document = node.ok("up")
    assert document["ran"] == ""
    files = node.files()
    assert "etc/k0s/containerd.toml" not in files
    dropin = files["etc/k0s/containerd.d/k0sruntime-node.toml"].decode()
    assert f"version = {schema}\n" in dropin
    assert ("io.containerd.grpc.v1.cri" in dropin) == (schema == 2)
    assert "etc/k0s/containerd.d/certs.d/docker.io/hosts.toml" in files
    assert node.ok("up")["applied"] is False
    node.ok("down")
    assert set(node.files()) == {"etc/k0sruntime/config.toml"}


def test_root_composes_into_an_image_and_starts_nothing(tmp_path: Path) -> None:
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[node]\nk0s = "1.36"\nmode = "managed"\n[node.handlers.crun]\n')
    node = RealNode(tmp_path, Path("/nowhere/containerd"))
    command = [part for part in node.command("up", "--json") if part != "--sandbox"]
    command[command.index(str(tmp_path))] = f"--root={tmp_path}"
    done = subprocess.run(
        command, capture_output=True, text=True, env=node.environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    dropin = tmp_path / "etc/k0s/containerd.d/k0sruntime-node.toml"
    assert "crun" in dropin.read_text()
    assert (tmp_path / "var/lib/k0sruntime/ledger.json").exists()
