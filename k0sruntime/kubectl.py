"""Asking the cluster, where a kubeconfig is at hand: bounded in time, and read only.

A controller has an administrator's, a worker its kubelet's own, which may read its own node.
"""

from __future__ import annotations

import json
import os
import platform
from typing import TYPE_CHECKING, Any

from k0sruntime.programs import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.node import Node

SECONDS = 10.0
OWN = ("pki/admin.conf", "kubelet.conf")
"""The node's own kubeconfigs below k0s's data folder: a controller's, and a worker's."""


def command(node: Node[Any], *, asked: bool = False) -> list[str]:
    """Return how kubectl is called for this node's own cluster; empty where it cannot be.

    Args:
        node: the node.
        asked: a person asks, whose ``KUBECONFIG`` counts before the kubelet's own; only an
            administrator's on this very node comes first. It may lead to another cluster, so that
            nothing else looks at it.
    """
    kubectl = node.which("kubectl")
    k0s = node.k0s.path if node.k0s else ""
    program = [kubectl] if kubectl else [k0s, "kubectl"]
    if not program[0]:
        return []
    data = node.paths.data
    theirs = os.environ.get("KUBECONFIG", "") if asked else ""
    own = [path for name in OWN if node.files.exists(path := f"{data}/{name}")]
    if theirs and own[:1] != [f"{data}/{OWN[0]}"]:
        # Several in one variable are merged, which no flag can say.
        return [*program, f"--kubeconfig={theirs}"] if ":" not in theirs else program
    return [*program, f"--kubeconfig={own[0]}"] if own else []


def get(program: Sequence[str], *words: str) -> tuple[dict[str, Any] | None, str]:
    """Return an object of the cluster, or ``None`` and why not; both empty without a program."""
    if not program:
        return None, ""
    limit = f"--request-timeout={SECONDS - 1:g}s"
    answer = ask([*program, limit, "get", *words, "--output=json"], SECONDS)
    if answer.status:
        return None, " ".join((answer.errors or answer.output).split())[-200:]
    try:
        document = json.loads(answer.output)
    except ValueError:
        return None, "kubectl did not answer in JSON"
    return (document, "") if isinstance(document, dict) else (None, "kubectl answered no object")


def reported_runtime(node: Node[Any]) -> tuple[str, str]:
    """Return the runtime that this node's kubelet reports, such as ``docker://28.5.2``, or why not.

    The node's name is the host's in lower case, unless k0s was started with another.
    """
    name = platform.node().lower()
    service = node.k0s_service
    for word in service.arguments if service else ():
        extra = word.partition("--hostname-override=")[2]
        name = extra.split()[0] if extra else name
    document, why = get(command(node), "node", name)
    if document is None:
        return "", why
    info = (document.get("status") or {}).get("nodeInfo") or {}
    return str(info.get("containerRuntimeVersion", "")), ""
