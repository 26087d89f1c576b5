"""Fetching files: over HTTP or out of a folder, resumed, checked, into the cache.

A file counts when its checksum is right, and never before.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.cache import CHUNK, Cache
from k0sruntime.web import NOTHING_LEFT, PARTIAL, REMEDY, Passing, Web, name_of, pieces, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from k0sruntime.binaries import Download
    from k0sruntime.cache import Partial

ATTEMPTS = 5
FIRST_PAUSE = 0.5
"""Seconds before the second attempt; each further pause is twice as long."""
DOCUMENT_BYTES = 1 << 16


class Fetcher:
    """Gets files into a cache.

    Args:
        cache: where they go.
        offline: never open a socket; folders are read all the same.
        ca: PEM file of the authorities to trust; empty: the usual ones.
        bundle: the cache is what a bundle has brought.
        progress: told how far a file is, often.
        pause: how to wait before another attempt.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        offline: bool = False,
        ca: str = "",
        bundle: bool = False,
        progress: Callable[[str], None] = lambda _: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cache = cache
        self._web = Web(offline=offline, ca=ca, bundle=bundle)
        self._progress = progress
        self._pause = pause

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
                raise refused(
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
            raise refused(
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
                raise refused(url, "it is no checksum document: too long", REMEDY)

        if url.startswith("/"):
            _copy(url, take)
            return b"".join(collected)

        def attempt() -> None:
            collected.clear()
            with self._web.get(url) as response:
                for data in pieces(response):
                    take(data)

        self._retry(url, attempt)
        return b"".join(collected)

    def _fill(self, download: Download, partial: Partial) -> None:
        """Bring the rest of a file."""
        meter = Meter(download.file_name, self._progress)
        if download.url.startswith("/"):
            partial.restart()
            _copy(download.url, partial.write)
            return
        self._retry(download.url, lambda: self._attempt(download.url, partial, meter))

    def _attempt(self, url: str, partial: Partial, meter: Meter) -> None:
        offset = partial.size
        with self._web.get(url, offset) as response:
            if (
                offset and response.status_code != PARTIAL
            ):  # whole again, or nothing is left to send
                if response.status_code == NOTHING_LEFT:
                    return
                partial.restart()
                offset = 0
            length = response.headers.get("Content-Length", "")
            total = offset + int(length) if length.isdigit() else 0
            for data in pieces(response):
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
                    raise refused(url, message, REMEDY) from exc
                self._progress(f"{name_of(url)}: {exc}; again in {pause:g} s")
                self._pause(pause)
                pause *= 2
            else:
                return


class Meter:
    """Tells how far a file is."""

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        self._name = name
        self._tell = tell
        self._told = ""

    def show(self, done: int, total: int) -> None:
        """Tell it, if it is something new."""
        if (text := self._text(done, total)) != self._told:
            self._tell(text)
            self._told = text

    def _text(self, done: int, total: int) -> str:
        """Return it as a bar, or as bytes where the length is not known."""
        if not total:
            return f"{self._name} {done / 1e6:.1f} MB"
        filled = min(20, 20 * done // total)
        bar = "#" * filled + "-" * (20 - filled)
        return f"{self._name} [{bar}] {100 * done // total} % of {total / 1e6:.1f} MB"


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


def _copy(path: str, take: Callable[[bytes], None]) -> None:
    try:
        file = regular.opened(path)
    except OSError as exc:
        raise refused(path, exc.strerror or str(exc), "Put it there, or name it right.") from exc
    with file:
        while data := file.read(CHUNK):
            take(data)
