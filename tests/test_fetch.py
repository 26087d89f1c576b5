"""Fetching from a local HTTP server and out of a folder: checked, resumed, refused."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import http.server
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from k0sruntime import web
from k0sruntime.binaries import Download
from k0sruntime.cache import Cache
from k0sruntime.errors import ExitCode, RefusedError
from k0sruntime.fetch import ATTEMPTS, Fetcher, Meter, checksum_in

CONTENT = bytes(range(256)) * 8192
"""Two megabytes: two pieces."""
SHA512 = hashlib.sha512(CONTENT).hexdigest()


class Server:
    """A local HTTP server whose answers a test sets, and which remembers what it was asked."""

    def __init__(self) -> None:
        self.files = {"/runsc": CONTENT, "/runsc.sha512": f"{SHA512}  runsc\n".encode()}
        self.asked: list[tuple[str, str]] = []
        self.answers: list[Callable[[http.server.BaseHTTPRequestHandler], bool]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Range", "")))
                if outer.answers and outer.answers.pop(0)(self):
                    return
                outer.plain(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def plain(self, request: http.server.BaseHTTPRequestHandler) -> None:
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        asked = request.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(content) > 0:
            request.send_error(416)
            return
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        request.wfile.write(content[start:])


def status(code: int, **headers: str):
    def answer(request: http.server.BaseHTTPRequestHandler) -> bool:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        return True

    return answer


def cut_after(size: int):
    def answer(request: http.server.BaseHTTPRequestHandler) -> bool:
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        request.wfile.write(CONTENT[:size])
        request.wfile.flush()
        request.connection.shutdown(socket.SHUT_RDWR)
        return True

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "cache"))


def fetcher(cache: Cache, **more) -> Fetcher:
    return Fetcher(cache, **{"pause": lambda _: None, **more})


def download(server: Server, **more) -> Download:
    return Download(url=f"{server.url}/runsc", **(more or {"sha512": SHA512}))


def left(cache: Cache) -> list[str]:
    return sorted(
        str(path.relative_to(cache.folder))
        for path in Path(cache.folder).rglob("*")
        if path.is_file() and path.stat().st_size
    )


def test_a_file_is_fetched_once_and_is_no_program_yet(server: Server, cache: Cache) -> None:
    path = fetcher(cache).fetch(download(server))
    assert Path(path).read_bytes() == CONTENT
    assert not os.stat(path).st_mode & 0o111
    assert fetcher(cache).fetch(download(server)) == path
    assert len(server.asked) == 1


def test_the_checksum_comes_from_the_vendors_document(server: Server, cache: Cache) -> None:
    wanted = download(server, sha512_url=f"{server.url}/runsc.sha512")
    fetcher(cache).fetch(wanted)
    assert [path for path, _ in server.asked] == ["/runsc.sha512", "/runsc"]
    fetcher(cache, offline=True).fetch(wanted)
    assert len(server.asked) == 2, "offline, the cache holds document and file"


def test_sha256_will_do_where_a_vendor_tells_no_other(server: Server, cache: Cache) -> None:
    wanted = download(server, sha256=hashlib.sha256(CONTENT).hexdigest())
    assert "/sha256/" in fetcher(cache).fetch(wanted)


def test_a_wrong_checksum_is_refused_and_leaves_nothing(server: Server, cache: Cache) -> None:
    with pytest.raises(RefusedError, match=r"the sha512 is .* is wanted") as refused:
        fetcher(cache).fetch(download(server, sha512="0" * 128))
    assert refused.value.exit_code == ExitCode.REFUSED
    assert "do not trust this source" in refused.value.problems[0].remedy
    assert left(cache) == []


def test_a_checksum_document_that_does_not_fit_is_forgotten(server: Server, cache: Cache) -> None:
    server.files["/runsc.sha512"] = f"{'0' * 128}  runsc\n".encode()
    wanted = download(server, sha512_url=f"{server.url}/runsc.sha512")
    with pytest.raises(RefusedError):
        fetcher(cache).fetch(wanted)
    server.files["/runsc.sha512"] = f"{SHA512}  runsc\n".encode()
    assert fetcher(cache).fetch(wanted)


@pytest.mark.parametrize("document", ["", "<html>not found</html>", f"{SHA512}  other\n"])
def test_a_document_without_the_file_is_refused(
    server: Server, cache: Cache, document: str
) -> None:
    server.files["/runsc.sha512"] = document.encode()
    with pytest.raises(RefusedError, match="holds no sha512 of runsc"):
        fetcher(cache).fetch(download(server, sha512_url=f"{server.url}/runsc.sha512"))


def test_a_document_that_never_ends_is_refused(server: Server, cache: Cache) -> None:
    server.files["/runsc.sha512"] = CONTENT
    with pytest.raises(RefusedError, match="no checksum document"):
        fetcher(cache).fetch(download(server, sha512_url=f"{server.url}/runsc.sha512"))


@pytest.mark.parametrize(
    "document",
    [
        f"{SHA512}  runsc\n",
        f"{SHA512} *./x86_64/runsc\n",
        f"{SHA512.upper()}",
        f"# a\n{SHA512}  runsc",
    ],
)
def test_the_formats_of_sha512sum_are_read(document: str) -> None:
    assert checksum_in(document, "runsc") == SHA512


def test_a_cut_connection_goes_on_where_it_ended(server: Server, cache: Cache) -> None:
    server.answers = [cut_after(1_500_000)]
    assert Path(fetcher(cache).fetch(download(server))).read_bytes() == CONTENT
    (_, first), (_, second) = server.asked
    assert first == ""
    assert second.startswith("bytes=")
    assert second != "bytes=0-"


def test_another_command_goes_on_where_a_killed_one_ended(server: Server, cache: Cache) -> None:
    with cache.partial("sha512", SHA512) as partial:
        partial.write(CONTENT[:1000])
    assert Path(fetcher(cache).fetch(download(server))).read_bytes() == CONTENT
    assert server.asked == [("/runsc", "bytes=1000-")]


def test_a_whole_partial_is_not_fetched_again(server: Server, cache: Cache) -> None:
    with cache.partial("sha512", SHA512) as partial:
        partial.write(CONTENT)
    assert Path(fetcher(cache).fetch(download(server))).read_bytes() == CONTENT


def test_the_beginning_of_something_else_is_thrown_away(server: Server, cache: Cache) -> None:
    with cache.partial("sha512", SHA512) as partial:
        partial.write(b"the beginning of an older build")
    assert Path(fetcher(cache).fetch(download(server))).read_bytes() == CONTENT
    assert server.asked[-1] == ("/runsc", "")


def test_a_server_that_knows_no_ranges_sends_it_whole(server: Server, cache: Cache) -> None:
    def whole(request: http.server.BaseHTTPRequestHandler) -> bool:
        del request.headers["Range"]
        return False

    with cache.partial("sha512", SHA512) as partial:
        partial.write(CONTENT[:1000])
    server.answers = [whole]
    assert Path(fetcher(cache).fetch(download(server))).read_bytes() == CONTENT


def test_a_file_that_is_always_cut_is_refused_as_such(server: Server, cache: Cache) -> None:
    server.answers = [cut_after(0)] * ATTEMPTS
    with pytest.raises(RefusedError, match=f"{ATTEMPTS} times"):
        fetcher(cache).fetch(download(server))
    assert left(cache) == []


def test_a_truncated_file_with_its_length_is_refused(server: Server, cache: Cache) -> None:
    server.files["/runsc"] = CONTENT[:-1]
    with pytest.raises(RefusedError, match="the sha512 is"):
        fetcher(cache).fetch(download(server))
    assert left(cache) == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_may_be_gone_a_moment_later_is_tried_again(
    server: Server, cache: Cache, code: int
) -> None:
    waited: list[float] = []
    server.answers = [status(code), status(code)]
    fetcher(cache, pause=waited.append).fetch(download(server))
    assert waited == [0.5, 1.0]


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_plain_no_is_told_at_once(server: Server, cache: Cache, code: int) -> None:
    server.answers = [status(code)]
    with pytest.raises(RefusedError, match=f"the server answers {code}"):
        fetcher(cache).fetch(download(server))
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_told(cache: Cache) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RefusedError, match="refused, 5 times") as refused:
        fetcher(cache).fetch(Download(url=f"http://127.0.0.1:{port}/runsc", sha512=SHA512))
    assert "--cache DIR" in refused.value.problems[0].remedy


def dripping(sent: bytes, *, head: bool):
    """Answer with one byte after the other, and never come to an end."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> bool:
        if not head:
            request.send_response(206 if request.headers.get("Range") else 200)
            request.send_header("Content-Length", str(len(CONTENT)))
            request.end_headers()
        with contextlib.suppress(OSError):
            for byte in sent:
                request.wfile.write(bytes([byte]))
                request.wfile.flush()
                time.sleep(0.02)
        request.close_connection = True
        return True

    return answer


def test_a_source_that_drips_is_given_up_and_what_came_of_it_is_kept(
    server: Server, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "RATE_SECONDS", 0.3)
    server.answers = [dripping(CONTENT[:500], head=False)]
    waited: list[float] = []
    path = fetcher(cache, pause=waited.append).fetch(download(server))
    assert Path(path).read_bytes() == CONTENT
    assert waited == [0.5]
    (_, again) = server.asked[1]
    assert 5 <= int(again.removeprefix("bytes=").removesuffix("-")) < 500


def test_a_source_that_always_drips_is_refused(
    server: Server, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "RATE_SECONDS", 0.1)
    server.answers = [dripping(CONTENT[:500], head=False)] * ATTEMPTS
    with pytest.raises(RefusedError, match=r"it is too slow: \d+ bytes in 0 s, 5 times"):
        fetcher(cache).fetch(download(server))


def test_a_source_that_never_ends_its_headers_is_given_up(
    server: Server, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "ANSWER_SECONDS", 0.3)
    server.answers = [dripping(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 50, head=True)]
    assert fetcher(cache).fetch(download(server))


def test_a_file_that_comes_steadily_is_taken_however_long_it_takes(
    server: Server, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "RATE_SECONDS", 0.05)
    monkeypatch.setattr(web, "LEAST_RATE", 10)
    server.files["/runsc"] = b"slow but sure"
    server.answers = [dripping(b"slow but sure", head=False)]
    monkeypatch.setitem(globals(), "CONTENT", b"slow but sure")
    digest = hashlib.sha512(b"slow but sure").hexdigest()
    assert fetcher(cache).fetch(download(server, sha512=digest))
    assert len(server.asked) == 1


def test_a_redirect_is_followed(server: Server, cache: Cache) -> None:
    server.answers = [status(302, Location="/elsewhere")]
    server.files["/elsewhere"] = CONTENT
    assert fetcher(cache).fetch(download(server))


def test_a_redirect_in_a_circle_ends(server: Server, cache: Cache) -> None:
    server.answers = [status(302, Location="/runsc")] * 20
    with pytest.raises(RefusedError, match="more than 5 redirects"):
        fetcher(cache).fetch(download(server))


@pytest.fixture
def tls(server: Server, tmp_path: Path) -> str:
    """Turn the server to TLS with an authority of its own, and return the authority's file."""
    authority = write_authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    server.url = server.url.replace("http://", "https://")
    return authority


def write_authority(folder: Path) -> str:
    now = dt.datetime.now(dt.timezone.utc)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "server.pem").write_bytes(private + pem)
    return str(folder / "ca.pem")


def test_an_authority_of_ones_own_is_trusted_when_named(
    server: Server, cache: Cache, tls: str
) -> None:
    with pytest.raises(RefusedError, match=r"TLS: .*self-signed") as refused:
        fetcher(cache).fetch(download(server))
    assert "[node.downloads] ca" in refused.value.problems[0].remedy
    assert fetcher(cache, ca=tls).fetch(download(server))


def test_an_authority_that_is_not_there_is_told(server: Server, cache: Cache, tls: str) -> None:
    with pytest.raises(RefusedError, match="CA certificate bundle"):
        fetcher(cache, ca=f"{tls}.none").fetch(download(server))


@pytest.mark.parametrize("target", ["http://127.0.0.1/x", "file:///etc/shadow", "ftp://x/y"])
def test_a_redirect_out_of_https_is_refused(
    server: Server, cache: Cache, tls: str, target: str
) -> None:
    server.answers = [status(302, Location=target)]
    with pytest.raises(RefusedError, match="which is not https"):
        fetcher(cache, ca=tls).fetch(download(server))


def test_a_redirect_within_https_is_followed(server: Server, cache: Cache, tls: str) -> None:
    server.answers = [status(307, Location=f"{server.url}/elsewhere")]
    server.files["/elsewhere"] = CONTENT
    assert fetcher(cache, ca=tls).fetch(download(server))


@pytest.mark.parametrize("target", ["file:///etc/shadow", "ftp://x/y"])
def test_a_redirect_to_no_web_server_is_refused(server: Server, cache: Cache, target: str) -> None:
    server.answers = [status(302, Location=target)]
    with pytest.raises(RefusedError, match="which is not https"):
        fetcher(cache).fetch(download(server))


def test_the_proxy_of_the_environment_is_used(
    server: Server, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.files["http://vendor.test/runsc"] = CONTENT
    assert fetcher(cache).fetch(Download(url="http://vendor.test/runsc", sha512=SHA512))
    assert server.asked == [("http://vendor.test/runsc", "")]


def test_a_cache_that_cannot_be_written_still_serves(
    server: Server, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A carried cache may be mounted read-only; root writes anywhere, so the calls are barred."""
    wanted = download(server, sha512_url=f"{server.url}/runsc.sha512")
    fetcher(cache).fetch(wanted)
    monkeypatch.setattr(Cache, "keep_document", None)
    monkeypatch.setattr(Cache, "partial", None)
    assert fetcher(cache, offline=True).fetch(wanted)


def test_offline_opens_no_socket(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", never)
    monkeypatch.setattr(socket, "getaddrinfo", never)
    with pytest.raises(RefusedError, match="--offline opens no socket"):
        fetcher(cache, offline=True).fetch(Download(url="https://a.test/runsc", sha512=SHA512))


def test_a_folder_is_a_source_offline_too(tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "runsc").write_bytes(CONTENT)
    (tmp_path / "runsc.sha512").write_text(f"{SHA512}  runsc\n")
    url = str(tmp_path / "runsc")
    path = fetcher(cache, offline=True).fetch(Download(url=url, sha512_url=f"{url}.sha512"))
    assert path.startswith(cache.folder), "what is checked is what is installed"


def test_a_folder_without_the_file_says_so(tmp_path: Path, cache: Cache) -> None:
    with pytest.raises(RefusedError, match="No such file"):
        fetcher(cache).fetch(Download(url=str(tmp_path / "runsc"), sha512=SHA512))


def test_a_file_that_rotted_in_the_cache_is_fetched_again(server: Server, cache: Cache) -> None:
    path = fetcher(cache).fetch(download(server))
    Path(path).write_bytes(b"rotten")
    assert Path(fetcher(cache).fetch(download(server))).read_bytes() == CONTENT


def test_no_space_is_told(server: Server, cache: Cache) -> None:
    """/dev/full refuses every write as a full disk does."""
    folder = Path(cache.folder) / "partial"
    folder.mkdir(parents=True)
    (folder / SHA512).symlink_to("/dev/full")
    with pytest.raises(RefusedError, match="No space left on device"):
        fetcher(cache).fetch(download(server))


def test_progress_is_told(server: Server, cache: Cache) -> None:
    told: list[str] = []
    fetcher(cache, progress=told.append).fetch(download(server))
    assert told[0].startswith("runsc [--------------------] "), "from the first bytes on"
    assert len(told) == len(set(told)) <= 101, "what is told is new"
    assert told[-1] == "runsc [####################] 100 % of 2.1 MB"


def test_progress_is_a_bar_or_bytes_where_the_length_is_not_known() -> None:
    told: list[str] = []
    meter = Meter("runsc", told.append)
    for done, total in ((len(CONTENT) // 2, len(CONTENT)), (1_500_000, 0), (1_500_001, 0)):
        meter.show(done, total)
    assert told == ["runsc [##########----------] 50 % of 2.1 MB", "runsc 1.5 MB"]


def test_credentials_in_an_url_are_masked(server: Server, cache: Cache) -> None:
    url = server.url.replace("://", "://me:secret@")
    with pytest.raises(RefusedError) as refused:
        fetcher(cache).fetch(Download(url=f"{url}/none?token=secret", sha512=SHA512))
    text = "\n".join(line for p in refused.value.problems for line in p.lines())
    assert "secret" not in text
    assert "/none?****" in text
