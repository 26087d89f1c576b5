"""Asking registries as containerd would: do they answer, and how long are certificates good.

Nothing but the standard library: ``ssl`` verifies as containerd does (the system's CAs and those
of the hosts file, names from the SAN alone), ``http.client`` asks ``/v2/``.
"""

from __future__ import annotations

import datetime as dt
import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 3.0
"""Limit of each step of an endpoint's check: connecting, TLS, the answer."""
LIMIT = 8.0
"""Limit of all endpoints together, their names' look-up included."""
SOON = dt.timedelta(days=30)
"""A certificate that ends within this is told as a warning."""
SERVER_ERROR = 500
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
    """

    url: str
    ca: Sequence[str] = ()
    client: Sequence[tuple[str, str]] = ()
    skip_verify: bool = False
    headers: Mapping[str, Sequence[str]] | None = None


def reach_endpoints(targets: Mapping[str, ReachTarget], now: dt.datetime) -> dict[str, Reached]:
    """Ask endpoints at the same time; what has not answered within the limit is given up.

    A name that is looked up in vain may hang for longer than any limit of a connection. Its thread
    is a daemon, so that it keeps nobody waiting.
    """
    answers: dict[str, Reached] = {}

    def run(name: str, target: ReachTarget) -> None:
        answers[name] = ask(target, now)

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in targets.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + LIMIT
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = Reached(False, f"cannot be reached: no answer within {LIMIT:g} s")
    return {name: answers.get(name, late) for name in targets}


def ask(target: ReachTarget, now: dt.datetime) -> Reached:
    """Ask an endpoint for its API, within a few seconds; this never raises."""
    try:
        context = _context(target)
    except OSError as exc:  # ssl.SSLError is one
        return Reached(good=False, detail=f"its certificates cannot be used: {_reason(exc)}")
    try:
        return _asked(target, context, now)
    except (OSError, http.client.HTTPException) as exc:
        return _failed(exc)


def _asked(target: ReachTarget, context: ssl.SSLContext | None, now: dt.datetime) -> Reached:
    url = urlsplit(target.url)
    host, port = url.hostname or "", url.port or (80 if context is None else 443)
    with socket.create_connection((host, port), SECONDS) as plain:
        if context is None:
            return _answer(target, plain, "")
        with context.wrap_socket(plain, server_hostname=host) as wrapped:
            end = _end(wrapped, host, port)
            return _with_end(_answer(target, wrapped, _until(end)), end, now)


def _failed(exc: Exception) -> Reached:
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


def _answer(target: ReachTarget, connected: socket.socket, until: str) -> Reached:
    """Ask for the API's root; 401 is a registry that wants credentials, and so a registry."""
    connection = http.client.HTTPConnection(urlsplit(target.url).netloc, timeout=SECONDS)
    connection.sock = connected
    connection.putrequest("GET", f"{urlsplit(target.url).path}/", skip_accept_encoding=True)
    for name, values in (target.headers or {}).items():
        connection.putheader(name, *values)
    connection.putheader("Connection", "close")
    connection.endheaders()
    status = connection.getresponse().status
    if status >= SERVER_ERROR:
        return Reached(False, f"answers {status}{until}", "Look into its log.")
    return Reached(True, f"answers {status}{until}")


def _end(wrapped: ssl.SSLSocket, host: str, port: int) -> dt.datetime | None:
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
                socket.create_connection((host, port), SECONDS) as plain,
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
