"""The provider: runsc and its shim, found on the node; handler, RuntimeClass, runsc.toml."""

from __future__ import annotations

import json
import re
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
"""Release and build date of gVisor's kernel before release-20260427.0, whose release does not
name gVisor (pkg/sentry/kernel/version/version.go)."""
INSTALL = "gvisor.dev/docs/user_guide/install tells how to get it"
FLAG = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_]*")


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
    """Image that has a ``uname``, to see from inside whose kernel it is."""

    def __post_init__(self) -> None:
        """Refuse paths that are not absolute, and flags that runsc could not read."""
        for key, path in (("runsc", self.runsc), ("shim", self.shim)):
            if path and not path.startswith("/"):
                raise ValueError(f"{key} = {path!r} must be an absolute path on the node")
        for flag in self.options:
            if not FLAG.fullmatch(flag):
                raise ValueError(
                    f"option {flag!r} is no flag of runsc; write it without its dashes, such as"
                    " platform"
                )


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
        # The shim runs the first runsc on containerd's PATH, unless its file names another.
        binary_name = "" if runsc == node.which("runsc") else runsc
        options: dict[str, str] = {}
        if settings.options or binary_name:
            # The shim reads its options from a file only; inline ones are ignored, and every
            # flag must be a string (gVisor pkg/shim/v1/runsc/options.go).
            content = _config(settings.options, binary_name)
            yield ConfigFile(name=f"{settings.handler}.toml", content=content)
            options = {
                "TypeUrl": "io.containerd.runsc.v1.options",
                "ConfigPath": node.config_file(f"{settings.handler}.toml"),
            }
        yield Binary(name="runsc", installed=runsc)
        yield Binary(name=SHIM, installed=shim)
        yield RuntimeHandler(
            name=settings.handler,
            runtime_type="io.containerd.runsc.v1",
            runtime_path="" if shim == node.which(SHIM) else shim,
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
        # Not -a: that tells the host's name as well, and a host may be called gvisor-1.
        said = cri.run_in_sandbox(node.settings.handler, image, ["uname", "-r", "-v"]).strip()
        verdict = is_gvisor(said)
        yield Check(
            name=name,
            verdict="pass" if verdict else "fail",
            detail=said,
            remedy=""
            if verdict
            else f"See which runtime serves {node.settings.handler}:"
            f" k0sruntime explain containerd.runtimes.{node.settings.handler}",
        )


def is_gvisor(uname: str) -> bool:
    """Tell whether ``uname -r -v`` was answered by gVisor's kernel, of any release."""
    release, _, version = uname.partition(" ")
    return "gvisor" in release or (release == OLD_KERNEL[0] and OLD_KERNEL[1] in version)


def _find(node: Node[GVisorSettings], given: str, name: str) -> str:
    if given:
        return given  # the proof says so where it is not there
    for path in (node.which(name), *(f"{folder}/{name}" for folder in OTHER_FOLDERS)):
        if path is not None and node.files.is_executable(path):
            return path
    where = f"on PATH, in {node.paths.bin} or in {', '.join(OTHER_FOLDERS)}"
    raise Inactive(f"no {name} {where}; {INSTALL}")


def _config(options: dict[str, str], binary_name: str) -> str:
    first = [f"binary_name = {_quoted(binary_name)}", ""] if binary_name else []
    lines = [f"{key} = {_quoted(value)}" for key, value in sorted(options.items())]
    return "\n".join([*first, "[runsc_config]", *lines, ""])


def _quoted(value: str) -> str:
    """Return a TOML basic string: JSON's escapes are a part of TOML's (toml.io, 1.0, String)."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


provider = GVisor()
