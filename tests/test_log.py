"""Where containerd logs to, and what its log says of a failed start."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from k0sruntime.errors import RefusedError
from k0sruntime.modes import log, managed
from k0sruntime.paths import Paths
from k0sruntime.testing import make_node


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths.in_sandbox(str(tmp_path))
    os.makedirs(found.run)
    return found


class FakeJournal(threading.Thread):
    """Takes one stream as journald does, and keeps what came; no journald runs here."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(path)
        self.server.listen()
        self.text = b""

    def run(self) -> None:
        client, _ = self.server.accept()
        with client, self.server:
            while part := client.recv(4096):
                self.text += part


def test_the_journal_gets_a_stream_of_containerds_own(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "JOURNAL", str(tmp_path / "stdout"))
    journal = FakeJournal(log.JOURNAL)
    journal.start()
    with log.opened(paths, "journal") as output:
        os.write(output, b"a line of containerd\n")
    journal.join(10)
    head = b"k0sruntime-containerd\n\n6\n0\n0\n0\n0\n"
    assert journal.text == head + b"a line of containerd\n"


def test_without_a_journal_it_is_refused_with_what_to_do(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "JOURNAL", str(tmp_path / "nobody"))
    with (
        pytest.raises(RefusedError, match="the journal cannot be reached") as refused,
        log.opened(paths, "journal"),
    ):
        pass
    assert "log = 'file'" in refused.value.problems[0].remedy


def test_a_large_log_is_set_aside_when_containerd_is_started(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LARGEST", 10)
    for text in (b"the first start\n", b"the second\n"):
        with log.opened(paths, "file") as output:
            os.write(output, text)
    file = Path(log.file_of(paths))
    assert file.read_bytes() == b"the second\n"
    assert file.with_suffix(".log.1").read_bytes() == b"the first start\n"


def test_the_reason_is_what_came_after_the_mark_even_where_the_log_was_set_aside(
    paths: Paths,
) -> None:
    with log.opened(paths, "file") as output:
        os.write(output, b"containerd: an old reason\n")
    since = log.mark(paths, "file")
    with log.opened(paths, "file") as output:
        os.write(output, b'time="now" level=info msg=starting\ncontainerd: a new reason\n')
    assert log.why(paths, "file", since) == "a new reason"
    Path(log.file_of(paths)).write_text("containerd: after the rotation\n")
    assert log.why(paths, "file", "4096") == "after the rotation"


def test_the_first_cri_plugin_that_failed_names_the_cause() -> None:
    lines = [
        'level=warning msg="failed to load plugin" error="no \\"cni\\" here" id=io.containerd.cri.v1',
        'level=warning msg="failed to load plugin" error="another failed" id=io.containerd.grpc.cri',
    ]
    assert log.reason(lines) == 'no "cni" here'


def test_containerds_own_lines_are_taken_out_of_k0ss_log(paths: Paths) -> None:
    os.makedirs(paths.logs)
    Path(f"{paths.logs}/k0sworker.err").write_text(
        'time="…" level=info msg="containerd: no \\"luck\\"" component=containerd stream=stderr\n'
        'time="…" level=warning msg="Process terminated unexpectedly" component=containerd\n'
        'time="…" level=info msg="kubelet says" component=kubelet stream=stderr\n'
    )
    node = make_node("node", None, paths=paths)
    assert managed.log_lines(node, 0) == ['containerd: no "luck"']
