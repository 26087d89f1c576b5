"""Runtime handlers as providers declare them, and what extends them; frozen and validated."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k0sruntime.values import (
    check_name,
    check_plain,
    check_printable,
    check_strings,
    plain_table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k0sruntime.values import Table, Value

HANDLER_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""What containerd and CRI take as the name of a handler."""
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""The handler of a RuntimeClass (node.k8s.io/v1) and the name of a worker profile."""
DNS_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){DNS_LABEL.pattern}(\.{DNS_LABEL.pattern})*")
"""The name of a RuntimeClass."""
RESOURCE = re.compile(
    rf"({DNS_SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
)
"""The name of a resource, such as ``memory`` (Kubernetes ``IsQualifiedName``)."""
QUANTITY = re.compile(r"\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d+)?")
"""An amount of a resource, such as ``64Mi`` (apimachinery ``pkg/api/resource/quantity.go``)."""


@dataclass(frozen=True, kw_only=True)
class RuntimeHandler:
    """A CRI runtime handler, the key under ``containerd.runtimes``.

    Attributes:
        name: what a RuntimeClass names as its ``handler``.
        runtime_type: the shim: the last two parts name the binary ``containerd-shim-<name>-<ver>``.
        runtime_path: absolute path of the shim where it is not on containerd's PATH.
        options: the shim's own options, such as ``BinaryName`` for the runc shim.
        pod_annotations: annotations handed to the shim, wildcards allowed.
        container_annotations: the same for containers.
        snapshotter: the snapshotter of its pods; empty for the default one.
        sandboxer: ``podsandbox`` or ``shim``; empty for containerd's default.
        keys: any other key of the handler's table, in containerd's own spelling.
        runtime_class: the RuntimeClass to offer for it; empty for none.
        overhead: what a pod of it costs besides its containers, such as ``{"memory": "64Mi"}``.
        scheduling: ``nodeSelector`` and ``tolerations`` of that RuntimeClass.
        programs: absolute paths that must be there and executable for it to run.
    """

    name: str
    runtime_type: str = "io.containerd.runc.v2"
    runtime_path: str = ""
    options: Table = field(default_factory=dict)
    pod_annotations: Sequence[str] = ()
    container_annotations: Sequence[str] = ()
    snapshotter: str = ""
    sandboxer: str = ""
    keys: Table = field(default_factory=dict)
    runtime_class: str = ""
    overhead: Mapping[str, str] = field(default_factory=dict)
    scheduling: Table = field(default_factory=dict)
    programs: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the names and the shape of the tables."""
        check_plain(self)
        check_name("handler", self.name, HANDLER_NAME)
        for key in ("snapshotter", "sandboxer"):
            check_printable(f"{key} of handler {self.name}", getattr(self, key))
        if self.runtime_class:
            check_name("RuntimeClass", self.runtime_class, DNS_SUBDOMAIN)
            check_name("handler of a RuntimeClass", self.name, DNS_LABEL)
        if self.runtime_type.count(".") < 2:
            raise ValueError(
                f"runtime_type {self.runtime_type!r} of handler {self.name!r} must end in"
                " <name>.<version>, as in io.containerd.runc.v2"
            )
        check_printable(f"runtime_type of handler {self.name}", self.runtime_type)
        _check_absolute(f"runtime_path of handler {self.name}", self.runtime_path)
        for key in ("pod_annotations", "container_annotations", "programs"):
            check_strings(f"{key} of handler {self.name}", getattr(self, key))
        for name in ("options", "keys", "overhead", "scheduling"):
            make_plain(self, f"{name} of handler {self.name}", name)
        if own := sorted(set(self.keys) & set(self.__dataclass_fields__)):
            raise ValueError(f"keys of handler {self.name} names {own[0]!r}, which is a field")
        if (self.overhead or self.scheduling) and not self.runtime_class:
            raise ValueError(f"handler {self.name}: overhead and scheduling need a runtime_class")
        for resource, quantity in self.overhead.items():
            check_name(f"resource in the overhead of handler {self.name}", resource, RESOURCE)
            _check_quantity(f"overhead of handler {self.name}: {resource}", quantity)
        if unknown := sorted(set(self.scheduling) - {"nodeSelector", "tolerations"}):
            raise ValueError(f"scheduling of handler {self.name} knows no {unknown[0]!r}")


@dataclass(frozen=True, kw_only=True)
class HandlerExtension:
    """Keys for the handler of another provider, such as a snapshotter for ``runsc``.

    Where nobody defines the handler it has no effect, and the operator is told. A key that the
    handler has already, with another value, is a conflict of the two providers.

    Attributes:
        handler: the name of the handler.
        snapshotter: the snapshotter of its pods; empty: as it is.
        options: further options of its shim.
        keys: any other key of the handler's table, in containerd's own spelling.
    """

    handler: str
    snapshotter: str = ""
    options: Table = field(default_factory=dict)
    keys: Table = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the name, and that something is extended by plain values."""
        check_plain(self)
        check_name("handler", self.handler, HANDLER_NAME)
        check_printable(f"snapshotter for handler {self.handler}", self.snapshotter)
        make_plain(self, f"options for handler {self.handler}", "options")
        make_plain(self, f"keys for handler {self.handler}", "keys")
        for key in ("options", "snapshotter", "runtime_type"):
            if key in self.keys:
                raise ValueError(f"keys for handler {self.handler} must not hold {key!r}")
        if not (self.snapshotter or self.options or self.keys):
            raise ValueError(f"the extension of handler {self.handler!r} extends nothing")

    def table(self) -> dict[str, Value]:
        """Return the keys as they stand in the handler's table."""
        found: dict[str, Value] = dict(self.keys)
        if self.options:
            found["options"] = self.options
        if self.snapshotter:
            found["snapshotter"] = self.snapshotter
        return found


def _check_quantity(kind: str, value: object) -> None:
    if not isinstance(value, str) or not QUANTITY.fullmatch(value):
        raise ValueError(f"{kind} = {value!r} is no quantity; write one such as 128Mi or 250m")


def _check_absolute(kind: str, path: str) -> None:
    check_printable(kind, path)
    if path and not path.startswith("/"):
        raise ValueError(f"{kind} must be an absolute path, not {path!r}")


def make_plain(contribution: object, kind: str, name: str) -> None:
    """Replace a table by plain dictionaries, checked; the contribution is being made."""
    object.__setattr__(contribution, name, plain_table(kind, getattr(contribution, name)))
