"""Remote mode from end to end: another CRI in, k0s told, and all of it taken back again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import socket_fault
from tests.real import k0s_install_stand_in as k0s
from tests.real.conftest import SETTINGS, RealNode
from tests.real.dockers import Docker, running_docker
from tests.real.odd_cri_stand_in import odd_cri

pytestmark = pytest.mark.real

FLAGS = ["--token-file=/etc/k0s/token", "--labels=disk=ssd,zone=a b", "--debug"]
PROFILE = "--profile=gpu-nodes"
ENVIRONMENT = ["-e", "HTTPS_PROXY=http://proxy.example:3128", "-e", "K0S_TOKEN=s3cr3t"]


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with running_docker() as found:
        found.stand_in()
        yield found


def installed(node: RealNode, role: str = "worker", init: str = "systemd", **how: Any) -> Path:
    """Install a k0s service of a role with flags and variables of the operator's."""
    program = k0s.program(node.folder / "var/lib/k0s/bin", node.folder, init=init)
    works = ["--enable-worker"] if role == "controller" else []
    command = [program, "install", *ENVIRONMENT, role, *works, *FLAGS, PROFILE]
    subprocess.run(command, check=True)
    k0s.program(node.folder / "var/lib/k0s/bin", node.folder, init=init, **how)
    return k0s.unit(node.folder, role, init)


def rest(text: str) -> list[str]:
    """Return a unit's lines without what points k0s at a CRI."""
    words = text.replace('"', " ").replace("'", " ").split()
    return sorted(w for w in words if not w.startswith("--cri-socket"))


def test_to_docker_and_back_to_standalone_and_to_managed_without_a_leftover(
    node_2: RealNode, docker: Docker
) -> None:
    node = node_2
    node.without = ("gvisor", "nvidia", "mirrors")
    unit = installed(node)
    before = unit.read_text()
    node.write_settings(f"{SETTINGS}\n[dockerd]\nenabled = 'no'\n")
    node.ok("up")

    node.write_settings(
        '[node]\nk0s = "1.30"\n' + docker.settings(cgroup_driver='"systemd"', profile='"mine"')
    )
    refused = node.run("up", "--apply-k0s", "--yes")
    assert refused.returncode == 8, refused.stderr  # Docker uses cgroupfs, the profile says systemd
    assert "cgroup drivers agree" in refused.stderr
    assert unit.read_text() == before

    node.write_settings('[node]\nk0s = "1.30"\n' + docker.settings(profile='"mine"'))
    assert "--profile=mine replaces --profile=gpu-nodes" in node.run("plan").stdout
    document = node.ok("up", "--apply-k0s", "--yes")
    text = unit.read_text()
    assert f"--cri-socket=remote:unix://{docker.cri}" in text
    assert "--profile=mine" in text
    kept = [word for word in rest(before) if word != PROFILE]
    assert [w for w in rest(text) if w != "--profile=mine"] == kept, "all else is as it was"
    assert document["notes"] == ["restart k0s: systemctl restart k0sworker"]
    assert node.socket.exists(), "k0s was not restarted yet"
    assert node.ok("up")["k0s"] is None, "k0s is told already"
    assert not node.socket.exists()
    assert not [name for name in node.files() if name.startswith("etc/k0s/")]

    node.write_settings(f"{SETTINGS}\n[dockerd]\nenabled = 'no'\n")
    document = node.ok("up", "--apply-k0s", "--yes")
    text = unit.read_text()
    assert f"--cri-socket=remote:unix://{node.socket}" in text
    assert rest(text) == rest(before), "the operator's own profile is back"
    assert {p["handler"] for p in document["proofs"] if p["name"] == "sandbox"} == {"crun", "runc"}

    node.write_settings('[node]\nmode = "managed"\nk0s = "1.36"\n[dockerd]\nenabled = "no"\n')
    node.ok("up", "--apply-k0s", "--yes")
    assert rest(unit.read_text()) == rest(before)
    assert "--cri-socket" not in unit.read_text()
    node.ok("down")
    left = {name for name in node.files() if name.startswith("etc/k0s")}
    assert k0s.link(node.folder, "worker").is_symlink()
    assert left == {"etc/k0sruntime/config.toml"}


@pytest.mark.parametrize("role", ["worker", "controller"])
@pytest.mark.parametrize("init", ["systemd", "openrc"])
def test_the_printed_line_keeps_every_flag_of_the_service_and_masks_secrets(
    docker: Docker, folder: Path, role: str, init: str
) -> None:
    node = RealNode(folder, Path("/nowhere/containerd"), ("gvisor", "nvidia", "mirrors"))
    unit = installed(node, role, init)
    node.write_settings('[node]\nk0s = "1.36"\n' + docker.settings())
    shown = node.run("up").stdout
    works = "--enable-worker " if role == "controller" else ""
    line = next(
        line.strip() for line in shown.splitlines() if "install --force" in line and "/k0s" in line
    )
    assert line == (
        f"{folder}/var/lib/k0s/bin/k0s install --force -e HTTPS_PROXY=http://proxy.example:3128 -e K0S_TOKEN=****"
        f" {role} {works}--token-file=/etc/k0s/token '--labels=disk=ssd,zone=a b' --debug {PROFILE}"
        f" --cri-socket=remote:unix://{docker.cri}"
    )
    restart = {"systemd": f"systemctl restart k0s{role}", "openrc": f"rc-service k0s{role} restart"}
    assert restart[init] in shown
    before = unit.read_text()
    node.ok("up", "--apply-k0s", "--yes")
    assert rest(unit.read_text()) == rest(before)
    assert "s3cr3t" in unit.read_text()
    told = node.run("down").stdout
    assert "k0s is still started with another CRI" in told
    assert "back to its own" in told


def test_a_drop_in_that_overrides_the_unit_is_told(docker: Docker, folder: Path) -> None:
    node = RealNode(folder, Path("/nowhere/containerd"), ("gvisor", "nvidia", "mirrors"))
    unit = installed(node)
    dropin = unit.with_name(f"{unit.name}.d") / "flags.conf"
    dropin.parent.mkdir()
    dropin.write_text("[Service]\nExecStart=\nExecStart=/usr/bin/k0s worker --debug\n")
    node.write_settings('[node]\nk0s = "1.36"\n' + docker.settings())
    assert f"{dropin} sets ExecStart" in node.run("plan").stdout
    done = node.run("up", "--apply-k0s", "--yes")
    assert done.returncode == 3
    assert str(dropin) in done.stderr
    assert "so that k0s install would come to nothing" in done.stderr


def test_another_containerd_is_the_cri_that_the_operator_names(node_2: RealNode) -> None:
    node_2.ok("up")
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as other:
        remote = RealNode(
            Path(other), Path("/nowhere/containerd"), ("gvisor", "nvidia", "mirrors", "dockerd")
        )
        document = remote.ok("up", f"--cri-socket=remote:unix://{node_2.socket}")
        assert document["socket"] == f"unix://{node_2.socket}"
        found = {p["name"]: p["verdict"] for p in document["proofs"]}
        assert found["CRI answers"] == "pass"
        assert found["cgroup drivers agree"] == "pass"
        assert remote.ok("down")["removed"] == []


def test_a_leftover_drop_in_that_would_stop_k0s_1_36_stops_us_first(
    node_2: RealNode, folder: Path
) -> None:
    node_2.ok("up")
    with tempfile.TemporaryDirectory(prefix="k0sr-", dir="/tmp") as other:
        remote = RealNode(
            Path(other), Path("/nowhere/containerd"), ("gvisor", "nvidia", "mirrors", "dockerd")
        )
        remote.write_settings('[node]\nk0s = "1.36"\n')
        remote.dropins.mkdir(parents=True)
        leftover = remote.dropins / "nvidia.toml"
        leftover.write_text(
            'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nenable_cdi = true\n'
        )
        done = remote.run("up", f"--cri-socket=remote:unix://{node_2.socket}")
        assert done.returncode == 3
        assert str(leftover) in done.stderr
        remote.write_settings('[node]\nk0s = "1.35"\n')
        document = remote.ok("up", f"--cri-socket=remote:unix://{node_2.socket}")
        assert (
            "drop-ins count for nothing"
            in remote.run("up", f"--cri-socket=remote:unix://{node_2.socket}").stdout
        )
        assert document["ran"] == ""


@contextmanager
def listening(path: Path, *, answers: bytes | None) -> Iterator[Path]:
    """Listen on a socket; say what is to be said to everybody, or nothing ever."""
    kept: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                kept.append(client)
                if answers is not None:
                    with contextlib.suppress(OSError):
                        client.sendall(answers)
                    client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield path
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        for client in kept:
            client.close()


def up_on(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    node = RealNode(folder, Path("/nowhere/containerd"), ("gvisor", "nvidia", "mirrors", "dockerd"))
    node.write_settings("")
    return node.run("up", f"--cri-socket=remote:unix://{path}")


def test_every_bad_socket_has_its_own_message(docker: Docker, folder: Path) -> None:
    (folder / "dir.sock").mkdir()
    (folder / "file.sock").write_text("")
    (folder / "link.sock").symlink_to(folder / "nowhere.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "left.sock"))
    said = {
        folder / "none.sock": "there is no such socket",
        folder / "link.sock": "a link that leads nowhere",
        folder / "dir.sock": "a folder is there, not a socket",
        folder / "file.sock": "a file is there, not a socket",
        folder / "file.sock/x": "a part of its path is no folder",
        folder / "left.sock": "nobody listens on it",
        folder / ("x" * 120): "longer than the 107 bytes",
        docker.socket: "it speaks HTTP, not CRI",
        docker.folder / "c.sock": "it speaks gRPC, and serves no CRI v1",
    }
    found = {}
    for path, sentence in said.items():
        done = up_on(path, folder / "node")
        assert done.returncode == 8, done.stderr
        assert sentence in done.stderr, (path, done.stderr)
        assert "k0s install" not in done.stdout
        found[sentence] = done.stderr
    with listening(folder / "mute.sock", answers=None) as path:
        assert "somebody listens, and gives no answer" in up_on(path, folder / "node").stderr
    with listening(folder / "ssh.sock", answers=b"SSH-2.0-OpenSSH\r\n") as path:
        assert "it does not speak CRI" in up_on(path, folder / "node").stderr


def problem(path: Path, folder: Path, k0s: str = "1.36") -> tuple[int, dict[str, str]]:
    """Run ``up`` on a socket; return its exit code and the first problem."""
    node = RealNode(folder, Path("/nowhere/containerd"), ("gvisor", "nvidia", "mirrors", "dockerd"))
    node.write_settings(f'[node]\nk0s = "{k0s}"\n' if k0s else "")
    done = node.run("up", f"--cri-socket=remote:unix://{path}", "--json")
    assert ("k0s install" in done.stdout) == (done.returncode == 0)
    document = json.loads(done.stdout)
    first = document["problems"][0] if done.returncode else {}
    return done.returncode, first or document


@pytest.mark.parametrize(
    ("how", "message", "remedy"),
    [
        (
            "Version hangs",
            "it speaks gRPC, and hangs when CRI's Version is asked",
            "restart the one",
        ),
        ("Version INTERNAL", "CRI answers with an error: INTERNAL", "See the runtime's log"),
        ("Status hangs", "CRI answers Version, and hangs when it is asked", "restart the one"),
        ("Status UNIMPLEMENTED", "CRI's Version is served, and its Status is not", "Install a"),
        ("Status INTERNAL", "fails when it is asked for its Status: INTERNAL", "See the runtime's"),
        ("Status not ready", "that it is not ready: the shim is gone", "mend what it names"),
    ],
)
def test_a_cri_that_misbehaves_is_told_with_its_socket_and_what_helps(
    folder: Path, how: str, message: str, remedy: str
) -> None:
    with odd_cri(folder / "odd.sock", how) as path:
        code, told = problem(path, folder / "node")
    assert code == 8
    assert message in told["message"]
    assert told["place"] == str(path)
    assert told["culprit"] == "[node] cri_socket, or --cri-socket"
    assert remedy in told["remedy"]
    assert "--without" not in told["remedy"]


def test_a_docker_that_hangs_behind_its_cri_is_told_as_one_that_hangs(folder: Path) -> None:
    with running_docker() as docker:
        docker.stand_in()
        daemon = int(docker.pid_file.read_text())
        os.kill(daemon, signal.SIGSTOP)
        try:
            code, told = problem(docker.cri, folder / "node")
        finally:
            os.kill(daemon, signal.SIGCONT)
    assert code == 8
    assert "hangs when CRI's Version is asked" in told["message"]
    assert "its own backend (cri-dockerd for Docker)" in told["remedy"]


def test_a_queue_of_connections_that_is_full_is_told(folder: Path) -> None:
    path = folder / "full.sock"
    with socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as waiting:
        server.bind(str(path))
        server.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                client = waiting.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        code, told = problem(path, folder / "node")
    assert code == 8
    assert "takes no more connections: their queue is full" in told["message"]
    assert "restart the one that hangs" in told["remedy"]


@pytest.mark.parametrize(
    ("how", "k0s", "code", "row", "verdict"),
    [
        ("RuntimeConfig INTERNAL", "1.36", 8, "", ""),
        ("RuntimeConfig hangs", "1.36", 8, "", ""),
        ("RuntimeConfig INTERNAL", "", 0, "it fails when asked: INTERNAL", "warn"),
        ("RuntimeConfig INTERNAL", "1.30", 0, "it fails when asked: INTERNAL", "unknown"),
        ("RuntimeConfig UNIMPLEMENTED", "1.36", 0, "it serves no RuntimeConfig", "unknown"),
        ("RuntimeConfig without linux", "1.36", 0, "no part for Linux", "unknown"),
    ],
)
def test_the_cgroup_drivers_have_their_table_whatever_the_cri_says(
    folder: Path, how: str, k0s: str, code: int, row: str, verdict: str
) -> None:
    with odd_cri(folder / "odd.sock", how) as path:
        found, told = problem(path, folder / "node", k0s)
    assert found == code
    if code:
        assert "does not start where RuntimeConfig fails" in told["message"]
        assert str(path) in told["place"]
        assert "restart it" in told["remedy"]
        return
    proofs: Any = told["proofs"]
    rows = {proof["name"]: proof for proof in proofs}
    assert row in rows["cgroup driver of the CRI"]["detail"]
    assert rows["cgroup drivers agree"]["verdict"] == verdict


def test_a_socket_that_this_user_may_not_use_says_so(docker: Docker) -> None:
    docker.folder.chmod(0o755)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # root may connect to everything
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        problem = socket_fault(str(docker.socket))
        os.write(writing, (problem.message if problem else "none").encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as file:
        assert file.read() == "this user may not connect to the socket"
