"""What is seen of a real node: a roll-back and its reason, counts, metrics, and a view that lasts."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.real.conftest import LAB, RealNode
from tests.real.test_managed import Worker, worker_36

__all__ = ["worker_36"]
pytestmark = pytest.mark.real
BROKEN = '\n[node.handlers.broken]\nbinary = "/bin/false"\n'


def metrics(node: RealNode) -> dict[str, Any]:
    """Return the node's metrics, after promtool has had nothing to complain of."""
    done = node.run("status", "--prometheus", "-")
    assert done.returncode == 0, done.stderr
    checked = subprocess.run(
        [LAB / "bin/promtool", "check", "metrics"],
        input=done.stdout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    return {
        " ".join([sample.name.removeprefix("k0sruntime_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(done.stdout)
        for sample in family.samples
    }


def test_a_generation_that_failed_its_proof_says_why_for_ever(node_2: RealNode) -> None:
    node_2.ok("up")
    before = metrics(node_2)
    assert (before["bounces_total"], before["containerd_starts_total"]) == (0, 1)
    assert before["last_rollback_timestamp_seconds"] == 0
    settings = node_2.settings.read_text()
    node_2.write_settings(settings + BROKEN)
    started = time.time()
    assert node_2.run("up").returncode == 6
    node_2.write_settings(settings)

    document = node_2.ok("report")
    assert (document["state"], document["generation"]) == ("proved", 1)
    latest, first = document["generations"]
    assert (latest["generation"], latest["proved"], latest["present"]) == (2, False, False)
    assert latest["rolled_back"]["to"] == 1
    (reason,) = latest["rolled_back"]["reasons"]
    assert "sandbox of handler 'broken'" in reason
    assert (first["proved"], first["rolled_back"]) == (True, None)
    assert first["at"] < latest["at"] <= latest["rolled_back"]["at"]
    assert "rolled back to 1 at" in node_2.run("status").stdout

    found = metrics(node_2)
    assert found["rollbacks_total"] == 1
    assert found["last_rollback_timestamp_seconds"] >= int(started)
    assert found["bounces_total"] == 2, "into the change, and out of it again"
    assert found["handler_proof crun node pass"] == 1
    assert found["containerd_start_timestamp_seconds"] == pytest.approx(started, abs=30)
    assert found["state proved"] == 1

    assert node_2.run("up").returncode == 0
    third = node_2.ok("report")["generations"][0]
    assert third["rolled_back"], "what came after does not wash it away"


def test_a_proof_that_fails_later_is_the_last_proof(node_2: RealNode) -> None:
    node_2.ok("up")
    handler = node_2.folder / "var/crun"
    handler.write_text(f'#!/bin/sh\nexec {LAB}/bin/crun "$@"\n')
    handler.chmod(0o755)
    node_2.write_settings(node_2.settings.read_text().replace(f"{LAB}/bin/crun", str(handler)))
    node_2.ok("up")
    handler.write_text("#!/bin/sh\nexit 1\n")
    assert node_2.ok("report")["state"] == "proved", "nobody has asked since"
    assert node_2.run("verify").returncode == 8
    found = metrics(node_2)
    assert found["handler_proof crun node fail"] == 1
    assert found["state failed"] == 1
    handler.write_text(f'#!/bin/sh\nexec {LAB}/bin/crun "$@"\n')
    node_2.ok("verify")
    assert metrics(node_2)["handler_proof crun node pass"] == 1


def test_a_key_that_is_pending_is_not_in_the_digest_yet(node_2: RealNode) -> None:
    node_2.ok("up")
    before = node_2.ok("report")
    (node_2.dropins / "vendor.toml").write_text(
        'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\nenable_selinux = true\n'
    )
    waiting = node_2.ok("report")
    assert waiting["digest"] == before["digest"]
    assert [(c["key"][-1], c["before"], c["after"]) for c in waiting["pending"]["keys"]] == [
        ("enable_selinux", None, True)
    ]
    node_2.ok("up")
    after = node_2.ok("report")
    assert after["digest"] != before["digest"]
    assert after["pending"] is None
    (key,) = [key for key in after["keys"] if key["key"][-1] == "enable_selinux"]
    assert key["set_by"]["owner"] == "a foreign file"
    assert metrics(node_2)["foreign_files"] == 1


def test_managed_mode_tells_its_proof_and_its_bounces_too(worker_36: Worker) -> None:
    node = worker_36.node
    worker_36.start()
    node.ok("up")
    document = node.ok("report")
    assert (document["mode"], document["state"]) == ("managed", "proved")
    assert document["containerd"]["pid"] == worker_36.pid
    assert document["pending"] is None
    assert {"other", "runc"} <= {handler["name"] for handler in document["handlers"]}
    found = metrics(node)
    assert found["handler_proof other node pass"] == 1
    assert found["bounces_total"] == 1
    assert found["containerd_starts_total"] == 0, "k0s starts it"
    assert found["containerd_up"] == 1
    assert re.search(r"other +node +- +pass", node.run("status").stdout)

    os.kill(worker_36.pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{document['containerd']['pid']}/exe").exists())
    worker_36.wait_for_cri()
    wait_until(lambda: metrics(node)["containerd_up"] == 1)
    assert node.ok("report")["state"] == "not proved", "that was another process"
    assert metrics(node)["handler_proof other node not_run"] == 1


def wait_until(done: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_watch_in_a_pipe_tells_what_changes_and_rides_over_a_bounce(node_2: RealNode) -> None:
    node_2.ok("up")
    log = node_2.folder / "watch.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            node_2.command("status", "--watch"), stdout=output, stderr=output, env=node_2.environment()
        )  # fmt: skip
    try:
        wait_until(lambda: "generation 1" in log.read_text())
        node_2.write_settings(node_2.settings.read_text() + 'runtime_class = "crun"\n')
        node_2.write_settings(
            node_2.settings.read_text() + f'[node.handlers.other]\nbinary = "{LAB}/bin/runc"\n'
        )
        wait_until(lambda: "Changes are pending" in log.read_text())
        node_2.ok("up")
        wait_until(lambda: "generation 2" in log.read_text())
        wait_until(lambda: bool(re.search(r"other .*pass: sandbox", log.read_text())))
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0, "Ctrl-C is how it ends"
    text = log.read_text()
    assert "\x1b" not in text
    assert "Traceback" not in text
    assert "interrupted" not in text
    views = re.split(r"^--- \d{4}-", text, flags=re.MULTILINE)[1:]
    told = [view.partition("\n")[2] for view in views]
    assert all(one != following for one, following in pairwise(told))


def test_watch_draws_over_a_terminal_and_fits_into_it(node_2: RealNode) -> None:
    node_2.ok("up")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 60, 0, 0))
    environment = {**node_2.environment(), "TERM": "xterm"}
    environment = {k: v for k, v in environment.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        node_2.command("status", "--watch"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while shown.count(b"\x1b[H") < 2:
            shown += os.read(ours, 4096)
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    first = shown.split(b"\x1b[H")[1].decode()
    lines = re.sub(r"\x1b\[\w", "", first).split("\r\n")
    assert len(lines) <= 8
    assert all(len(line) <= 60 for line in lines)
    assert "Ctrl-C ends" in lines[0]
    assert "more lines" in lines[-2]


def test_a_page_of_the_real_node_tells_of_it(node_2: RealNode) -> None:
    node_2.ok("up")
    page = node_2.folder / "page.html"
    done = node_2.run("report", "--html", str(page), "--name", "worker-1")
    assert (done.returncode, done.stdout) == (0, "")
    text = page.read_text()
    assert "<title>worker-1 · k0sruntime</title>" in text
    assert "Every handler ran a real sandbox." in text
    other = node_2.folder / "other.json"
    document = node_2.ok("report", "--name", "worker-2")
    other.write_text(json.dumps(document))
    assert (document["name"], len(document["digest"])) == ("worker-2", 64)
