"""The probe image: busybox as an OCI archive, good as a pause image and for a look inside.

The same bytes every time, so that the image's digest tells whether it has changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from typing import Any

NAME = "k0sruntime.local/probe:1"
APPLETS = ("sh", "cat", "dmesg", "echo", "id", "ls", "sleep", "true", "uname")
FOLDERS = ("bin", "dev", "etc", "proc", "root", "sys", "tmp")
ENTRYPOINT = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"]
"""Sleeps for ever, as a pause image must, and ends at once when it is told to."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def build(busybox: bytes, machine: str = "", name: str = NAME) -> bytes:
    """Return an OCI archive that ``ctr images import`` takes."""
    layer = _layer(busybox)
    config = _json(
        {
            "architecture": ARCHITECTURES.get(machine or platform.machine(), "amd64"),
            "os": "linux",
            "config": {"Entrypoint": ENTRYPOINT, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    )
    named = {
        **_descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rpartition(":")[2],
        },
    }
    index = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [named],
        }
    )
    files = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": index}
    for blob in (layer, config, manifest):
        files[f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}"] = blob
    return _archive([_file(name, content) for name, content in files.items()])


def _layer(busybox: bytes) -> bytes:
    folders = [_entry(name, tarfile.DIRTYPE, 0o755) for name in FOLDERS]
    links = [_entry(f"bin/{name}", tarfile.SYMTYPE, 0o777, link="busybox") for name in APPLETS]
    program = _file("bin/busybox", busybox, 0o755)
    users = _file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    return _archive([*folders, program, *links, users])


Entry = tuple[tarfile.TarInfo, bytes]


def _entry(name: str, kind: bytes, mode: int, link: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, link
    return info, b""


def _file(name: str, content: bytes, mode: int = 0o644) -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info, content


def _archive(entries: list[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}
