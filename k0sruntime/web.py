"""Asking web servers: from a byte on, and along redirects that stay as safe as the first URL.

Proxies and credentials come from where every program takes them (``HTTPS_PROXY``, ``NO_PROXY``,
``~/.netrc``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.guard import DeadlineError, bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

TIMEOUTS = (10.0, 30.0)
"""Seconds to connect, and between two pieces of an answer."""
ANSWER_SECONDS = 60.0
"""From the question to the last header of the answer."""
PIECE = 1 << 16
"""Most bytes that are waited for at once; fewer are taken as they come."""
LEAST_RATE = 4096
"""Bytes a second; slower is no download. The node's lock is held all the while."""
RATE_SECONDS = 30.0
"""How long one may be slower."""
MOST_REDIRECTS = 5
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may be gone a moment later (RFC 9110, 6585)."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PARTIAL, NOTHING_LEFT = 206, 416
"""The rest of a file, and no byte left of it (RFC 9110, range requests)."""
REMEDY = (
    "Name a mirror or a folder as the source; or run k0sruntime fetch --cache DIR where there is a"
    " network, carry DIR here, and name it with --cache."
)
PACK = "Pack another bundle with the settings that count here: k0sruntime bundle --settings FILE."


class Passing(Exception):  # noqa: N818 - not an error yet
    """What went wrong may be gone a moment later."""


class Web:
    """Asks web servers, unless it is offline.

    Args:
        offline: never open a socket.
        ca: PEM file of the authorities to trust; empty: the usual ones.
        bundle: what is asked for was looked for in a bundle, and not in a cache.
    """

    def __init__(self, *, offline: bool = False, ca: str = "", bundle: bool = False) -> None:
        self._offline = offline
        self._bundle = bundle
        self._ca = ca
        self._session: requests.Session | None = None

    def get(self, url: str, offset: int = 0) -> requests.Response:
        """Ask for an URL from a byte on.

        Raises:
            RefusedError: offline, refused by the server, or led to where nobody may go.
            Passing: it may work a moment later.
        """
        if self._offline and self._bundle:
            raise refused(url, "it is not in the bundle, and --offline opens no socket", PACK)
        if self._offline:
            raise refused(url, "it is not in the cache, and --offline opens no socket", REMEDY)
        where = url
        for _ in range(MOST_REDIRECTS + 1):
            response = self._ask(where, offset)
            if response.status_code not in REDIRECTS:
                return _judged(response, where, offset)
            response.close()
            where = _target(response, where)
        raise refused(url, f"more than {MOST_REDIRECTS} redirects", REMEDY)

    def _ask(self, url: str, offset: int) -> requests.Response:
        import requests

        session = self._session = self._session or requests.Session()
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        options: dict[str, Any] = {"verify": self._ca} if self._ca else {}

        def get() -> requests.Response:
            return session.get(
                url,
                headers=headers,
                stream=True,
                timeout=TIMEOUTS,
                allow_redirects=False,
                **options,
            )

        try:
            return bounded(get, ANSWER_SECONDS)
        except DeadlineError as exc:
            raise Passing(str(exc)) from exc
        except requests.exceptions.SSLError as exc:
            remedy = "Name its authority: [node.downloads] ca, or REQUESTS_CA_BUNDLE."
            raise refused(url, f"TLS: {_innermost(exc)}", remedy) from exc
        except (requests.ConnectionError, requests.Timeout) as exc:
            raise Passing(_innermost(exc)) from exc
        except (requests.RequestException, OSError) as exc:
            raise refused(url, _innermost(exc), REMEDY) from exc


def pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield the content of an answer as it comes: what is there counts, should the rest not come.

    Raises:
        Passing: it is cut off, no piece comes for too long, or they come too slowly.
    """
    from http.client import HTTPException

    from urllib3.exceptions import HTTPError

    since, came = time.monotonic(), 0
    try:
        while data := response.raw.read1(PIECE):
            yield data
            came += len(data)
            seconds = time.monotonic() - since
            if seconds < RATE_SECONDS:
                continue
            if came < LEAST_RATE * seconds:
                raise Passing(f"it is too slow: {came} bytes in {seconds:.0f} s")
            since, came = time.monotonic(), 0
    except (HTTPError, HTTPException, OSError) as exc:
        raise Passing(_innermost(exc)) from exc


def refused(url: str, message: str, remedy: str) -> RefusedError:
    """Return the error of a file that cannot be had."""
    return RefusedError(
        Problem(
            f"{name_of(url)} could not be fetched: {message}",
            place=masking.url(url),
            remedy=remedy,
        )
    )


def name_of(url: str) -> str:
    """Return the last part of an URL's path."""
    return url.partition("?")[0].rpartition("/")[2]


def _judged(response: requests.Response, url: str, offset: int) -> requests.Response:
    status = response.status_code
    if status in (200, PARTIAL) or (status == NOTHING_LEFT and offset):
        return response
    response.close()
    said = f"the server answers {status} {response.reason or ''}".strip()
    if status in PASSING:
        raise Passing(said)
    raise refused(url, said, f"Check the version. {REMEDY}")


def _target(response: requests.Response, url: str) -> str:
    """Return where a redirect leads.

    Raises:
        RefusedError: from https to something that anybody on the way may change.
    """
    from urllib.parse import urljoin

    target = urljoin(url, response.headers.get("Location", ""))
    if target.startswith("https://") or (
        target.startswith("http://") and not url.startswith("https://")
    ):
        return target
    message = f"it redirects to {masking.url(target)}, which is not https"
    raise refused(url, message, "Name the target.")


def _innermost(exc: BaseException) -> str:
    """Return the reason at the bottom of a stack of exceptions, in one line."""
    found: BaseException = exc
    while isinstance(inner := _inner(found), BaseException):
        found = inner
    text = str(found).partition(": ")[2] if "object at 0x" in str(found) else str(found)
    return " ".join(text.split()) or type(found).__name__


def _inner(exc: BaseException) -> object:
    among = next((arg for arg in exc.args if isinstance(arg, BaseException)), None)
    return among or getattr(exc, "reason", None)
