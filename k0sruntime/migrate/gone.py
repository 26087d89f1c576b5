"""What one containerd has no place for: why, and what to do instead.

A key stands below its plugin's table, ``*`` for any handler's name; with a table all its keys go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.compose.schema import LATER_HANDLER_KEYS

if TYPE_CHECKING:
    from k0sruntime.lines import Path

Reason = tuple[str, str]
"""Why a key is lost, and what to do instead."""
_ALL_HANDLERS = "containerd 2 has no such switch for all handlers at once"
_NO_SUCH_RUNTIME = "containerd 2 knows handlers by name only"

IN_3: dict[Path, Reason] = {
    ("systemd_cgroup",): (
        _ALL_HANDLERS,
        "Set SystemdCgroup = true in the options of each handler.",
    ),
    ("disable_cgroup",): (
        "containerd 2 cannot do without cgroups",
        "Leave it out; a rootless containerd needs a delegated cgroup.",
    ),
    ("containerd", "no_pivot"): (
        _ALL_HANDLERS,
        "Set NoPivotRoot = true in the options of each handler.",
    ),
    ("containerd", "default_runtime"): (
        _NO_SUCH_RUNTIME,
        "Define it under containerd.runtimes and name it in containerd.default_runtime_name.",
    ),
    ("containerd", "untrusted_workload_runtime"): (
        _NO_SUCH_RUNTIME,
        "Define it under containerd.runtimes and let pods ask for it by a RuntimeClass.",
    ),
    ("containerd", "runtimes", "*", "runtime_engine"): (
        "only the runtime type io.containerd.runtime.v1.linux read it, which containerd 2 has not",
        "Set BinaryName in the handler's options.",
    ),
    ("containerd", "runtimes", "*", "runtime_root"): (
        "only the runtime type io.containerd.runtime.v1.linux read it, which containerd 2 has not",
        "Set Root in the handler's options.",
    ),
}
PLUGINS_IN_3: dict[str, Reason] = {
    "io.containerd.runtime.v1.linux": (
        "containerd 2 has no such plugin",
        "Give handlers the type io.containerd.runc.v2.",
    ),
    "io.containerd.snapshotter.v1.aufs": (
        "containerd 2 has no such plugin",
        "Take overlayfs; images have to be pulled again.",
    ),
}
RUNTIME_IN_2: dict[Path, Reason] = {
    ("enable_criu",): ("containerd 1.7 has no such key", "Leave it out."),
    ("stats_collect_period",): (
        "containerd 1.7 has this period for images only",
        "Set stats_collect_period of the images table, in seconds.",
    ),
    ("stats_retention_period",): ("containerd 1.7 has no such key", "Leave it out."),
    ("cni", "use_internal_loopback"): (
        "containerd 1.7 has no such key",
        "Put the CNI plugin named loopback into the bin_dir.",
    ),
    **{
        ("containerd", "runtimes", "*", key): ("containerd 1.7 has no such key", "Leave it out.")
        for key in LATER_HANDLER_KEYS
    },
}
IMAGES_IN_2 = ("concurrent_layer_fetch_buffer", "use_local_image_pull", "pinned_images")
