"""URLs and names that containerd reads as they are meant; anything else is refused here.

Source: containerd 2.3 ``core/remotes/docker/config/hosts.go``.
"""

from __future__ import annotations

import re

from k0sruntime import masked_url

HUB = "https://registry-1.docker.io"
"""Docker Hub's registry; ``docker.io`` itself serves web pages and no images."""
HUB_NAMES = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com")
"""Names under which no image of Docker Hub is looked up."""
UPSTREAMS = {"docker.io": HUB}
"""Registries that are served under another name than their own."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?P<port>:[0-9]{1,5})?"
    r"(?P<path>(?:/[^\s/?#%\x00-\x1f\x7f]+)*)"
)
_PREFIX = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_REGISTRY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(?::[0-9]{1,5})?")
_FOLDER = re.compile(r"(?P<host>.+)_(?P<port>[0-9]+)_")
_LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?")


def address(url: str) -> str:
    """Return an URL that containerd reads as it is meant.

    It takes a bare name that starts with ``http`` for an URL without a host, and falls back to
    the upstream; it asks ``//v2`` where the URL ends in a slash; it takes ``https://docker.io``
    by its word; and it leaves out user, password and query.

    Raises:
        ValueError: the URL has no scheme, or a part that is not sent; the message says what to do.
    """
    if not url.startswith(("http://", "https://")):
        shown = masked_url(url)
        name = shown.rpartition("://")[2]
        raise ValueError(
            f"write {shown!r} with its scheme: https://{name}, or http://{name} where it has no TLS"
        )
    if "@" in url.partition("?")[0].partition("#")[0]:
        raise ValueError(
            f"{masked_url(url)!r} is written with a user or a password, which containerd does not"
            " send: set auth = { username = …, password = … } instead"
        )
    found = _URL.fullmatch(url.rstrip("/"))
    if found is None or int((found["port"] or ":1")[1:]) not in range(1, 65536):
        shown = masked_url(url)
        raise ValueError(f"{shown!r} must be an http:// or https:// URL without query and blanks")
    if {".", ".."} & set(found["path"].split("/")):
        raise ValueError(f"the path of {url!r} must not hold '.' or '..'")
    hub = found["host"] in ("docker.io", "index.docker.io") and not found["port"]
    return f"{HUB}{found['path']}" if hub else found[0]


def host_of(url: str) -> str:
    """Return the host of an URL with its port, as containerd looks up its credentials."""
    return url.split("/")[2]


def is_tls(url: str) -> bool:
    """Tell whether an URL is asked over TLS."""
    return url.startswith("https://")


def below_prefix(url: str, prefix: str) -> str:
    """Return the URL of a pull-through prefix; it is used as it is (``override_path``).

    Raises:
        ValueError: the prefix is no path of repositories.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"prefix {prefix!r} must be a path of repositories, such as dockerhub-proxy"
        )
    return f"{url.removesuffix('/v2')}/v2/{prefix}"


def refuse_inner_v2(url: str) -> None:
    """Refuse an URL whose path goes on after ``/v2``, for containerd appends another.

    Raises:
        ValueError: the message says what to set.
    """
    _, inner, rest = url.partition("/v2/")
    if inner and not url.endswith("/v2"):
        raise ValueError(
            f"{url!r} would be asked at {url}/v2: set prefix = {rest!r} for a pull-through"
            " prefix, or override_path = true where the path is whole"
        )


def registry_fault(name: str, *, server: bool) -> tuple[str, str]:
    """Return what is wrong with a registry's name, and what to do; twice nothing where it is right.

    Args:
        name: as it stands in the settings.
        server: the upstream is named.
    """
    folder = _FOLDER.fullmatch(name)
    name = masked_url(name)
    found = ("", "")
    if name == "*":
        found = ("there is no registry '*'", "Write [mirrors._default] for all without a table.")
    elif name in HUB_NAMES:
        found = (f"no image is looked up under {name!r}", "Write docker.io")
    elif folder:
        found = (f"{name!r} is a folder's name", f"Write {folder['host']}:{folder['port']}")
    elif name != "_default" and not _REGISTRY.fullmatch(name):
        remedy = "Write it as it stands in an image, without scheme and path: r.example:5000"
        found = (f"{name!r} is no name of a registry", remedy)
    elif _LOOPBACK.fullmatch(name) and not server:
        found = (
            f"containerd guesses whether {name} speaks TLS, and does not verify its certificate",
            f'Set server = "http://{name}" or "https://{name}", or mirror_only = true.',
        )
    return found
