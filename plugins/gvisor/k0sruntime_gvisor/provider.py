"""The provider: runsc and its shim, found on the node; handler, RuntimeClass, runsc.toml."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from k0sruntime import (
    Binary,
    Check,
    ConfigFile,
    Inactive,
    Provider,
    RuntimeHandler,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node, RunningCRI

SHIM = "containerd-shim-runsc-v1"
OTHER_FOLDERS = ("/usr/local/bin", "/opt/gvisor/bin")
"""Where gVisor's own instructions put the programs, which may not be on containerd's PATH."""
OLD_KERNEL = ("4.4.0", "Sun Jan 10 15:06:54 PST 2016")
"""Release and build date of gVisor's kernel before release-20260427.0."""


class GVisorSettings(Settings, frozen=True):
    """``[gvisor]``."""

    handler: str = "runsc"
    runtime_class: str = "gvisor"
    runsc: str = ""
    """Path of runsc; empty: looked for on PATH and in k0s's folder of programs."""
    shim: str = ""
    """Path of the shim; empty: looked for likewise."""
    options: dict[str, str] = {}
    """Flags of runsc without their dashes, for its ``[runsc_config]``."""
    probe_image: str = ""
    """Image with a ``uname``, to see from inside that the kernel is gVisor's."""


class GVisor(Provider[GVisorSettings]):
    """gVisor's runsc as a runtime handler."""

    settings = GVisorSettings
    summary = "gVisor: pods on an application kernel (handler runsc)"

    def contribute_dropin(
        self, node: Node[GVisorSettings]
    ) -> Iterator[RuntimeHandler | Binary | ConfigFile]:
        """Contribute the handler where runsc and its shim are installed."""
        settings = node.settings
        runsc = _find(node, settings.runsc, "runsc")
        shim = _find(node, settings.shim, SHIM)
        on_path = posixpath.dirname(shim) in node.search_path
        options: dict[str, str] = {}
        if settings.options:
            # The shim reads its options from a file only; inline ones are ignored, and every
            # value must be a string (gVisor pkg/shim/v1/runsc/options.go).
            yield ConfigFile(name=f"{settings.handler}.toml", content=_config(settings.options))
            options = {
                "TypeUrl": "io.containerd.runsc.v1.options",
                "ConfigPath": node.config_file(f"{settings.handler}.toml"),
            }
        yield Binary(name="runsc", installed=runsc)
        yield Binary(name=SHIM, installed=shim)
        yield RuntimeHandler(
            name=settings.handler,
            runtime_type="io.containerd.runsc.v1",
            runtime_path="" if on_path else shim,
            options=options,
            runtime_class=settings.runtime_class,
            programs=[runsc, shim],
        )

    def post_start_check(self, node: Node[GVisorSettings], cri: RunningCRI) -> Iterator[Check]:
        """See from inside a sandbox that the kernel is gVisor's."""
        name, image = "the sandbox's kernel is gVisor's", node.settings.probe_image
        if not image or not cri.has_image(image):
            yield Check(
                name=name,
                verdict="unknown",
                detail=f"no image to look from: {image or 'none is set'}",
                remedy="Set [gvisor] probe_image to an image on the node that has a uname.",
            )
            return
        said = cri.run_in_sandbox(node.settings.handler, image, ["uname", "-a"]).strip()
        yield Check(name=name, verdict="pass" if is_gvisor(said) else "fail", detail=said)


def is_gvisor(uname: str) -> bool:
    """Tell whether ``uname -a`` was answered by gVisor's kernel, of any release."""
    return "gvisor" in uname.lower() or all(part in uname for part in OLD_KERNEL)


def _find(node: Node[GVisorSettings], given: str, name: str) -> str:
    if given:
        return given  # the proof says so where it is not there
    for path in (node.which(name), *(f"{folder}/{name}" for folder in OTHER_FOLDERS)):
        if path is not None and node.files.is_executable(path):
            return path
    raise Inactive(f"no {name} on PATH, in {node.paths.bin} or in {', '.join(OTHER_FOLDERS)}")


def _config(options: dict[str, str]) -> str:
    lines = [f"{key} = {_quoted(value)}" for key, value in sorted(options.items())]
    return "\n".join(["[runsc_config]", *lines, ""])


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


provider = GVisor()
