"""gVisor releases made of the real runsc and the stand-in shim, in both layouts, and a server."""

from __future__ import annotations

import hashlib
import http.server
import io
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

from tests.real.conftest import LAB

SHIM = "containerd-shim-runsc-v1"
TARBALL = "gvisor.tar.bz2"


def shim_script() -> str:
    """Return gVisor's shim: the stand-in, started as a program."""
    here = Path(__file__).parent / "runsc_shim.py"
    return f'#!/bin/sh\nexec {sys.executable} {here} shim "$@"\n'


def programs() -> dict[str, bytes]:
    """Return what a release consists of; the sidecar is one in name only."""
    return {
        "runsc": (LAB / "bin/runsc").resolve().read_bytes(),
        SHIM: shim_script().encode(),
        "gvisor-bin/checkpointgofer": b"#!/bin/sh\nexit 0\n",
    }


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:bz2", compresslevel=1) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def lay(folder: Path, date: str, files: dict[str, bytes], arch: str = "x86_64") -> Path:
    """Lay files and their checksums into a release's folder, as gVisor publishes them."""
    target = folder / date / arch
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
        digest = hashlib.sha512(content).hexdigest()
        (target / f"{name}.sha512").write_text(f"{digest}  {name}\n")
    return target


class Mirror:
    """A local HTTP server over a folder, with ranges; it remembers, and can be told to fail."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str]] = []
        self.fail: Callable[[http.server.BaseHTTPRequestHandler, bytes], bool] | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range", "")
                outer.asked.append((self.path.rpartition("/")[2], asked))
                path = folder / self.path.lstrip("/")
                if not path.is_file():
                    self.send_error(404)
                    return
                content = path.read_bytes()
                if outer.fail and outer.fail(self, content):
                    return
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:])

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):  # typing.Self needs Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
