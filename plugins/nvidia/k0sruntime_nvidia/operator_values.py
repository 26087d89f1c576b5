"""Helm values with which NVIDIA's GPU operator writes a drop-in that a k0s node can live with.

Left to itself the toolkit asks the running containerd, takes over its version and its whole CRI
table, and writes where k0s never looks. Told to read k0s's own main file it takes the version from
there and nothing besides. Sources: nvidia-container-toolkit v1.20
``cmd/nvidia-ctk-installer/container/runtime``; gpu-operator v26.7
``controllers/object_controls.go`` (host paths are mounted by their folders); k0s
``pkg/component/worker/containerd``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k0sruntime import Problem, Refused, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

HANDLER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A handler's name in a RuntimeClass is a DNS label."""
FIRST_WITH_DROPINS = (1, 27)
FIRST_CONTAINERD_2 = (1, 36)
MAIN = "/etc/k0s/containerd.toml"
DROPIN = "/etc/k0s/containerd.d/nvidia.toml"
SOCKET = "/run/k0s/containerd.sock"
UNREAD = "/tmp/nvidia-toolkit-unread.toml"  # noqa: S108 - a file that nobody ever reads


@dataclass(frozen=True)
class Wanted:
    """What the values shall say.

    Attributes:
        k0s: the nodes' line.
        handler: name of the handler and the RuntimeClass.
        default: make it the nodes' default handler.
        drop_in: where the toolkit writes, in k0s's folder.
        toolkit: the operator's toolkit configures containerd; else the provider does.
    """

    k0s: Version
    handler: str = "nvidia"
    default: bool = False
    drop_in: str = DROPIN
    toolkit: bool = True

    @property
    def containerd(self) -> str:
        """The containerd that the line brings."""
        return "2.3" if self.k0s >= FIRST_CONTAINERD_2 else "1.7"


def wanted(
    k0s: str,
    handler: str = "nvidia",
    *,
    default: bool = False,
    drop_in: str = DROPIN,
    toolkit: bool = True,
) -> Wanted:
    """Return what the values shall say.

    Raises:
        Refused: no k0s line with drop-ins, or a drop-in that k0s would not load.
    """
    problems = []
    version = Version.parse(k0s)
    if version is None or version < FIRST_WITH_DROPINS:
        problems.append(
            Problem(
                f"{k0s!r} is no k0s line with drop-ins",
                place="--k0s",
                remedy="Write 1.36 or 1.35; 1.27 is the first line with a drop-in folder.",
            )
        )
    folder = DROPIN.rpartition("/")[0]
    own = drop_in.rpartition("/")[2].startswith("k0sruntime-")
    if drop_in.rpartition("/")[0] != folder or not drop_in.endswith(".toml") or own:
        problems.append(
            Problem(
                "own names are refused" if own else f"k0s loads {folder}/*.toml and nothing else",
                place=f"--drop-in {drop_in}",
                remedy=f"Take a name such as {DROPIN}.",
            )
        )
    if not HANDLER_NAME.fullmatch(handler):
        problems.append(
            Problem(
                f"{handler!r} is no name of a handler",
                place="--handler",
                remedy="Take lower-case letters, digits and hyphens, such as nvidia.",
            )
        )
    if problems or version is None:
        raise Refused(*problems)
    return Wanted(version, handler, default, drop_in, toolkit)


def environment(asked: Wanted) -> Iterator[tuple[str, str, str]]:
    """Yield (name, value, why) of the toolkit container's variables."""
    version = 3 if asked.k0s >= FIRST_CONTAINERD_2 else 2
    yield (
        "RUNTIME_CONFIG_SOURCE",
        f"file={MAIN}",
        f"From k0s's own file: version {version}. containerd tells another, and its whole table.",
    )
    yield (
        "RUNTIME_CONFIG",
        UNREAD,
        "Written and never read. k0s's own file would lose the marker by which k0s knows it.",
    )
    yield ("RUNTIME_DROP_IN_CONFIG", asked.drop_in, "In the folder that k0s loads.")
    yield ("CONTAINERD_SOCKET", SOCKET, "k0s's containerd, not that of the distribution.")
    yield ("CONTAINERD_RUNTIME_CLASS", asked.handler, "")
    said = str(asked.default).lower()
    yield (
        "NVIDIA_RUNTIME_SET_AS_DEFAULT",
        said,
        "Counts more than CONTAINERD_SET_AS_DEFAULT, and than what the operator says for CDI.",
    )
    if asked.k0s < FIRST_CONTAINERD_2:
        yield ("RUNTIME_ENABLE_CDI", "true", "containerd 1.7 resolves no CDI device without.")
    yield ("RUNTIME_RESTART_MODE", "none", "k0s bounces containerd when the file changes.")


def values(asked: Wanted) -> str:
    """Return the values as YAML."""
    line = f"{asked.k0s.major}.{asked.k0s.minor}"
    lines = [
        f"# k0s {line} (containerd {asked.containerd}), GPU operator 25.10 and newer.",
        "# An older operator takes no file as a source, and the node would not come back.",
        "# helm upgrade --install gpu-operator nvidia/gpu-operator \\",
        "#   --namespace gpu-operator --create-namespace --values THIS_FILE",
        "operator:",
        "  defaultRuntime: containerd",
        f"  runtimeClass: {json.dumps(asked.handler)}",
        "cdi:",
        "  enabled: true",
    ]
    if not asked.toolkit:
        why = (
            "# The nodes have the toolkit from its packages, and k0sruntime configures containerd."
        )
        return "\n".join([*lines, why, "toolkit:", "  enabled: false", ""])
    lines += [
        "toolkit:",
        "  enabled: true",
        "  env:",
    ]
    for name, value, why in environment(asked):
        lines += [f"    # {why}"] if why else []
        lines += [f"    - name: {name}", f"      value: {json.dumps(value)}"]
    return "\n".join([*lines, ""])
