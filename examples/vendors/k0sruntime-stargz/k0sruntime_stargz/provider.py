"""The provider: a stargz snapshotter that runs on the node unpacks its pods' images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import Check, DropIn, HandlerExtension, Inactive, Provider
from k0sruntime_stargz import checks
from k0sruntime_stargz.settings import StargzSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime import Node, RunningCRI

NAME = "stargz"
PROGRAM = "containerd-stargz-grpc"
SOCKET = "/run/containerd-stargz-grpc/containerd-stargz-grpc.sock"
"""Where it listens by default."""


class Stargz(Provider[StargzSettings]):
    """stargz as a snapshotter: it starts containers before their images are pulled."""

    contract = (1, 0)
    settings = StargzSettings
    summary = "stargz as a snapshotter"

    def contribute_dropin(
        self, node: Node[StargzSettings]
    ) -> Iterator[Check | DropIn | HandlerExtension]:
        """Tell containerd where the snapshotter listens, and who is to use it.

        Whether it listens just now does not decide: a node that boots may start it later.
        """
        own, socket = node.settings, node.settings.socket or SOCKET
        there = node.files.is_socket(socket)
        if not (there or own.socket or node.which(PROGRAM)):
            raise Inactive(f"no {PROGRAM} on the node's PATH, and no socket {socket}")
        if not there:
            yield Check(
                name=checks.SOCKET,
                verdict="warn",
                detail=f"there is no socket {socket} yet; without it no pod starts",
                remedy=checks.START,
            )
        yield DropIn(
            tables={
                "proxy_plugins": {
                    NAME: {"type": "snapshot", "address": socket, "exports": {"root": own.root}}
                }
            }
        )
        yield DropIn(
            images={"disable_snapshot_annotations": False},
            reason="a remote snapshotter must be told which image a layer is of",
        )
        if own.default:
            yield DropIn(images={"snapshotter": NAME})
        for handler in own.handlers:
            yield HandlerExtension(handler=handler, snapshotter=NAME)

    def post_start_check(self, node: Node[StargzSettings], cri: RunningCRI) -> Iterator[Check]:
        """Ask the socket, then the CRI, then look at where a container's root lies."""
        own = node.settings
        heard = checks.listens(node.paths.on_disk(own.socket or SOCKET))
        yield heard
        if heard.verdict == "fail":
            return
        if own.default:
            yield checks.unpacks(cri, own.root)
        for handler in (*(["runc"] if own.default else []), *own.handlers):
            yield checks.serves(cri, handler, own.root, node.probe_image)


provider = Stargz()
