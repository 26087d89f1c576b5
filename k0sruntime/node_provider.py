"""The built-in provider ``node``: the host's own needs, through the same hooks as everybody's.

Its table ``[node]`` also holds what the operator says about the node itself: mode, scheme, which
containerd, which k0s line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from k0sruntime.compose import cri_flag
from k0sruntime.contributions import CRISocket, DropIn, RuntimeHandler
from k0sruntime.hookspecs import Provider
from k0sruntime.node import Version
from k0sruntime.settings import Settings
from k0sruntime.values import check_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.node import Node

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
"""The pause image of k0s 1.36, used where the operator names none."""


class HandlerSettings(Settings, frozen=True):
    """One extra handler: ``[node.handlers.NAME]``."""

    binary: str = ""
    """Low-level runtime for the runc shim (its ``BinaryName``): a path, or a name on PATH."""
    runtime_type: str = "io.containerd.runc.v2"
    """The shim, as containerd names it."""
    runtime_path: str = ""
    """Path of the shim, where containerd would not find it by itself."""
    options: dict[str, Any] = {}
    """What the shim is told, such as ``SystemdCgroup = true``."""
    runtime_class: str = ""
    """RuntimeClass to offer for it; empty for none."""


class DownloadSettings(Settings, frozen=True):
    """How programs are fetched: ``[node.downloads]``."""

    cache: str = ""
    """Folder of what was fetched; empty: the machine's own."""
    offline: bool = False
    """Never open a socket: take what the cache or a folder holds, and ask no registry."""
    ca: str = ""
    """PEM file of the authorities to trust; empty: the usual ones."""


class SupervisorSettings(Settings, frozen=True):
    """How containerd is stayed with: ``[node.supervisor]``; times are in seconds."""

    enabled: bool = True
    """``up`` leaves a supervisor behind; with ``false`` only ``up --foreground`` has one."""
    debounce: float = 3.0
    """Quiet time after the last change of a drop-in; k0s waits as long."""
    backoff: float = 0.5
    """Before the first restart; doubled for each that follows soon."""
    longest_backoff: float = 30.0
    """However often it was doubled."""
    restarts: int = 10
    """Give up after so many restarts in a row, none of which held for a minute."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        for name in ("debounce", "backoff", "longest_backoff", "restarts"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative")


class NodeSettings(Settings, frozen=True):
    """What the operator says about the node: table ``[node]``."""

    mode: Literal["auto", "managed", "standalone", "remote"] = "auto"
    """Who runs containerd: k0s, we, or somebody else; auto: decided from what is found."""
    scheme: Literal["auto", "merge-patch", "native"] = "auto"
    """How drop-ins come together in standalone mode; auto: as the containerd found can."""
    containerd: str = ""
    """Path of the containerd to run; empty: k0s's own, else the first on PATH."""
    k0s: str = ""
    """k0s line to write for, such as ``1.36``; empty: asked of the k0s found."""
    providers: list[str] | None = None
    """The only providers that may be used; absent: every one that is installed."""
    without: list[str] = []
    """Providers that may not be used; they are not even imported."""
    prefer: list[str] = []
    """Whose handler, hosts file or CRI socket counts where two providers want the same; what is
    left to another takes with it what names it, and what only it names."""
    json_files: list[str] = []
    """JSON files of other programs that providers may put keys into, besides Docker's; a name with
    a slash at its end stands for all files below it."""
    cri_socket: str = ""
    """CRI of another runtime, as k0s's flag has it: ``remote:unix:///run/crio/crio.sock``."""
    path: list[str] = []
    """Folders searched for programs before all others, and put first on containerd's PATH."""
    restrict_oom_score_adj: bool | None = None
    """Pods may not lower their ``oom_score_adj``; absent: where this machine cannot. An image for
    machines that cannot (containers without CAP_SYS_RESOURCE) says so here."""
    pause_image: str = ""
    """Image of every pod's sandbox; empty: k0s's own."""
    probe_image: str = ""
    """Image that has a shell and a ``uname``, for the providers' checks from inside a sandbox."""
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    """How much containerd tells, in standalone mode."""
    log: Literal["file", "journal"] = "file"
    """Where containerd logs to: a file beside its socket, or the systemd journal."""
    bounce_seconds: float = 45.0
    """How long k0s is given to bounce its containerd: its own waits alone take eight seconds."""
    supervisor: SupervisorSettings = SupervisorSettings()
    handlers: dict[str, HandlerSettings] = {}
    downloads: DownloadSettings = DownloadSettings()

    def __post_init__(self) -> None:
        """Refuse what is no version, and what can be no handler."""
        if self.k0s and Version.parse(self.k0s) is None:
            raise ValueError(f"k0s = {self.k0s!r} is no version; write one such as 1.36")
        for name, handler in self.handlers.items():  # what no handler can be is refused here
            RuntimeHandler(
                name=name,
                runtime_type=handler.runtime_type,
                runtime_path=handler.runtime_path,
                options=handler.options,
                runtime_class=handler.runtime_class,
            )
        for path in self.json_files:
            check_path("a name in json_files", path.removesuffix("/"))
        try:
            url = cri_flag.asked(self.cri_socket)
        except ValueError as exc:
            raise ValueError(f"cri_socket = {self.cri_socket!r}: {exc}") from exc
        if url:
            CRISocket(url=url)


class NodeProvider(Provider[NodeSettings]):
    """The host's own needs on this node."""

    settings = NodeSettings
    summary = "the host's own needs: pause image, limits of this machine, extra handlers"

    def contribute_dropin(self, node: Node[NodeSettings]) -> Iterator[RuntimeHandler | DropIn]:
        """Contribute the pause image, what this machine needs, and the operator's handlers."""
        if node.settings.pause_image or node.mode != "managed":
            yield DropIn(
                images={"pinned_images": {"sandbox": node.settings.pause_image or PAUSE_IMAGE}},
                reason="the pause image; k0s sets its own only where it runs containerd itself",
            )
        restrict = node.settings.restrict_oom_score_adj
        if restrict or (restrict is None and not node.can_lower_oom_score):
            yield DropIn(
                runtime={"restrict_oom_score_adj": True},
                reason="without CAP_SYS_RESOURCE runc cannot lower oom_score_adj",
            )
        if node.paths.sandbox:
            yield _sandbox(node)
        for name, handler in sorted(node.settings.handlers.items()):
            yield _handler(name, handler, node)

    def cri_socket(self, node: Node[NodeSettings]) -> Iterator[CRISocket]:
        """Contribute the CRI socket that the operator names."""
        if url := cri_flag.endpoint(node.settings.cri_socket):
            yield CRISocket(url=url)


def _sandbox(node: Node[NodeSettings]) -> DropIn:
    """Keep everything that containerd would touch outside of its root inside the sandbox."""
    folder = node.paths.sandbox
    return DropIn(
        runtime={"cni": {"conf_dir": f"{folder}/etc/cni/net.d"}},
        tables={
            "plugins": {
                "io.containerd.internal.v1.opt": {"path": f"{node.paths.data}/opt"},
                "io.containerd.nri.v1.nri": {
                    "disable": True,
                    "socket_path": f"{node.paths.run}/nri.sock",
                },
            }
        },
        reason=f"containerd's own folders lie inside the sandbox {folder}",
    )


def _handler(name: str, handler: HandlerSettings, node: Node[NodeSettings]) -> RuntimeHandler:
    binary = handler.binary
    if binary and not binary.startswith("/"):
        binary = node.which(binary) or binary
    options = dict(handler.options)
    if binary:
        options["BinaryName"] = binary
    return RuntimeHandler(
        name=name,
        runtime_type=handler.runtime_type,
        runtime_path=handler.runtime_path,
        options=options,
        runtime_class=handler.runtime_class,
        programs=[path for path in (binary, handler.runtime_path) if path],
    )
