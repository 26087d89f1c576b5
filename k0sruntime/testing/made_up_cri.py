"""A CRI that nobody runs, for the checks of a provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from k0sruntime.errors import CRIError


@dataclass
class MadeUpCRI:
    """Answers what it was told to, and remembers what was asked.

    Attributes:
        says: what every command in a sandbox prints.
        names: the configured handlers.
        configured: the CRI configuration.
        images: those at hand.
        folders: those that hold unpacked images, the default snapshotter's first.
        fails: raised by every call, where it is given.
        ran: what was run: handler, image and command.
    """

    says: str = ""
    names: Sequence[str] = ("runc",)
    configured: Mapping[str, Any] = field(default_factory=dict)
    images: Collection[str] = ()
    folders: Sequence[str] = ("/var/lib/k0s/containerd/io.containerd.snapshotter.v1.overlayfs",)
    fails: CRIError | None = None
    ran: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)

    def _answer(self, value: Any) -> Any:
        if self.fails is not None:
            raise self.fails
        return value

    def handlers(self) -> tuple[str, ...]:
        """Return the names of the handlers."""
        found: tuple[str, ...] = self._answer(tuple(self.names))
        return found

    def config(self) -> dict[str, Any]:
        """Return the configuration."""
        found: dict[str, Any] = self._answer(dict(self.configured))
        return found

    def runtime(self) -> tuple[str, str]:
        """Return the name and version of a containerd."""
        found: tuple[str, str] = self._answer(("containerd", "v2.3.3"))
        return found

    def has_image(self, image: str) -> bool:
        """Tell whether an image is at hand."""
        return bool(self._answer(image in self.images))

    def image_folders(self) -> tuple[str, ...]:
        """Return the folders of unpacked images."""
        found: tuple[str, ...] = self._answer(tuple(self.folders))
        return found

    def pull(self, image: str) -> str:
        """Return the image's own name as its reference."""
        return str(self._answer(image))

    def run_in_sandbox(self, handler: str, image: str, command: Sequence[str]) -> str:
        """Note what is to be run, and say what was to be said."""
        self.ran.append((handler, image, tuple(command)))
        return str(self._answer(self.says))
