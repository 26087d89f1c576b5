"""Asking an endpoint: a short limit, whatever it does, and never an exception."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import threading
import time

import pytest

import k0sruntime.reach
from k0sruntime.reach import ReachTarget, ask, reach_endpoints

NOW = dt.datetime(2026, 11, 25, tzinfo=dt.timezone.utc)


@contextlib.contextmanager
def answering(data):
    """Listen on loopback and answer every request with these bytes; ``None``: never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    held.append(connection)
                    if data is not None:
                        connection.recv(4096)
                        connection.sendall(data)
                        connection.close()

        held = []
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v2"
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    ("data", "good", "told"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, "answers 200"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True, "answers 401"),
        (b"HTTP/1.1 503 Unavailable\r\n\r\n", False, "answers 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, "does not speak HTTP"),
        (b"", False, "Remote end closed connection"),
    ],
)
def test_what_it_answers_is_told(data, good, told):
    with answering(data) as url:
        found = ask(ReachTarget(url), NOW)
    assert (found.good, told in found.detail) == (good, True), found


def test_tls_with_one_that_has_none_is_told():
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        found = ask(ReachTarget(url.replace("http:", "https:")), NOW)
    assert not found.good
    assert found.detail.startswith("no TLS: ")
    assert "http://" in found.remedy


def test_nobody_there_is_told():
    assert (
        ask(ReachTarget("https://127.0.0.1:9/v2"), NOW).detail
        == "cannot be reached: Connection refused"
    )


def test_a_name_that_is_none_is_told():
    assert ask(ReachTarget("https://m.invalid/v2"), NOW).detail.startswith("cannot be reached: ")


def test_a_file_that_is_missing_is_told(tmp_path):
    found = ask(ReachTarget("https://127.0.0.1:9/v2", ca=[str(tmp_path / "ca.crt")]), NOW)
    assert found.detail == "its certificates cannot be used: No such file or directory"


def test_one_that_never_answers_is_given_up_and_keeps_no_other_waiting(monkeypatch):
    monkeypatch.setattr(k0sruntime.reach, "SECONDS", 0.2)
    started = time.monotonic()
    with answering(None) as silent, answering(b"HTTP/1.1 200 OK\r\n\r\n") as good:
        found = reach_endpoints({"silent": ReachTarget(silent), "good": ReachTarget(good)}, NOW)
    assert time.monotonic() - started < 2
    assert found["silent"].detail == "cannot be reached: no answer within 0.2 s"
    assert found["good"].good


def test_a_look_up_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(k0sruntime.reach, "LIMIT", 0.2)
    over = threading.Event()

    def hang(*_):
        over.wait(5)
        raise OSError

    monkeypatch.setattr(k0sruntime.reach.socket, "create_connection", hang)
    found = reach_endpoints({"hangs": ReachTarget("http://m.invalid/v2")}, NOW)
    over.set()
    assert found["hangs"].detail == "cannot be reached: no answer within 0.2 s"


def test_headers_are_sent():
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            seen.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v2"
        assert ask(ReachTarget(url, headers={"Authorization": ["Bearer x"]}), NOW).good
    assert b"GET /v2/ HTTP/1.1\r\n" in seen[0]
    assert b"Authorization: Bearer x\r\n" in seen[0]
