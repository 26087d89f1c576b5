"""The provider: crun on the node gives the handler crun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import (
    Binary,
    Check,
    CRIError,
    Inactive,
    Provider,
    RuntimeHandler,
    Settings,
    VersionCheck,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node, RunningCRI

PROGRAM = "crun"


class CrunSettings(Settings, frozen=True):
    """``[crun]`` in /etc/k0sruntime/config.toml."""

    handler: str = "crun"
    """What a RuntimeClass names as its handler."""
    runtime_class: str = "crun"
    """The RuntimeClass to offer for it; empty: none."""
    binary: str = ""
    """Path of the low-level runtime; empty: the first on the node's PATH."""

    def __post_init__(self) -> None:
        """Refuse a path that is not absolute."""
        if self.binary and not self.binary.startswith("/"):
            raise ValueError(f"binary = {self.binary!r} must be an absolute path on the node")


class Crun(Provider[CrunSettings]):
    """crun as a runtime handler."""

    contract = (1, 0)
    settings = CrunSettings
    summary = "crun as a runtime handler (crun)"

    def contribute_dropin(self, node: Node[CrunSettings]) -> Iterator[Binary | RuntimeHandler]:
        """Contribute the handler where its program is."""
        program = node.settings.binary or node.which(PROGRAM)
        if not program:
            raise Inactive(f"no {PROGRAM} on the node's PATH; install it, or set [crun] binary")
        yield Binary(name=PROGRAM, installed=program, check=VersionCheck())
        yield RuntimeHandler(
            name=node.settings.handler,
            options={"BinaryName": program},
            runtime_class=node.settings.runtime_class,
            programs=[program],
        )

    def post_start_check(self, node: Node[CrunSettings], cri: RunningCRI) -> Iterator[Check]:
        """Run a command in a container under the handler; the sandbox itself is proved before."""
        handler = node.settings.handler
        name = f"a container under {handler}"
        if not node.probe_image:
            detail = "no image to run; name one in [node] probe_image"
            yield Check(name=name, verdict="unknown", detail=detail)
            return
        try:
            said = cri.run_in_sandbox(handler, node.probe_image, ["uname", "-sr"])
        except CRIError as exc:
            yield Check(name=name, verdict="fail", detail=f"{exc.code}: {exc}", handler=handler)
        else:
            yield Check(name=name, verdict="pass", detail=said.strip(), handler=handler)


provider = Crun()
