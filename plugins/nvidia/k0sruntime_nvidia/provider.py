"""The provider: handlers and CDI on a node that has a GPU, its driver and the toolkit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import Check, DropIn, Inactive, Provider, RuntimeHandler
from k0sruntime_nvidia import cdi, detect, nvml, written
from k0sruntime_nvidia.settings import NvidiaSettings
from k0sruntime_nvidia.toolkit import runtimes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node, RunningCRI
    from k0sruntime_nvidia.detect import Detected

FIRST_CONTAINERD_2 = (1, 36)
"""The first k0s line that brings containerd 2."""


class Nvidia(Provider[NvidiaSettings]):
    """NVIDIA's container runtimes as handlers, or CDI alone."""

    contract = (1, 0)
    settings = NvidiaSettings
    summary = "NVIDIA GPUs in containers (handlers nvidia, nvidia-cdi, nvidia-legacy; or CDI)"

    def contribute_dropin(
        self, node: Node[NvidiaSettings]
    ) -> Iterator[RuntimeHandler | DropIn | Check]:
        """Contribute what the mode needs where there is a GPU with a driver."""
        found = detect.detect(node)
        detect.refuse_without_gpu(node, found)
        if node.settings.mode == "nri":
            raise Inactive(_nri(node))
        handlers = list(_handlers(node)) if node.settings.mode == "runtimeclass" else []
        switch = node.settings.cdi and _old(node) and not written.switches_cdi_on(node)
        if node.settings.mode == "runtimeclass" and not handlers:
            if not switch:
                raise Inactive(written.reason(node))
            yield Check(name="handlers", verdict="warn", detail=written.reason(node))
        yield from handlers
        if switch:
            yield DropIn(
                runtime={"enable_cdi": True}, reason="containerd 1.7 resolves no CDI device without"
            )
        if node.settings.mode == "cdi":
            yield DropIn(
                runtime={"cdi_spec_dirs": list(node.settings.cdi_spec_dirs)},
                reason='[nvidia] mode = "cdi": where the specs of the GPUs lie',
            )
        if node.settings.default and any(h.name == node.settings.handler for h in handlers):
            yield DropIn(
                runtime={"containerd": {"default_runtime_name": node.settings.handler}},
                reason="[nvidia] default = true",
            )

    def post_start_check(self, node: Node[NvidiaSettings], cri: RunningCRI) -> Iterator[Check]:
        """See that driver, devices and specs are there, and whose the handlers are."""
        del cri
        found = detect.detect(node)
        yield _driver(node, found)
        yield Check(
            name="NVIDIA device nodes",
            verdict="pass" if found.device_nodes else "warn",
            detail=", ".join(found.device_nodes)
            or "none yet; the runtime makes them when the first pod starts",
        )
        if node.settings.mode == "cdi" or _has_cdi_handler(node):
            yield from cdi.checks(node, found)
        if node.settings.mode == "runtimeclass":
            yield from written.checks(node)


def _has_cdi_handler(node: Node[NvidiaSettings]) -> bool:
    """Tell whether there is the handler whose runtime reads CDI specs, ours or another hand's."""
    name = f"{node.settings.handler}-cdi"
    ours = node.settings.mode == "runtimeclass" and "-cdi" in runtimes(node)
    return ours or name in written.taken(node)


def _handlers(node: Node[NvidiaSettings]) -> Iterator[RuntimeHandler]:
    """Yield the handlers that no other hand has defined.

    Raises:
        Inactive: there is no toolkit.
    """
    settings = node.settings
    found = runtimes(node)
    taken = written.taken(node)
    for suffix, path in found.items():
        name = f"{settings.handler}{suffix}"
        if name not in taken:
            yield RuntimeHandler(
                name=name,
                options={"BinaryName": path},
                runtime_class=settings.runtime_class and f"{settings.runtime_class}{suffix}",
                programs=[path],
            )


def _old(node: Node[NvidiaSettings]) -> bool:
    """Tell whether this is containerd 1.7: CDI and NRI are off there by default.

    k0s's line tells it before k0s has laid out its containerd.
    """
    if node.mode == "managed" and node.k0s is not None:
        return node.k0s.version < FIRST_CONTAINERD_2
    return node.containerd is not None and node.containerd.version.major == 1


def _nri(node: Node[NvidiaSettings]) -> str:
    off = "; containerd 1.7 has NRI off by default" if _old(node) else ""
    return f'[nvidia] mode = "nri": the operator\'s plugin adds the GPUs, nothing is written{off}'


def _driver(node: Node[NvidiaSettings], found: Detected) -> Check:
    name = "NVIDIA driver"
    if found.loaded:
        where = f", its files in {found.driver_root}" if found.operator_managed else ""
        detail = f"{found.driver_version or 'of unknown version'} is loaded{where}{_names()}"
        return Check(name=name, verdict="pass", detail=detail)
    if found.wsl:
        return Check(name=name, verdict="pass", detail=f"the Windows host's, by {detect.WSL}")
    return Check(
        name=name,
        # The operator's word: the driver comes later, and this is no reason to go back.
        verdict="warn" if node.settings.gpu == "yes" else "fail",
        detail=f"neither {detect.MODULE} nor {detect.NVRM} is there: the module is not loaded",
        remedy="Load the driver: modprobe nvidia",
    )


def _names() -> str:
    """Return the GPUs' names where NVIDIA's own library is installed."""
    told = nvml.ask()
    return f"; {', '.join(name for _, name in told.names)}" if told and told.names else ""


provider = Nvidia()
