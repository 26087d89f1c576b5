# ruff: noqa: N802 - gRPC names the methods
"""Stands in for cri-dockerd, which is no package of Debian's: CRI v1 over a real Docker.

It does of cri-dockerd what the host and the provider look at: ``Version`` and the cgroup driver come
from the real Docker's answers, read once at the start as cri-dockerd does; an older one has no
``RuntimeConfig``; a 0.4.0 reports Docker's runtimes as handlers. It runs no pods.

Usage: ``cri_dockerd_stand_in.py SOCKET DOCKER VERSION`` · ``cri_dockerd_stand_in.py --version``
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from concurrent import futures
from typing import Any

import docker
import grpc
from cri_api.v1 import api_pb2 as api
from cri_api.v1 import api_pb2_grpc as services

PAUSE = "registry.k8s.io/pause:3.10"


class Runtime(services.RuntimeServiceServicer):
    """The part of the runtime service that is looked at."""

    def __init__(self, client: Any, version: str) -> None:
        self.client = client
        self.version = tuple(int(part) for part in version.split("."))
        self.driver = os.environ.get("STAND_IN_DRIVER") or client.info()["CgroupDriver"]

    def Version(self, request: Any, context: Any) -> Any:
        return api.VersionResponse(
            version="0.1.0",
            runtime_name="docker",
            runtime_version=self.client.version()["Version"],
            runtime_api_version="v1",
        )

    def Status(self, request: Any, context: Any) -> Any:
        ready = api.RuntimeCondition(type="RuntimeReady", status=True)
        info = {"config": json.dumps({"sandboxImage": PAUSE})} if request.verbose else {}
        answer = api.StatusResponse(status=api.RuntimeStatus(conditions=[ready]), info=info)
        if self.version in ((0, 4, 0), (0, 4, 1)):
            for name in self.client.info()["Runtimes"]:
                answer.runtime_handlers.append(api.RuntimeHandler(name=name))
        return answer

    def RuntimeConfig(self, request: Any, context: Any) -> Any:
        if self.version < (0, 3, 17):
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown method RuntimeConfig")
        driver = 0 if self.driver == "systemd" else 1
        return api.RuntimeConfigResponse(linux=api.LinuxRuntimeConfiguration(cgroup_driver=driver))

    def ListPodSandbox(self, request: Any, context: Any) -> Any:
        return api.ListPodSandboxResponse()


class Images(services.ImageServiceServicer):
    """Images are Docker's."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def ImageStatus(self, request: Any, context: Any) -> Any:
        try:
            found = self.client.inspect_image(request.image.image)
        except docker.errors.ImageNotFound:
            return api.ImageStatusResponse()
        return api.ImageStatusResponse(image=api.Image(id=found["Id"]))


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"cri-dockerd {os.environ.get('STAND_IN_VERSION', '0.3.17')} (stand-in)")
        return
    path, socket, version = sys.argv[1:]
    client = docker.APIClient(base_url=f"unix://{socket}", version="auto")
    server = grpc.server(futures.ThreadPoolExecutor(4))
    services.add_RuntimeServiceServicer_to_server(Runtime(client, version), server)
    services.add_ImageServiceServicer_to_server(Images(client), server)
    server.add_insecure_port(f"unix://{path}")
    server.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    server.stop(0)
    client.close()


if __name__ == "__main__":
    main()
