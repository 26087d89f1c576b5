# ruff: noqa: N802 - gRPC names the methods
"""Stands in for runtimes that misbehave, which no real one does when it is asked to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from cri_api.v1 import api_pb2 as api
from cri_api.v1 import api_pb2_grpc as services


class Odd(services.RuntimeServiceServicer):
    """Answers as a runtime does, but for one call.

    Args:
        how: the call's name, and what becomes of it: ``Status hangs``, ``Status UNIMPLEMENTED``,
            ``Status not ready``, ``RuntimeConfig without linux``.
    """

    def __init__(self, how: str) -> None:
        self.call, _, self.what = how.partition(" ")
        self.ended = threading.Event()

    def _odd(self, call: str, context: Any) -> None:
        if call != self.call:
            return
        if self.what == "hangs":
            self.ended.wait(60)
        if self.what.isupper():
            context.abort(grpc.StatusCode[self.what], "as the test says")

    def Version(self, request: Any, context: Any) -> Any:
        self._odd("Version", context)
        return api.VersionResponse(
            version="0.1.0", runtime_name="odd", runtime_version="1.0", runtime_api_version="v1"
        )

    def Status(self, request: Any, context: Any) -> Any:
        self._odd("Status", context)
        ready = self.call != "Status" or self.what != "not ready"
        message = "" if ready else "the shim is gone"
        condition = api.RuntimeCondition(type="RuntimeReady", status=ready, message=message)
        return api.StatusResponse(status=api.RuntimeStatus(conditions=[condition]))

    def RuntimeConfig(self, request: Any, context: Any) -> Any:
        self._odd("RuntimeConfig", context)
        if self.call == "RuntimeConfig":
            return api.RuntimeConfigResponse()
        return api.RuntimeConfigResponse(linux=api.LinuxRuntimeConfiguration(cgroup_driver=1))

    def ListPodSandbox(self, request: Any, context: Any) -> Any:
        return api.ListPodSandboxResponse()


@contextmanager
def odd_cri(path: Path, how: str) -> Iterator[Path]:
    """Serve on a socket."""
    odd = Odd(how)
    server = grpc.server(futures.ThreadPoolExecutor(8))
    services.add_RuntimeServiceServicer_to_server(odd, server)
    server.add_insecure_port(f"unix://{path}")
    server.start()
    try:
        yield path
    finally:
        odd.ended.set()
        server.stop(0).wait()
