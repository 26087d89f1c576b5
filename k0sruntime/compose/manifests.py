"""What belongs to the cluster: the RuntimeClasses of the node's handlers (node.k8s.io/v1).

A controller applies what lies in its folder of manifests, one sub-folder a stack (k0s
``pkg/applier/manager.go``), so there they are files like all others; elsewhere they are printed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from k0sruntime.compose.files import DesiredFile
from k0sruntime.errors import ConflictError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k0sruntime.compose.composition import Handler
    from k0sruntime.node import Mode, Node

STACK = "k0sruntime"
EXAMPLE_IMAGE = "docker.io/library/busybox:1.36"
OWNER = "# Written by k0sruntime; change its settings, not this file.\n"


def files(node: Node[Any], mode: Mode, handlers: tuple[Handler, ...]) -> tuple[DesiredFile, ...]:
    """Return the manifests that this node's k0s is to apply: none but on a controller."""
    text = runtime_classes(handlers)
    if mode != "managed" or not text or not node.files.exists(node.paths.manifests):
        return ()
    path = f"{node.paths.manifests}/{STACK}/runtimeclasses.yaml"
    return (DesiredFile(path, (OWNER + text).encode(), "node", loaded=False),)


def runtime_classes(handlers: Iterable[Handler], *, example_pods: bool = False) -> str:
    """Return the RuntimeClasses of all handlers as one YAML text; empty where there are none.

    Raises:
        ConflictError: two handlers offer a RuntimeClass of one name.
    """
    offered: dict[str, Handler] = {}
    documents = []
    for handler in handlers:
        name = handler.runtime_class
        if not name:
            continue
        if name in offered:
            raise ConflictError(_twice(name, offered[name], handler))
        offered[name] = handler
        documents.append(_runtime_class(handler))
        if example_pods:
            documents.append(_example_pod(name))
    return "---\n".join(_yaml(document) for document in documents)


def _twice(name: str, one: Handler, other: Handler) -> Problem:
    return Problem(
        f"two handlers offer the RuntimeClass {name!r}: {one.name} and {other.name}",
        place="runtime_class",
        culprit=f"{one.owner} and {other.owner}",
        remedy="Give one of them another runtime_class, or none.",
    )


def _runtime_class(handler: Handler) -> dict[str, Any]:
    document: dict[str, Any] = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": handler.runtime_class},
        "handler": handler.name,
    }
    if handler.overhead:
        document["overhead"] = {"podFixed": dict(handler.overhead)}
    if handler.scheduling:
        document["scheduling"] = dict(handler.scheduling)
    return document


def _example_pod(name: str) -> dict[str, Any]:
    container = {
        "name": "kernel",
        "image": EXAMPLE_IMAGE,
        "command": ["sh", "-c", "uname -a; dmesg | head -n 1; sleep 3600"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-example"},
        "spec": {"runtimeClassName": name, "containers": [container]},
    }


def _yaml(document: Mapping[str, Any], indent: str = "") -> str:
    """Return a mapping as YAML: blocks of mappings, all else in JSON, which YAML contains."""
    lines = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{_word(key)}:\n{_yaml(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{_word(key)}: {_word(value)}\n")
    return "".join(lines)


def _word(value: Any) -> str:
    """Return a scalar or list; plain where YAML reads such a word as that very string."""
    plain = isinstance(value, str) and value.replace("-", "").replace("/", "").replace(".", "")
    if plain and plain.isalpha() and value[0].isalpha() and plain.lower() not in _NO_STRINGS:
        return str(value)
    if isinstance(value, str) and value.startswith("node.k8s.io/"):
        return value
    return json.dumps(value, ensure_ascii=False)


_NO_STRINGS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
"""Words that YAML 1.1 takes for something else than a string."""
