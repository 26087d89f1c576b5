"""Fetching files: over HTTP or out of a folder, resumed, checked, into the cache.

Proxies and credentials come from where every program takes them (``HTTPS_PROXY``, ``NO_PROXY``,
``~/.netrc``). A file counts when its checksum is right, and never before.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.cache import CHUNK, Cache
from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from k0sruntime.binaries import Download
    from k0sruntime.cache import Partial

ATTEMPTS = 5
FIRST_PAUSE = 0.5
"""Seconds before the second attempt; each further pause is twice as long."""
TIMEOUTS = (10.0, 30.0)
"""Seconds to connect, and between two pieces of an answer."""
MOST_REDIRECTS = 5
DOCUMENT_BYTES = 1 << 16
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may be gone a moment later (RFC 9110, 6585)."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REMEDY = (
    "Name a mirror or a folder as the source; or run k0sruntime fetch --cache DIR where there is a"
    " network, carry DIR here, and name it with --cache."
)


class Passing(Exception):  # noqa: N818 - not an error yet
    """What went wrong may be gone a moment later."""


class Fetcher:
    """Gets files into a cache.

    Args:
        cache: where they go.
        offline: never open a socket; folders are read all the same.
        ca: PEM file of the authorities to trust; empty: the usual ones.
        progress: told how far a file is, often.
        pause: how to wait before another attempt.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        offline: bool = False,
        ca: str = "",
        progress: Callable[[str], None] = lambda _: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cache = cache
        self._offline = offline
        self._ca = ca
        self._progress = progress
        self._pause = pause
        self._session: requests.Session | None = None

    def fetch(self, download: Download) -> str:
        """Return the path of the checked file in the cache, fetched if it is not there yet.

        Raises:
            RefusedError: it cannot be had, or is not what its checksum says.
        """
        algorithm, digest = self.expected(download)
        if found := self._cache.find(algorithm, digest):
            return found
        with self._cache.partial(algorithm, digest) as partial:
            if found := self._cache.find(algorithm, digest):  # another command was at it
                return found
            resumed = bool(partial.size)
            self._fill(download, partial)
            if partial.digest() != digest and resumed:
                partial.restart()  # what lay there was the beginning of something else
                self._fill(download, partial)
            if (got := partial.digest()) != digest:
                partial.restart()
                if download.sha512_url:
                    self._cache.forget_document(download.sha512_url)
                raise _refused(
                    download.url,
                    f"the {algorithm} is {got[:16]}…, and {digest[:16]}… is wanted",
                    "Check version and checksum; if they are right, do not trust this source.",
                )
            return partial.commit()

    def expected(self, download: Download) -> tuple[str, str]:
        """Return algorithm and checksum of a download: pinned, or as the vendor publishes it.

        Raises:
            RefusedError: the vendor's document cannot be had, or does not name the file.
        """
        if download.sha512:
            return "sha512", download.sha512
        if download.sha256:
            return "sha256", download.sha256
        known = self._cache.document(download.sha512_url)
        text = known or self._document(download.sha512_url).decode(errors="replace")
        digest = checksum_in(text, download.url_name)
        if not digest:
            raise _refused(
                download.sha512_url,
                f"it holds no sha512 of {download.url_name}",
                "Pin the checksum in the settings, or name another source.",
            )
        if not known:
            self._cache.keep_document(download.sha512_url, text.encode())
        return "sha512", digest

    def _document(self, url: str) -> bytes:
        collected: list[bytes] = []

        def take(data: bytes) -> None:
            collected.append(data)
            if sum(map(len, collected)) > DOCUMENT_BYTES:
                raise _refused(url, "it is no checksum document: too long", REMEDY)

        if url.startswith("/"):
            _copy(url, 0, take)
            return b"".join(collected)

        def attempt() -> None:
            collected.clear()
            with self._get(url, 0) as response:
                for data in _pieces(response):
                    take(data)

        self._retry(url, attempt)
        return b"".join(collected)

    def _fill(self, download: Download, partial: Partial) -> None:
        """Bring the rest of a file."""
        meter = Meter(download.file_name, self._progress)
        if download.url.startswith("/"):
            partial.restart()
            _copy(download.url, 0, partial.write)
            return
        self._retry(download.url, lambda: self._attempt(download.url, partial, meter))

    def _attempt(self, url: str, partial: Partial, meter: Meter) -> None:
        offset = partial.size
        with self._get(url, offset) as response:
            if offset and response.status_code != 206:  # whole again, or nothing is left to send
                if response.status_code == 416:
                    return
                partial.restart()
                offset = 0
            length = response.headers.get("Content-Length", "")
            total = offset + int(length) if length.isdigit() else 0
            for data in _pieces(response):
                partial.write(data)
                meter.show(partial.size, total)
            if total and partial.size < total:
                raise Passing(f"it ended after {partial.size} of {total} bytes")

    def _retry(self, url: str, attempt: Callable[[], None]) -> None:
        pause = FIRST_PAUSE
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                attempt()
            except Passing as exc:
                if not left:
                    message = f"{exc}, {ATTEMPTS} times"
                    raise _refused(url, message, REMEDY) from exc
                self._progress(f"{_name(url)}: {exc}; again in {pause:g} s")
                self._pause(pause)
                pause *= 2
            else:
                return

    def _get(self, url: str, offset: int) -> requests.Response:
        """Ask for an URL from a byte on, following redirects that stay as safe as the first.

        Raises:
            RefusedError: offline, refused by the server, or led to where nobody may go.
            Passing: it may work a moment later.
        """
        if self._offline:
            raise _refused(url, "it is not in the cache, and --offline opens no socket", REMEDY)
        where = url
        for _ in range(MOST_REDIRECTS + 1):
            response = self._ask(where, offset)
            if response.status_code not in REDIRECTS:
                return self._judged(response, where, offset)
            target = _target(response, where)
            response.close()
            where = target
        raise _refused(url, f"more than {MOST_REDIRECTS} redirects", REMEDY)

    def _ask(self, url: str, offset: int) -> requests.Response:
        import requests

        session = self._session = self._session or requests.Session()
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        options: dict[str, Any] = {"verify": self._ca} if self._ca else {}
        try:
            return session.get(
                url,
                headers=headers,
                stream=True,
                timeout=TIMEOUTS,
                allow_redirects=False,
                **options,
            )
        except requests.exceptions.SSLError as exc:
            remedy = "Name its authority: [node.downloads] ca, or REQUESTS_CA_BUNDLE."
            raise _refused(url, f"TLS: {_innermost(exc)}", remedy) from exc
        except (requests.ConnectionError, requests.Timeout) as exc:
            raise Passing(_innermost(exc)) from exc
        except (requests.RequestException, OSError) as exc:
            raise _refused(url, _innermost(exc), REMEDY) from exc

    @staticmethod
    def _judged(response: requests.Response, url: str, offset: int) -> requests.Response:
        status = response.status_code
        if status in (200, 206) or (status == 416 and offset):
            return response
        response.close()
        said = f"the server answers {status} {response.reason or ''}".strip()
        if status in PASSING:
            raise Passing(said)
        raise _refused(url, said, f"Check the version. {REMEDY}")


class Meter:
    """Tells how far a file is."""

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        self._name = name
        self._tell = tell

    def show(self, done: int, total: int) -> None:
        """Tell it as a bar, or as bytes where the length is not known."""
        if not total:
            self._tell(f"{self._name} {done / 1e6:.1f} MB")
            return
        filled = min(20, 20 * done // total)
        bar = "#" * filled + "-" * (20 - filled)
        self._tell(f"{self._name} [{bar}] {100 * done // total} % of {total / 1e6:.1f} MB")


def checksum_in(document: str, name: str) -> str:
    """Return the SHA-512 of a file out of ``sha512sum``'s lines, or out of a lone one."""
    lines = [line.split(maxsplit=1) for line in document.splitlines() if line.strip()]
    for line in lines:
        lone = len(lines) == 1 and len(line) == 1
        if not re.fullmatch(r"[0-9a-fA-F]{128}", line[0]):
            continue
        if lone or (len(line) > 1 and line[1].lstrip("*").strip().rpartition("/")[2] == name):
            return line[0].lower()
    return ""


def _target(response: requests.Response, url: str) -> str:
    """Return where a redirect leads.

    Raises:
        RefusedError: from https to something that anybody on the way may change.
    """
    from urllib.parse import urljoin

    target = urljoin(url, response.headers.get("Location", ""))
    if not target.startswith("https://") and (
        url.startswith("https://") or not target.startswith("http://")
    ):
        raise _refused(
            url, f"it redirects to {masking.url(target)}, which is not https", "Name the target."
        )
    return target


def _pieces(response: requests.Response) -> Any:
    import requests

    try:
        yield from response.iter_content(CHUNK)
    except requests.RequestException as exc:  # cut off, or no piece for too long
        raise Passing(_innermost(exc)) from exc


def _copy(path: str, offset: int, take: Callable[[bytes], None]) -> None:
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; what take refuses is its own
    except OSError as exc:
        raise _refused(path, exc.strerror or str(exc), "Put it there, or name it right.") from exc
    with file:
        file.seek(offset)
        while data := file.read(CHUNK):
            take(data)


def _innermost(exc: BaseException) -> str:
    """Return the reason at the bottom of a stack of exceptions, in one line."""
    found: BaseException = exc
    while inner := next((a for a in found.args if isinstance(a, BaseException)), None) or getattr(
        found, "reason", None
    ):
        if not isinstance(inner, BaseException):
            break
        found = inner
    text = str(found).partition(": ")[2] if "object at 0x" in str(found) else str(found)
    return " ".join(text.split()) or type(found).__name__


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _refused(url: str, message: str, remedy: str) -> RefusedError:
    return RefusedError(
        Problem(
            f"{_name(url)} could not be fetched: {message}",
            place=masking.url(url),
            remedy=remedy,
        )
    )
