"""Names of images, as CRI reads them: ``nginx`` is ``docker.io/library/nginx:latest``.

Source: ``github.com/distribution/reference`` ``normalize.go`` and ``regexp.go``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HUB = "docker.io"
_LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")


@dataclass(frozen=True)
class Image:
    """An image's full name.

    Attributes:
        registry: the name under which containerd looks for a hosts file.
        repository: the path at the registry.
        reference: the tag, or the digest where there is one.
    """

    registry: str
    repository: str
    reference: str

    @property
    def by_digest(self) -> bool:
        """The image is named by its digest: nothing has to be resolved."""
        return ":" in self.reference

    def __str__(self) -> str:
        """Return ``docker.io/library/nginx:latest``."""
        return f"{self.registry}/{self.repository}{'@' if self.by_digest else ':'}{self.reference}"


def parse(text: str) -> Image:
    """Read the name of an image.

    Raises:
        ValueError: no name of an image; the message says what is wrong with it.
    """
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest such as sha256:…")
    path, _, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(f"{tag!r} is no tag")
    registry, repository = _split(f"{path}/{last}" if path else last)
    if not _REGISTRY.fullmatch(registry):
        raise ValueError(f"{registry!r} is no name of a registry")
    if not _REPOSITORY.fullmatch(repository):
        hint = ": it must be in lower case" if repository != repository.lower() else ""
        raise ValueError(f"{repository!r} is no name of an image{hint}")
    return Image(registry, repository, digest or tag or "latest")


def looks_like_a_registry(name: str) -> bool:
    """Tell whether a name without a slash was meant for a registry: ``r.local``, ``r:5000``."""
    host, colon, port = name.partition(":")
    return name != HUB and ("." in host or host == "localhost" or (bool(colon) and port.isdigit()))


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    named = "." in first or ":" in first or first == "localhost" or first != first.lower()
    registry, repository = (first, rest) if slash and named else (HUB, name)
    if registry == "index.docker.io":
        registry = HUB
    if registry == HUB and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository
