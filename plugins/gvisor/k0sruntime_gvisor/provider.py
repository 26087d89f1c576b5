"""The provider: handlers, RuntimeClasses and ``runsc.toml``, and the proof from inside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k0sruntime import (
    Binary,
    Check,
    ConfigFile,
    CRIError,
    Problem,
    Provider,
    Refused,
    RuntimeHandler,
)
from k0sruntime_gvisor.programs import ARCHITECTURES, RUNSC, SHIM, Programs, doubtful, programs
from k0sruntime_gvisor.settings import GVisorSettings, HandlerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node, RunningCRI

OLDEST_KERNEL = (5, 6)
"""What gVisor's instructions name (g3doc/user_guide/install.md)."""
HANGING = ((2, 0, 0), (2, 0, 6))
"""containerd releases under which gVisor's pods stay in Terminating (containerd 11708)."""
OLD_KERNEL = ("4.4.0", "Sun Jan 10 15:06:54 PST 2016")
"""Release and build date of gVisor's kernel before release-20260427.0, whose release does not
name gVisor (pkg/sentry/kernel/version/version.go)."""


class GVisor(Provider[GVisorSettings]):
    """gVisor's runsc as a runtime handler, or as several."""

    contract = (1, 0)
    settings = GVisorSettings
    summary = "gVisor: pods on an application kernel (handler runsc)"

    def contribute_dropin(
        self, node: Node[GVisorSettings]
    ) -> Iterator[RuntimeHandler | Binary | ConfigFile | Check]:
        """Contribute the handlers, with what they need, where this node can run them."""
        found = programs(node)
        yield from found.binaries  # first: they can be fetched on a machine that cannot have it
        problems = (*found.problems, *_unfit(node))
        if problems:
            raise Refused(*problems)
        yield from _hanging(node)
        yield from doubtful(node, found)
        for name, handler in node.settings.all_handlers().items():
            file = f"{name}.toml"
            yield ConfigFile(name=file, content=_config(node, found, node.settings.flags(name)))
            yield _handler(node, found, name, handler)

    def post_start_check(self, node: Node[GVisorSettings], cri: RunningCRI) -> Iterator[Check]:
        """See from inside a sandbox of each handler that the kernel is gVisor's."""
        yield from _hanging(node)
        image = node.settings.probe_image or node.probe_image
        if not image or not cri.has_image(image):
            yield Check(
                name="the sandbox's kernel is gVisor's",
                verdict="unknown",
                detail=f"no image to look from: {image or 'none is set'}",
                remedy="Set [node] probe_image to an image on the node that has a uname.",
            )
            return
        for name in node.settings.all_handlers():
            yield _kernel(cri, name, image)


def _unfit(node: Node[GVisorSettings]) -> Iterator[Problem]:
    """Find what this node lacks for what the settings ask."""
    if node.arch not in ARCHITECTURES:
        yield Problem(
            f"gVisor does not run on {node.arch}",
            remedy=f"It runs on {' and '.join(ARCHITECTURES)}; leave it out: --without gvisor.",
        )
    if node.kernel is not None and node.kernel < OLDEST_KERNEL:
        yield Problem(
            f"gVisor needs Linux 5.6, and this is {node.kernel}",
            remedy="Update the kernel, or leave it out: --without gvisor.",
        )
    kvm = [
        n for n in node.settings.all_handlers() if node.settings.flags(n).get("platform") == "kvm"
    ]
    if kvm and node.kvm_problem:
        yield Problem(
            f"platform = 'kvm' of {', '.join(kvm)}: {node.kvm_problem}",
            remedy="Take platform = 'systrap', which needs nothing; or switch virtualisation on.",
        )


def _handler(
    node: Node[GVisorSettings], found: Programs, name: str, handler: HandlerSettings
) -> RuntimeHandler:
    return RuntimeHandler(
        name=name,
        runtime_type="io.containerd.runsc.v1",
        runtime_path="" if found.shim == node.which(SHIM) else found.shim,
        # The shim reads its options from a file only; inline ones are ignored, and older shims
        # take a file only with this type (gVisor pkg/shim/v1/runsc/options.go).
        options={
            "TypeUrl": "io.containerd.runsc.v1.options",
            "ConfigPath": node.config_file(f"{name}.toml"),
        },
        programs=[found.runsc, found.shim],
        **handler.offered(),
    )


def _config(node: Node[GVisorSettings], found: Programs, flags: dict[str, str]) -> str:
    """Return the shim's file; every flag is a string, for its shim decodes nothing else."""
    first = {}
    if found.runsc != node.which(RUNSC):  # the shim runs the first one on containerd's PATH
        first["binary_name"] = found.runsc
    if node.paths.sandbox:
        first["root"] = f"{node.paths.run}/runsc"
    lines = [f"{key} = {_quoted(value)}" for key, value in first.items()]
    lines += [""] if lines else []
    lines += ["[runsc_config]"]
    lines += [f"{key} = {_quoted(value)}" for key, value in sorted(flags.items())]
    return "\n".join([*lines, ""])


def _quoted(value: str) -> str:
    """Return a TOML basic string: JSON's escapes are a part of TOML's (toml.io, 1.0, String)."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _hanging(node: Node[GVisorSettings]) -> Iterator[Check]:
    first, fixed = HANGING
    if node.containerd is not None and first <= node.containerd.version < fixed:
        yield Check(
            name="gVisor's pods end",
            verdict="warn",
            detail=f"under containerd {node.containerd.version} they stay in Terminating",
            remedy="Update containerd to 2.0.6 or newer.",
        )


def _kernel(cri: RunningCRI, handler: str, image: str) -> Check:
    name = f"the kernel under {handler} is gVisor's"
    try:
        # Not -a: that tells the host's name as well, and a host may be called gvisor-1.
        said = cri.run_in_sandbox(handler, image, ["uname", "-r", "-v"]).strip()
    except CRIError as exc:
        remedy = f"See containerd's log, and whether {image} has a uname at all."
        return Check(name=name, verdict="fail", detail=str(exc), remedy=remedy, handler=handler)
    if is_gvisor(said):
        return Check(name=name, verdict="pass", detail=said, handler=handler)
    remedy = f"See which runtime serves it: k0sruntime explain containerd.runtimes.{handler}"
    return Check(name=name, verdict="fail", detail=said, remedy=remedy, handler=handler)


def is_gvisor(uname: str) -> bool:
    """Tell whether ``uname -r -v`` was answered by gVisor's kernel, of any release."""
    release, _, version = uname.partition(" ")
    return "gvisor" in release or (release == OLD_KERNEL[0] and OLD_KERNEL[1] in version)


provider = GVisor()
