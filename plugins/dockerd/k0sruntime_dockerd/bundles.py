"""k0s's image bundles as Docker takes them.

A bundle is an OCI archive (``k0s airgap bundle-artifacts``, ``ctr images export``). Docker's own
store loads only archives that have a ``manifest.json``: to one without it answers 200, and an error
in the text. So that file is added to the stream, made from the archive's own index; nothing is
unpacked, and nothing else is changed. Sources: OCI image layout, moby ``image/tarexport/load.go``.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

from k0sruntime import files_here
from k0sruntime_dockerd.docker_api import DockerError, connected

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst")
"""Names of bundles that are imported."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
SMALL = 4 << 20
"""No manifest is larger than this (containerd's own limit)."""
CHUNK = 1 << 20
BLOCK = 512
LOAD_SECONDS = 600
ZSTD_SECONDS = 10
NO_ZSTD = (
    "unpacking a .zst needs the program zstd, which is not on PATH: install it (apt install zstd,"
    " apk add zstd), or unpack the bundle elsewhere (zstd -d) and import the .tar"
)
NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
"""Annotations that name an image, the best one first."""


@dataclass(frozen=True)
class Imported:
    """What became of one bundle: the images that Docker says it loaded, or why not."""

    path: str
    images: tuple[str, ...] = ()
    problem: str = ""


@dataclass
class _Contents:
    """What a bundle holds, as far as it matters here."""

    end: int = 0
    small: dict[str, bytes] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


def import_bundle(path: str, socket: str, arch: str) -> Imported:
    """Load a bundle into Docker. Nothing is raised: what went wrong is told."""
    if kind := files_here().other_kind(os.path.abspath(path)):
        return Imported(path, problem=f"no image bundle: it is {kind}")
    try:
        with connected(socket, LOAD_SECONDS) as client:
            said = list(client.load_image(_stream(path, arch)))
    except DockerError as exc:
        return Imported(path, problem=exc.problem.message)
    except (OSError, tarfile.TarError, ValueError, EOFError) as exc:
        why = str(exc)
        return Imported(path, problem=why if "zstd" in why else f"no image bundle: {why}")
    errors = [str(line["error"]) for line in said if "error" in line]
    if errors:
        return Imported(path, problem=f"Docker does not take it: {errors[0]}")
    texts = [str(line.get("stream", "")).strip() for line in said]
    loaded = [text.partition(": ")[2] for text in texts if text.startswith("Loaded image")]
    return Imported(path, tuple(loaded))


def _stream(path: str, arch: str) -> Iterator[bytes]:
    """Yield a bundle as Docker takes it.

    Raises:
        ValueError: no image for this architecture is in it.
    """
    contents = _contents(path)
    if "manifest.json" in contents.names or "index.json" not in contents.small:
        yield from _chunks(path, None)
        return
    document = json.dumps(docker_manifest(contents.small, arch)).encode()
    info = tarfile.TarInfo("manifest.json")
    info.size = len(document)
    yield from _chunks(path, contents.end)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(info, io.BytesIO(document))
    yield out.getvalue()


def _contents(path: str) -> _Contents:
    found = _Contents()
    with _opened(path) as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            found.names.add(name)
            found.end = member.offset_data + (member.size + BLOCK - 1) // BLOCK * BLOCK
            if member.isfile() and member.size <= SMALL:
                inside = tar.extractfile(member)
                content = inside.read() if inside else b""
                if content.startswith(b"{"):
                    found.small[name] = content
    return found


def _chunks(path: str, end: int | None) -> Iterator[bytes]:
    """Yield the plain archive, without its end where something follows."""
    with _opened(path) as file:
        left = end
        while left is None or left:
            chunk = file.read(CHUNK if left is None else min(CHUNK, left))
            if not chunk:
                return
            yield chunk
            left = None if left is None else left - len(chunk)


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """Open a bundle as a plain archive.

    Raises:
        ValueError: zstd's own program, which unpacks what it packed, is missing or refuses.
    """
    if path.endswith((".gz", ".tgz")):
        with gzip.open(path) as unpacked:
            yield cast("IO[bytes]", unpacked)
    elif path.endswith(".zst"):
        with _unpacked_by_zstd(path) as unpacked:
            yield unpacked
    else:
        with open(path, "rb") as plain:
            yield plain


@contextmanager
def _unpacked_by_zstd(path: str) -> Iterator[IO[bytes]]:
    program = shutil.which("zstd")
    if program is None:
        raise ValueError(NO_ZSTD)
    with (
        tempfile.TemporaryFile() as said,
        open(path, "rb") as packed,
        subprocess.Popen(
            [program, "-dcq"], stdin=packed, stdout=subprocess.PIPE, stderr=said
        ) as process,
    ):
        output = process.stdout
        assert output is not None  # noqa: S101 - for the types
        try:
            yield output
            ended = not output.read(1)
        except tarfile.TarError:
            _refuse_failed(process, said)
            raise
        except BaseException:
            process.terminate()
            raise
        if ended:
            _refuse_failed(process, said)
        else:  # no more of it is wanted
            process.terminate()


def _refuse_failed(process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    """Raise what zstd says, where it has failed."""
    if process.stdout:
        process.stdout.close()
    if process.wait(ZSTD_SECONDS) > 0:
        said.seek(0)
        words = " ".join(said.read(SMALL).decode(errors="replace").split())
        raise ValueError(f"zstd cannot unpack it: {words[-200:] or process.returncode}")


def docker_manifest(small: dict[str, bytes], arch: str) -> list[dict[str, Any]]:
    """Return Docker's ``manifest.json`` for the images of an OCI archive.

    Args:
        small: the archive's JSON files by name.
        arch: as ``uname -m`` spells it.

    Raises:
        ValueError: there is no image for this architecture.
    """
    entries: dict[str, dict[str, Any]] = {}
    index = json.loads(small["index.json"])
    for descriptor in index.get("manifests", ()):
        annotations = descriptor.get("annotations") or {}
        name = next((n for key in NAMES if (n := annotations.get(key, ""))), "")
        manifest = _manifest(descriptor, small, ARCHITECTURES.get(arch, arch))
        if manifest is None:
            continue
        config = _blob(manifest["config"])
        entry = entries.setdefault(
            config,
            {
                "Config": config,
                "RepoTags": [],
                "Layers": [_blob(layer) for layer in manifest["layers"]],
            },
        )
        if "@" not in name and ":" in name.rpartition("/")[2] and name not in entry["RepoTags"]:
            entry["RepoTags"].append(name)
    if not entries:
        raise ValueError(f"it holds no image for {arch}")
    return list(entries.values())


def _manifest(
    descriptor: dict[str, Any], small: dict[str, bytes], arch: str
) -> dict[str, Any] | None:
    """Return the image manifest that a descriptor leads to on an architecture, or ``None``."""
    wanted = (descriptor.get("platform") or {}).get("architecture", arch)
    content = small.get(_blob(descriptor))
    if content is None or wanted != arch:
        return None
    document: dict[str, Any] = json.loads(content)
    if "config" in document:
        return document
    for inner in document.get("manifests", ()):
        found = _manifest(inner, small, arch)
        if found is not None:
            return found
    return None


def _blob(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")
