"""CRI over a Unix socket, thin over the generated stubs.

gRPC and the stubs take a tenth of a second to import, so nothing imports this module before a
CRI is needed; at best containerd boots meanwhile. Sources: k8s.io/cri-api v1 ``api.proto``.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from typing import TYPE_CHECKING, Any

import grpc
from cri_api.v1 import api_pb2 as api
from cri_api.v1 import api_pb2_grpc as services

from k0sruntime.errors import CRIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CALL_SECONDS = 5.0
SANDBOX_SECONDS = 30.0
PULL_SECONDS = 60.0
COMMAND_SECONDS = 10.0
LOG_NAME = "probe.log"
LOG_FIELDS = 4
REMOVE_ATTEMPTS = 5
STEADY_SECONDS = 0.1
"""A sandbox that is still ready after this did not die at once."""
MAX_MESSAGE = 16 << 20
"""containerd's own limit of a message."""
NAMESPACE = "k0sruntime"


class CRI:
    """A connection to one CRI socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._channel = grpc.insecure_channel(
            f"unix://{path}",
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                ("grpc.initial_reconnect_backoff_ms", 20),
                ("grpc.max_reconnect_backoff_ms", 50),
                # The limit of one attempt: a busy containerd may take long to greet us.
                ("grpc.min_reconnect_backoff_ms", 5000),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._runtime = services.RuntimeServiceStub(self._channel)
        self._images = services.ImageServiceStub(self._channel)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> CRI:  # noqa: PYI034 - typing.Self needs Python 3.11
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def _call(self, call: Callable[..., Any], request: Any, seconds: float = CALL_SECONDS) -> Any:
        try:
            return call(request, timeout=seconds)
        except grpc.RpcError as exc:
            raise CRIError(exc.code().name, exc.details() or "no reason given") from exc

    def wait(self, seconds: float, alive: Callable[[], bool]) -> None:
        """Wait until the CRI answers ``Version``.

        Raises:
            CRIError: ``UNIMPLEMENTED`` where the CRI plugin did not load, ``ABORTED`` where the
                process is gone, ``DEADLINE_EXCEEDED`` after ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._call(self._runtime.Version, api.VersionRequest(), 1.0)
            except CRIError as exc:
                if exc.code == "UNIMPLEMENTED":
                    raise
                if not alive():
                    raise CRIError("ABORTED", "the process ended") from exc
                if time.monotonic() > deadline:
                    text = f"no answer in {seconds:g} s: {exc.code}: {exc}"
                    raise CRIError("DEADLINE_EXCEEDED", text) from exc
                time.sleep(0.005)
            else:
                return

    def runtime(self) -> tuple[str, str]:
        """Return the runtime's name and version."""
        answer = self._call(self._runtime.Version, api.VersionRequest())
        return answer.runtime_name, answer.runtime_version

    def conditions(self) -> dict[str, tuple[bool, str]]:
        """Return the runtime's conditions: name to (holds, message)."""
        answer = self._call(self._runtime.Status, api.StatusRequest())
        return {c.type: (c.status, c.message or c.reason) for c in answer.status.conditions}

    def handlers(self) -> tuple[str, ...]:
        """Return the configured handlers; empty where the CRI is too old to tell (1.7)."""
        answer = self._call(self._runtime.Status, api.StatusRequest())
        return tuple(sorted(handler.name for handler in answer.runtime_handlers if handler.name))

    def config(self) -> dict[str, Any]:
        """Return containerd's CRI configuration as its verbose ``Status`` tells it, or ``{}``."""
        answer = self._call(self._runtime.Status, api.StatusRequest(verbose=True))
        found = json.loads(answer.info.get("config", "{}"))
        return found if isinstance(found, dict) else {}

    def cgroup_driver(self) -> tuple[str, str]:
        """Return ``systemd`` or ``cgroupfs``; or an empty string, and why the CRI does not tell.

        Raises:
            CRIError: it fails where it is asked, which a kubelet does not start with.
        """
        try:
            answer = self._call(self._runtime.RuntimeConfig, api.RuntimeConfigRequest())
        except CRIError as exc:
            if exc.code != "UNIMPLEMENTED":
                raise
            return "", "it serves no RuntimeConfig"
        if not answer.HasField("linux"):
            return "", "its RuntimeConfig has no part for Linux"
        return "systemd" if answer.linux.cgroup_driver == 0 else "cgroupfs", ""

    def has_image(self, image: str) -> bool:
        """Tell whether an image is at hand, without pulling it."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=image))
        return bool(self._call(self._images.ImageStatus, request).HasField("image"))

    def image_folders(self) -> tuple[str, ...]:
        """Return the folders that hold the unpacked images, the default snapshotter's first."""
        answer = self._call(self._images.ImageFsInfo, api.ImageFsInfoRequest())
        return tuple(found.fs_id.mountpoint for found in answer.image_filesystems)

    def pull(self, image: str) -> str:
        """Pull an image and return its reference."""
        request = api.PullImageRequest(image=api.ImageSpec(image=image))
        return str(self._call(self._images.PullImage, request, PULL_SECONDS).image_ref)

    def pods(self) -> list[tuple[str, str, str]]:
        """Return all pod sandboxes as (id, namespace/name, handler)."""
        items = self._call(self._runtime.ListPodSandbox, api.ListPodSandboxRequest()).items
        return [
            (p.id, f"{p.metadata.namespace}/{p.metadata.name}", p.runtime_handler) for p in items
        ]

    def remove_leftovers(self) -> None:
        """Remove sandboxes of earlier proofs that were killed, or could not be stopped."""
        for pod, name, _ in self.pods():
            if name.startswith(f"{NAMESPACE}/"):
                with contextlib.suppress(CRIError):  # what cannot be stopped is told by its proof
                    self.remove_pod(pod)

    def remove_pod(self, pod: str) -> None:
        """Stop and remove a pod sandbox; one that is gone is fine."""
        stop = api.StopPodSandboxRequest(pod_sandbox_id=pod)
        for attempt in range(REMOVE_ATTEMPTS):
            try:
                self._call(self._runtime.StopPodSandbox, stop, SANDBOX_SECONDS)
                break
            except CRIError:  # a sandbox that just died by itself is not yet known to be dead
                if attempt == REMOVE_ATTEMPTS - 1:
                    raise
                time.sleep(0.1)
        remove = api.RemovePodSandboxRequest(pod_sandbox_id=pod)
        self._call(self._runtime.RemovePodSandbox, remove, SANDBOX_SECONDS)

    @contextlib.contextmanager
    def sandbox(self, handler: str, logs: str = "") -> Iterator[tuple[str, Any]]:
        """Run a pod sandbox on the host network under a handler, and remove it again.

        Yields its ID and its configuration. Containers in it may log into the folder ``logs``.
        """
        config = _sandbox_config(handler, logs)
        request = api.RunPodSandboxRequest(config=config, runtime_handler=handler)
        pod = self._call(self._runtime.RunPodSandbox, request, SANDBOX_SECONDS).pod_sandbox_id
        try:
            yield pod, config
        finally:
            self.remove_pod(pod)

    def prove_sandbox(self, handler: str) -> None:
        """Run a sandbox under a handler, see it ready and stay so, and remove it.

        Raises:
            CRIError: with containerd's own reason.
        """
        with self.sandbox(handler) as (pod, _):
            request = api.PodSandboxStatusRequest(pod_sandbox_id=pod)
            time.sleep(STEADY_SECONDS)
            state = self._call(self._runtime.PodSandboxStatus, request).status.state
            if state != 0:
                raise CRIError(
                    "FAILED_PRECONDITION",
                    "the sandbox came up and died at once; does its pause image run?",
                )

    def run_in_sandbox(self, handler: str, image: str, command: Sequence[str]) -> str:
        """Run one command in a container under ``handler`` and return what it printed.

        The command is the container's own process: an image's entrypoint may end at once.

        Raises:
            CRIError: with containerd's own reason, or what the command said when it failed.
        """
        with (
            tempfile.TemporaryDirectory(prefix="k0sruntime-probe-") as logs,
            self.sandbox(handler, logs) as (pod, config),
        ):
            container = api.ContainerConfig(
                metadata=api.ContainerMetadata(name="probe"),
                image=api.ImageSpec(image=image),
                command=list(command),
                log_path=LOG_NAME,
                linux=api.LinuxContainerConfig(),
            )
            request = api.CreateContainerRequest(
                pod_sandbox_id=pod, config=container, sandbox_config=config
            )
            created = self._call(self._runtime.CreateContainer, request, SANDBOX_SECONDS)
            start = api.StartContainerRequest(container_id=created.container_id)
            self._call(self._runtime.StartContainer, start, SANDBOX_SECONDS)
            status = self._ended(created.container_id)
            output = _logged(f"{logs}/{LOG_NAME}")
        if status:
            raise CRIError("UNKNOWN", f"exit status {status}: {output.strip()}")
        return output

    def _ended(self, container: str) -> int:
        """Wait for a container's end and return its exit status."""
        request = api.ContainerStatusRequest(container_id=container)
        deadline = time.monotonic() + COMMAND_SECONDS
        while True:
            found = self._call(self._runtime.ContainerStatus, request).status
            if found.state == api.CONTAINER_EXITED:
                return int(found.exit_code)
            if time.monotonic() > deadline:
                raise CRIError("DEADLINE_EXCEEDED", f"it still ran after {COMMAND_SECONDS:g} s")
            time.sleep(0.02)


def _logged(path: str) -> str:
    """Return what a container printed, out of its log.

    Source: Kubernetes CRI ``<time> stdout F <text>``, where ``P`` is a line that goes on;
    cri-dockerd links Docker's own ``{"log": …}`` lines there.
    """
    parts = []
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("{"):
                parts.append(str(json.loads(line).get("log", "")))
                continue
            fields = line.rstrip("\n").split(" ", 3)
            if len(fields) == LOG_FIELDS:
                parts.append(fields[3] + ("" if fields[2].startswith("P") else "\n"))
    return "".join(parts)


def _sandbox_config(handler: str, logs: str) -> Any:
    """Return the configuration of a probe sandbox: the host's network, so that no CNI is needed."""
    name = f"proof-{handler or 'default'}"
    unique = f"{os.getpid()}-{time.monotonic_ns()}"
    namespaces = api.NamespaceOption(network=api.NamespaceMode.NODE)
    return api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(name=name, uid=unique, namespace=NAMESPACE),
        log_directory=logs,
        linux=api.LinuxPodSandboxConfig(
            security_context=api.LinuxSandboxSecurityContext(namespace_options=namespaces)
        ),
    )
