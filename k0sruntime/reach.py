"""Asking registries as containerd would: do they answer, and how long are certificates good.

Nothing but the standard library: ``ssl`` verifies as containerd does (the system's CAs and those
of the hosts file, names from the SAN alone), ``http.client`` asks ``/v2/``. A proxy that containerd
goes through is gone through, and named.
"""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import os
import socket
import ssl
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from k0sruntime import masking
from k0sruntime.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 3.0
"""Limit of each step of an endpoint's check: connecting, TLS, the answer."""
LIMIT = 8.0
"""Limit of all endpoints together, their names' look-up included."""
LONGEST_HEAD = 16384
SOON = dt.timedelta(days=30)
"""A certificate that ends within this is told as a warning."""
GOOD = (200, 401)
"""What the root of a registry's API answers; 401 wants credentials, and so is a registry's."""
SERVER_ERROR = 500
WHY = {
    403: ("it lets this node do nothing", "Give it credentials or headers that let it in."),
    404: ("no registry's API is there", "Correct the URL: port, path, prefix."),
}
MOVED = range(300, 400)
CLIENT_WANTED = ("certificate required", "alert bad certificate")
"""What a server says that wants a client's certificate: TLS 1.3 (RFC 8446, 6.2) and before."""


@dataclass(frozen=True)
class Reached:
    """What one endpoint said.

    Attributes:
        good: containerd could pull from it, as far as asking can tell.
        detail: what it answered, and until when its certificate is good; one line.
        remedy: what to do where it is not good; empty where nothing helps but waiting.
    """

    good: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class ReachTarget:
    """How an endpoint is asked.

    Attributes:
        url: scheme, host and path of the registry's API.
        ca: paths of CA certificates on this machine.
        client: pairs of paths, certificate and key.
        skip_verify: its certificate is not verified.
        headers: sent with the request.
        root: the URL is the root of the API; elsewhere any answer but an error may be right.
    """

    url: str
    ca: Sequence[str] = ()
    client: Sequence[tuple[str, str]] = ()
    skip_verify: bool = False
    headers: Mapping[str, Sequence[str]] | None = None
    root: bool = True


def reach_endpoints(
    targets: Mapping[str, ReachTarget],
    now: dt.datetime,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Reached]:
    """Ask endpoints at the same time; what has not answered within the limit is given up.

    A name that is looked up in vain may hang for longer than any limit of a connection. Its thread
    is a daemon, so that it keeps nobody waiting.

    Args:
        targets: how each is asked, by any name.
        now: for the ends of certificates.
        environment: whose proxies count (``HTTPS_PROXY``, ``NO_PROXY``); ``None``: our own.
    """
    answers: dict[str, Reached] = {}

    def run(name: str, target: ReachTarget) -> None:
        answers[name] = ask(target, now, environment)

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in targets.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + LIMIT
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = Reached(False, f"cannot be reached: no answer within {LIMIT:g} s")
    return {name: answers.get(name, late) for name in targets}


def ask(
    target: ReachTarget, now: dt.datetime, environment: Mapping[str, str] | None = None
) -> Reached:
    """Ask an endpoint for its API, within a few seconds; this never raises."""
    try:
        context = _context(target)
    except OSError as exc:  # ssl.SSLError is one
        return Reached(good=False, detail=f"its certificates cannot be used: {_reason(exc)}")
    through = ""
    try:
        way = _way(target, os.environ if environment is None else environment)
        through = f" (through the proxy {masking.url(way.proxy)})" if way.proxy else ""
        asked = _asked(target, way, context, now)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        asked = _failed(exc)
    return replace(asked, detail=f"{asked.detail}{through}")


@dataclass(frozen=True)
class _Way:
    """To whom an endpoint is connected, and through which proxy."""

    host: str
    port: int
    tls: bool
    proxy: str = ""

    def connect(self) -> socket.socket:
        """Return a connection to the endpoint, or to the proxy that is asked for it in plain."""
        if not self.proxy:
            return socket.create_connection((self.host, self.port), SECONDS)
        proxy = urlsplit(self.proxy)
        if proxy.scheme != "http":
            raise OSError(f"this check does not speak {proxy.scheme} to a proxy")
        plain = socket.create_connection((proxy.hostname or "", proxy.port or 80), SECONDS)
        try:
            if self.tls:
                self._tunnel(plain)
        except BaseException:
            plain.close()
            raise
        return plain

    def _tunnel(self, plain: socket.socket) -> None:
        """Have the proxy pass everything on (RFC 9110, 9.3.6)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"CONNECT {host}:{self.port} HTTP/1.1", f"Host: {host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in self.credentials().items()]
        plain.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = plain.recv(1)  # not a byte of what comes behind the head
            if not piece or len(head) > LONGEST_HEAD:
                raise OSError("the proxy does not answer as one")
            head += piece
        first = head.decode("latin-1").split("\r\n", 1)[0].split(" ", 2)
        if len(first) < 2 or first[1] != "200":
            raise OSError(f"the proxy answers {' '.join(first[1:]) or 'nothing'}")

    def credentials(self) -> dict[str, str]:
        """Return the header that lets us in at the proxy."""
        proxy = urlsplit(self.proxy)
        if not proxy.username:
            return {}
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
        return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _way(target: ReachTarget, environment: Mapping[str, str]) -> _Way:
    url = urlsplit(target.url)
    tls = url.scheme == "https"
    port = url.port or (443 if tls else 80)
    return _Way(url.hostname or "", port, tls, proxy_for(target.url, environment))


def _asked(
    target: ReachTarget, way: _Way, context: ssl.SSLContext | None, now: dt.datetime
) -> Reached:
    with way.connect() as plain:
        if context is None:
            return _answer(target, plain, "", way)
        with context.wrap_socket(plain, server_hostname=way.host) as wrapped:
            end = _end(wrapped, way)
            return _with_end(_answer(target, wrapped, _until(end)), end, now)


def _failed(exc: Exception) -> Reached:
    if isinstance(exc, ValueError) and not isinstance(exc, OSError):
        return Reached(False, f"cannot be asked: {exc}", "Correct its URL, or its headers.")
    if isinstance(exc, ssl.SSLCertVerificationError):
        remedy = "Name the CA that signed its certificate (ca), or renew the certificate."
        return Reached(False, f"its certificate is not good: {exc.verify_message}", remedy)
    if isinstance(exc, ssl.SSLError):
        wanted = any(words in _reason(exc) for words in CLIENT_WANTED)
        detail = "it wants a client certificate" if wanted else f"no TLS: {_reason(exc)}"
        remedy = (
            "Set client, or another client." if wanted else "Write http:// where it has no TLS."
        )
        return Reached(False, detail, remedy)
    if isinstance(exc, OSError):
        return Reached(False, f"cannot be reached: {_reason(exc)}")
    return Reached(False, f"does not speak HTTP: {type(exc).__name__}")


def _context(target: ReachTarget) -> ssl.SSLContext | None:
    if not target.url.startswith("https://"):
        return None
    context = ssl.create_default_context()
    context.hostname_checks_common_name = False
    for path in target.ca:
        context.load_verify_locations(cafile=path)
    for certificate, key in target.client:
        context.load_cert_chain(certificate, key or None, _no)
    if target.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def client_certificate_fault(certificate: str, key: str) -> str:
    """Return why a client certificate and its key do not fit, or nothing.

    containerd fails every pull of the registry then (Go's ``tls.X509KeyPair``).
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key or None, _no)
    except OSError as exc:
        return f"the client certificate {certificate} does not fit its key: {_reason(exc)}"
    return ""


def _no() -> str:
    """Give no password for a key, instead of asking for one on the terminal."""
    return ""


def _answer(
    target: ReachTarget, connected: socket.socket, until: str, plain: _Way | None = None
) -> Reached:
    """Ask for the API's root; in plain, a proxy is asked for the whole URL (RFC 9112, 3.2.2)."""
    connection = http.client.HTTPConnection(urlsplit(target.url).netloc, timeout=SECONDS)
    connection.sock = connected
    through = plain if plain and plain.proxy else None
    asked = target.url if through else urlsplit(target.url).path
    connection.putrequest("GET", f"{asked}/", skip_accept_encoding=True)
    for name, value in (through.credentials() if through else {}).items():
        connection.putheader(name, value)
    for name, values in (target.headers or {}).items():
        connection.putheader(name, *(value.encode() for value in values))  # as Go sends it
    connection.putheader("Connection", "close")
    connection.endheaders()
    status = connection.getresponse().status
    if status in GOOD or (not target.root and status < SERVER_ERROR):
        return Reached(True, f"answers {status}{until}")
    if status in MOVED:
        why, remedy = "it leads elsewhere", "Name the registry that it leads to."
    else:
        why, remedy = WHY.get(status, ("", "Look into its log."))
    return Reached(False, f"answers {status}{f': {why}' if why else ''}{until}", remedy)


def _end(wrapped: ssl.SSLSocket, way: _Way) -> dt.datetime | None:
    """Return when the certificate ends; ``None`` where it does not tell.

    Of a certificate that was not verified ``ssl`` tells nothing, so it is asked for once more,
    and trusted as it is.
    """
    found = wrapped.getpeercert()
    raw = wrapped.getpeercert(binary_form=True)
    if not found and raw:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=raw)
        try:
            with (
                way.connect() as plain,
                context.wrap_socket(plain) as again,
            ):
                found = again.getpeercert()
        except ssl.SSLCertVerificationError:  # it ended, or is not yet good
            return dt.datetime.fromtimestamp(0, dt.timezone.utc)
        except OSError:  # it wants a certificate of the client
            return None
    end = (found or {}).get("notAfter")
    if not isinstance(end, str):
        return None
    return dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(end), dt.timezone.utc)


def _until(end: dt.datetime | None) -> str:
    if end is None:
        return ""
    return f", certificate good until {end:%Y-%m-%d}" if end.timestamp() else ", certificate ended"


def _with_end(asked: Reached, end: dt.datetime | None, now: dt.datetime) -> Reached:
    if asked.good and end and end - now < SOON:
        return Reached(False, asked.detail, "Renew its certificate.")
    return asked


def _reason(exc: BaseException) -> str:
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return str(exc.reason).lower().replace("_", " ")
    if isinstance(exc, TimeoutError):
        return f"no answer within {SECONDS:g} s"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__
