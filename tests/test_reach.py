"""Asking an endpoint: a short limit, whatever it does, and never an exception."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

import k0sruntime.reach
from k0sruntime import containerd_proxies
from k0sruntime.paths import Paths
from k0sruntime.proxies import proxy_for
from k0sruntime.reach import ReachTarget, ask, reach_endpoints
from k0sruntime.testing import make_node

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


@pytest.mark.parametrize(
    ("status", "good", "told"),
    [
        (200, True, "answers 200"),
        (401, True, "answers 401"),
        (403, False, "answers 403: it lets this node do nothing"),
        (404, False, "answers 404: no registry's API is there"),
        (301, False, "answers 301: it leads elsewhere"),
        (400, False, "answers 400"),
        (429, False, "answers 429"),
        (502, False, "answers 502"),
    ],
)
def test_only_an_answer_of_a_registrys_root_is_good(status, good, told):
    with answering(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()) as url:
        found = ask(ReachTarget(url), NOW)
        below = ask(ReachTarget(url, root=False), NOW)
    assert (found.good, found.detail) == (good, told)
    assert bool(found.remedy) != good
    assert below.good == (status < 500), "elsewhere nobody knows what is right"


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".test", "h:99999", "[::1"])
def test_a_host_that_is_none_is_told_and_raises_nothing(host):
    found = ask(ReachTarget(f"http://{host}/v2"), NOW)
    assert not found.good
    assert found.detail.startswith("cannot be asked: ")


def test_a_header_of_any_letters_is_sent_as_go_sends_it():
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            seen.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v2"
        assert ask(ReachTarget(url, headers={"X-Team": ["a … b"]}), NOW).good
    assert "X-Team: a … b\r\n".encode() in seen[0]


def test_a_line_break_in_a_header_is_told_and_raises_nothing():
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        found = ask(ReachTarget(url, headers={"X": ["a\r\nb"]}), NOW)
    assert found.detail.startswith("cannot be asked: ")


def test_a_proxy_that_containerd_goes_through_is_gone_through_and_named():
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        proxy = url.replace("http://", "http://bob:hush@").removesuffix("/v2")
        environment = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}
        found = ask(ReachTarget("http://m.invalid/v2"), NOW, environment)
        shown = url.replace("http://", "http://****@").removesuffix("/v2")
        assert found.good
        assert found.detail == f"answers 200 (through the proxy {shown})"
        direct = ask(ReachTarget("http://m.invalid/v2"), NOW, {**environment, "NO_PROXY": "*"})
        assert direct.detail.startswith("cannot be reached: ")


def test_what_a_proxy_is_asked_for():
    seen = []

    def proxy(answer, url, **more):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve():
                connection, _ = server.accept()
                seen.append(connection.recv(4096).decode())
                connection.sendall(answer)
                connection.close()

            threading.Thread(target=serve, daemon=True).start()
            where = f"http://bob:hush@127.0.0.1:{server.getsockname()[1]}"
            return ask(ReachTarget(url), NOW, {"HTTP_PROXY": where, "HTTPS_PROXY": where, **more})

    found = proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "https://m.invalid/v2")
    assert "cannot be reached: the proxy answers 407 Proxy Authentication Required" in found.detail
    assert seen[0].startswith("CONNECT m.invalid:443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic Ym9iOmh1c2g=\r\n" in seen[0]
    assert proxy(b"HTTP/1.1 200 OK\r\n\r\n", "http://m.invalid:81/v2").good
    assert seen[1].startswith("GET http://m.invalid:81/v2/ HTTP/1.1\r\nHost: m.invalid:81\r\n")
    assert "Proxy-Authorization: Basic" in seen[1]
    assert "no TLS" in proxy(b"HTTP/1.1 200 OK\r\n\r\nno tls here", "https://m.invalid/v2").detail


def test_a_proxy_of_another_kind_is_named_and_not_asked():
    found = ask(ReachTarget("https://m.invalid/v2"), NOW, {"HTTPS_PROXY": "socks5://p:1"})
    assert not found.good
    assert found.detail == (
        "cannot be reached: this check does not speak socks5 to a proxy"
        " (through the proxy socks5://p:1)"
    )


@pytest.mark.parametrize(
    ("url", "without", "proxied"),
    [
        ("https://m.test", "", True),
        ("https://m.test", "m.test", False),
        ("https://a.m.test", "m.test", False),
        ("https://m.test", ".m.test", True),
        ("https://a.m.test", ".m.test", False),
        ("https://a.m.test", "*.m.test", False),
        ("https://am.test", "m.test", True),
        ("https://m.test:5000", "m.test:5000", False),
        ("https://m.test", "m.test:5000", True),
        ("https://m.test", "m.test:443", False),
        ("https://10.1.2.3", "10.0.0.0/8", False),
        ("https://11.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3:5000", "10.1.2.3", False),
        ("https://[fd00::1]:5000", "fd00::/8", False),
        ("https://[fd00::1]:5000", "[fd00::1]:5000", False),
        ("https://[fd00::1]", "fd00::1", False),
        ("https://m.test", "x, *", False),
        ("https://m.test", "10.0.0.0/99,,x", True),
        ("https://localhost:5000", "", False),
        ("https://127.0.0.2", "", False),
        ("https://[::1]:5000", "", False),
        ("http://m.test", "", False),
    ],
)
def test_no_proxy_means_what_it_means_to_containerd(url, without, proxied):
    for names in (("HTTPS_PROXY", "NO_PROXY"), ("https_proxy", "no_proxy")):
        environment = dict(zip(names, ("p.test:3128", without), strict=True))
        assert proxy_for(url, environment) == ("http://p.test:3128" if proxied else "")


def test_through_a_proxy_the_certificate_is_the_endpoints_own(tmp_path):
    """The proxy passes TLS on: here it ends it itself, as the endpoint would."""
    key, certificate = tmp_path / "key", tmp_path / "crt"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-subj", "/CN=m.test", "-addext", "subjectAltName=DNS:m.test"]
    made += ["-days", "90", "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, timeout=30, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(plain):
            with contextlib.suppress(OSError):
                plain.recv(4096)
                plain.sendall(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
                with context.wrap_socket(plain, server_side=True) as wrapped:
                    wrapped.recv(4096)
                    wrapped.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = server.accept()
                    threading.Thread(target=answer, args=(plain,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        proxies = {"HTTPS_PROXY": f"http://127.0.0.1:{server.getsockname()[1]}"}
        end = NOW + dt.timedelta(days=30)
        for target in (
            ReachTarget("https://m.test/v2", ca=[str(certificate)]),
            ReachTarget("https://m.test/v2", skip_verify=True),
        ):
            found = ask(target, dt.datetime.now(dt.timezone.utc), proxies)
            assert found.good, found
            assert "answers 401, certificate good until 20" in found.detail
        assert "not good" in ask(ReachTarget("https://n.test/v2"), end, proxies).detail


def test_the_proxies_are_those_of_the_containerd_that_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://ours:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    node = make_node("mirrors", {}, paths=Paths.in_sandbox(str(tmp_path)))
    assert containerd_proxies(node)["HTTPS_PROXY"] == "http://ours:1", "none runs"
    (tmp_path / "run/k0s").mkdir(parents=True)
    serve = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "print(flush=True); input()"
    )
    environment = {"HTTPS_PROXY": "http://its:1", "NO_PROXY": "x", "OTHER": "y"}
    with subprocess.Popen(
        [sys.executable, "-c", serve, node.paths.socket],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        assert containerd_proxies(node) == {"HTTPS_PROXY": "http://its:1", "NO_PROXY": "x"}
        process.communicate(b"\n")
