"""Managed mode: k0s's stand-in runs the real containerd and bounces it by its own rules."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from k0sruntime.cri import CRI
from tests.real import k0s_stand_in
from tests.real.conftest import CONTAINERDS, LAB, RealNode

pytestmark = pytest.mark.real

LINES = {
    "1.36": ("v1.36.3+k0s.0", CONTAINERDS["2.1"]),
    "1.35": ("v1.35.1+k0s.0", CONTAINERDS["1.7"]),
}
HANDLERS = '[node]\nmode = "managed"\n[node.handlers.other]\nbinary = "{runc}"\n'


@dataclass
class Worker:
    """A node whose containerd k0s runs."""

    node: RealNode
    k0s: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return int((self.node.folder / "run/k0s/containerd.pid").read_text())

    @property
    def log(self) -> str:
        return (self.node.folder / "var/log/k0sworker.log").read_text()

    def start(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [
                self.k0s,
                "worker",
                f"--stand-in-node={self.node.folder}",
                f"--stand-in-containerd={self.node.containerd}",
                *arguments,
            ],
            env=self.node.environment(),
            start_new_session=True,
        )
        if any(word.startswith("--cri-socket=") for word in arguments):
            self.wait_for_status()
        else:
            self.wait_for_cri()

    def wait_for_status(self) -> None:
        deadline = time.monotonic() + 20
        while not (self.node.folder / "run/k0s/status.sock").exists():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def wait_for_cri(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.node.socket.exists():
                with CRI(str(self.node.socket)) as cri:
                    cri.wait(10, lambda: True)
                return
            time.sleep(0.05)
        raise AssertionError(self.log)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@pytest.fixture(params=list(LINES))
def worker(request: pytest.FixtureRequest, folder: Path) -> Iterator[Worker]:
    """A worker of each k0s line, not started yet."""
    yield from _worker(folder, request.param)


@pytest.fixture
def worker_36(folder: Path) -> Iterator[Worker]:
    """A worker of k0s 1.36, which bounces blindly."""
    yield from _worker(folder, "1.36")


@pytest.fixture
def worker_35(folder: Path) -> Iterator[Worker]:
    """A worker of k0s 1.35, which composes before it bounces."""
    yield from _worker(folder, "1.35")


def _worker(folder: Path, line: str) -> Iterator[Worker]:
    version, containerd = LINES[line]
    node = RealNode(folder, containerd)
    node.first_on_path = [folder / "var/programs"]
    node.write_settings(HANDLERS.format(runc=LAB / "bin/runc"))
    node.put_image()
    made = Worker(node, k0s_stand_in.program(folder / "var/programs", version))
    yield made
    node.run("down", "--force")
    if made.process and made.process.poll() is None and node.socket.exists():
        _remove_pods(node)
    made.stop()


def _remove_pods(node: RealNode) -> None:
    with CRI(str(node.socket)) as cri:
        cri.wait(20, lambda: True)
        for pod, _, _ in cri.pods():
            cri.remove_pod(pod)


def test_up_waits_for_k0ss_own_bounce_and_proves_what_it_brings(worker: Worker) -> None:
    worker.start()
    before = worker.pid
    document = worker.node.ok("up")
    assert document["applied"]
    assert worker.pid != before, "k0s has bounced it"
    proofs = {p["handler"]: p["verdict"] for p in document["proofs"] if p["name"] == "sandbox"}
    assert proofs["other"] == "pass"
    assert worker.log.count("SIGHUP") == 1, "one bounce for all files"
    main = (worker.node.folder / "etc/k0s/containerd.toml").read_text()
    assert main.startswith("# k0s_managed=true")

    after = worker.pid
    document = worker.node.ok("up")
    assert not document["applied"]
    time.sleep(4)
    assert worker.pid == after, "nothing changed, so nothing is bounced"
    assert worker.node.ok("status")["proved"] is not False


def test_what_fails_its_proof_is_taken_back_and_k0s_runs_the_old_files_again(
    worker: Worker,
) -> None:
    worker.start()
    worker.node.ok("up")
    files = worker.node.files()
    settings = worker.node.settings.read_text()
    worker.node.write_settings(settings + '[node.handlers.broken]\nbinary = "/bin/false"\n')
    done = worker.node.run("up")
    assert done.returncode == 6, done.stderr
    assert "sandbox of handler 'broken'" in done.stderr
    assert "k0s runs it, and it is proved" in done.stderr
    worker.node.write_settings(settings)
    changed = {"etc/k0s/containerd.toml", "run/k0s/containerd-cri.toml"}
    now = worker.node.files()
    assert {k: v for k, v in now.items() if k not in changed} == {
        k: v for k, v in files.items() if k not in changed
    }
    assert worker.node.ok("verify")


def test_k0s_that_does_not_run_gets_right_files_and_is_told_of(worker: Worker) -> None:
    document = worker.node.ok("up")
    assert "k0s is not running: the files are right" in document["notes"][0]
    assert document["proofs"] == []
    worker.start()
    document = worker.node.ok("verify")
    assert "fail" not in {proof["verdict"] for proof in document["proofs"]}


def test_a_containerd_that_does_not_come_back_is_told_with_the_reason_of_k0ss_log(
    worker_36: Worker,
) -> None:
    node, broken = worker_36.node, worker_36.node.folder / "var/broken"
    node.write_settings(
        node.settings.read_text().replace("[node]\n", "[node]\nbounce_seconds = 10\n", 1)
    )
    wrapper = node.folder / "var/programs/containerd"
    wrapper.write_text(
        f"#!/bin/sh\nif [ -e {broken} ]; then echo 'containerd: no \"luck\" today' >&2; exit 1; fi\n"
        f'exec {node.containerd} "$@"\n'
    )
    wrapper.chmod(0o755)
    ctr = wrapper.with_name("ctr")
    ctr.symlink_to(node.containerd.with_name("ctr"))
    node.containerd = wrapper
    worker_36.start()
    files = set(node.files())
    broken.touch()
    done = node.run("up", "--containerd", str(CONTAINERDS["2.1"]))
    broken.unlink()
    assert done.returncode == 7, done.stderr
    assert "did not bring its CRI back within 10 s" in done.stderr
    assert 'no "luck" today' in done.stderr
    assert set(node.files()) == files, "the old files are back all the same"
    worker_36.wait_for_cri()


def test_k0s_135_that_cannot_compose_keeps_its_containerd(worker_35: Worker) -> None:
    worker_35.start()
    before = worker_35.pid
    bad = worker_35.node.dropins / "vendor.toml"
    bad.write_text("version = 2\n[plugins.'io.containerd.grpc.v1.cri\n")
    done = worker_35.node.run("up")
    assert done.returncode == 3
    time.sleep(4)
    assert "failed to merge" in worker_35.log
    assert worker_35.pid == before
    bad.unlink()


def test_a_bounce_that_another_hand_has_caused_is_let_be_over(worker_36: Worker) -> None:
    """Its handler is in no containerd yet, and the one that runs is about to die."""
    worker_36.start()
    worker_36.node.ok("up")
    before = worker_36.pid
    table = '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.vendor]'
    dropin = worker_36.node.dropins / "vendor.toml"
    dropin.write_text(f'version = 3\n\n{table}\nruntime_type = "io.containerd.runc.v2"\n')
    document = worker_36.node.ok("up")
    assert not document["applied"]
    assert worker_36.pid != before
    assert {p["handler"]: p["verdict"] for p in document["proofs"]}["vendor"] == "pass"
    worker_36.stop()
    dropin.touch()
    worker_36.start()
    assert worker_36.node.ok("verify"), "k0s did not see it, and no bounce is waited for"


def test_a_k0s_that_gives_no_status_is_not_waited_for(worker_36: Worker) -> None:
    worker_36.start("--stand-in-silent=yes")
    started = time.monotonic()
    done = worker_36.node.run("plan")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 15
    document = worker_36.node.ok("up")
    assert "pass" in {proof["verdict"] for proof in document["proofs"]}


def test_another_k0s_that_is_installed_is_told_when_it_would_refuse_the_files(
    worker_35: Worker,
) -> None:
    worker_35.start()
    k0s_stand_in.program(worker_35.k0s.parent, "v1.36.3+k0s.0")
    document = worker_35.node.ok("up")
    (note,) = [note for note in document["notes"] if "is installed" in note]
    assert "k0s 1.35.1 runs, and 1.36.3 is installed" in note
    assert "its next start would refuse" in note
    worker_35.stop()
    assert subprocess.run(
        [worker_35.k0s, "worker", f"--stand-in-node={worker_35.node.folder}",
         f"--stand-in-containerd={worker_35.node.containerd}"],
        env=worker_35.node.environment(), check=False, timeout=30,
    ).returncode == 1  # fmt: skip
    worker_35.node.containerd = CONTAINERDS["2.1"]
    worker_35.node.ok("up")
    worker_35.start()
    assert worker_35.node.ok("verify")


def test_a_worker_that_uses_another_runtime_is_told_that_drop_ins_do_nothing(
    worker_36: Worker,
) -> None:
    worker_36.start("--cri-socket=remote:unix:///run/cri-dockerd.sock")
    document = worker_36.node.ok("up")
    assert "--cri-socket=remote:unix:///run/cri-dockerd.sock" in document["notes"][0]
    assert not os.path.exists(worker_36.node.socket)


def test_a_pod_lives_through_k0ss_bounce(worker_36: Worker) -> None:
    from tests.real.test_pods_live_on import alive, pid_now, run_pod

    worker_36.node.ok("up")
    worker_36.start()
    with CRI(str(worker_36.node.socket)) as cri:
        for _ in range(100):
            if cri.has_image("k0sruntime.local/probe:1"):
                break
            time.sleep(0.1)
        pod = run_pod(cri)
    worker_36.node.write_settings(worker_36.node.settings.read_text() + "[node.handlers.more]\n")
    worker_36.node.ok("up")
    assert pid_now(worker_36.node) == pod
    assert alive(pod)
