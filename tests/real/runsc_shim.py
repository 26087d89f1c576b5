"""A stand-in for gVisor's shim, which Debian does not package: runc's shim, led to run runsc.

It takes what gVisor's own shim takes (``TypeUrl`` and ``ConfigPath``; ``binary_name``, ``root``
and ``[runsc_config]`` in that file, strings only), so that what the provider writes reaches a real
runsc. Between containerd and runc's shim it rewrites one message, ``Create``: the options that
runc's shim could not read become a ``BinaryName``, this file again as the runtime.

As the runtime it calls runsc with the flags of the file. A second container in a sandbox needs
more than runc's shim does: runsc hands the standard output of ``start`` to it, and its end is
told by ``runsc wait`` alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import rtoml

OPTIONS = b"type.googleapis.com/containerd.runc.v1.Options"
WANTED = "io.containerd.runsc.v1.options"


# -- the wire: ttrpc frames and protobuf fields -------------------------------------------------


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (number, wire type, value) of a protobuf message; a varint as its bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            start = at
            _, at = varint(data, at)
            yield number, kind, data[start:at]
        elif kind == 2:
            size, at = varint(data, at)
            yield number, kind, data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {kind}")


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def number(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(key: int, kind: int, value: bytes) -> bytes:
    return number(key << 3 | kind) + (number(len(value)) if kind == 2 else b"") + value


def replaced(message: bytes, key: int, value: bytes) -> bytes:
    kept = b"".join(field(n, k, v) for n, k, v in fields(message) if n != key)
    return kept + field(key, 2, value)


def text(message: bytes, key: int) -> str:
    return next((v.decode() for n, _, v in fields(message) if n == key), "")


def part(message: bytes, key: int) -> bytes:
    return next((v for n, _, v in fields(message) if n == key), b"")


def rewritten(request: bytes) -> bytes:
    """Rewrite the options of a ``Create``; everything else passes as it is."""
    if text(request, 2) != "Create" or ".task." not in text(request, 1):
        return request
    create = part(request, 3)
    given = part(part(create, 10), 2)  # runtimeoptions.v1.Options
    if given and text(given, 1) != WANTED:
        raise ValueError(f"unsupported option type {text(given, 1)!r}")
    config = text(given, 2)
    runtime = field(6, 2, as_runtime(text(create, 2), config).encode())
    root = (rtoml.loads(Path(config).read_text()) if config else {}).get("root", "")
    if root:
        runtime += field(7, 2, root.encode())
    options = field(1, 2, OPTIONS) + field(2, 2, runtime)
    return replaced(request, 3, replaced(create, 10, options))


def as_runtime(bundle: str, config: str) -> str:
    """Lay a script into the bundle that is a runtime with the flags of the file."""
    path = Path(bundle) / "runsc-in-test"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} runtime "{config}" "$@"\n')
    path.chmod(0o755)
    return str(path)


# -- the shim -------------------------------------------------------------------------------------


def shim(arguments: list[str]) -> int:
    real = shutil.which("containerd-shim-runc-v2")
    assert real, os.environ["PATH"]
    if arguments[-1:] != ["start"]:
        os.execv(real, [real, *arguments])
    done = subprocess.run([real, *arguments], stdout=subprocess.PIPE, check=False)
    answer = done.stdout.decode()
    try:
        address = json.loads(answer)["address"]
    except (ValueError, TypeError):
        address = answer.strip()
    if done.returncode or not address:
        return done.returncode or 1
    target = address.removeprefix("unix://")
    serve(target, f"{target}.p")
    sys.stdout.write(answer.replace(address, f"{address}.p"))
    return 0


def serve(target: str, path: str) -> None:
    """Listen in a process of its own, unless one does already for this sandbox."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(path)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    if os.fork():
        return
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.chdir("/")
    threading.Thread(target=accept, args=(listener, target), daemon=True).start()
    while reachable(target):  # as long as runc's shim lives, so do we
        time.sleep(0.2)
    os.unlink(path)
    os._exit(0)


def reachable(target: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(target) == 0


def accept(listener: socket.socket, target: str) -> None:
    while True:
        client, _ = listener.accept()
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(target)
        threading.Thread(target=forward, args=(client, upstream), daemon=True).start()
        threading.Thread(target=back, args=(upstream, client), daemon=True).start()


def forward(client: socket.socket, upstream: socket.socket) -> None:
    with contextlib.suppress(OSError, EOFError), client.makefile("rb") as stream:
        while True:
            head = stream.read(10)
            if len(head) < 10:
                break
            size, stream_id, kind, flags = struct.unpack(">IIBB", head)
            body = stream.read(size)
            if kind == 1:
                body = rewritten(body)
            upstream.sendall(struct.pack(">IIBB", len(body), stream_id, kind, flags) + body)
    with contextlib.suppress(OSError):
        upstream.shutdown(socket.SHUT_WR)


def back(upstream: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := upstream.recv(65536):
            client.sendall(data)
        client.close()


# -- the runtime ----------------------------------------------------------------------------------


def runtime(config: str, arguments: list[str]) -> int:
    file = rtoml.loads(Path(config).read_text()) if config else {}
    flags = file.get("runsc_config", {})
    assert all(isinstance(value, str) for value in flags.values()), flags
    runsc = shutil.which(file.get("binary_name") or "runsc")
    assert runsc, file
    command = [runsc, *(f"--{key}={value}" for key, value in flags.items())]
    call = [*command, *arguments]
    if "create" in arguments:
        return create(command, arguments)
    if "start" in arguments and fifo(arguments).exists():
        output = os.open(fifo(arguments), os.O_WRONLY)
        return subprocess.run(
            call, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        ).returncode
    if "kill" in arguments:
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        # What runc's shim looks for in runc's own message.
        sys.stderr.write(done.stderr.replace("sandbox is not running", "container not running"))
        return done.returncode
    return os.execv(runsc, call)


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def fifo(arguments: list[str]) -> Path:
    return Path(option(arguments, "--root")) / f"{arguments[-1]}.output"


def is_second(arguments: list[str]) -> bool:
    spec = json.loads((Path(option(arguments, "--bundle")) / "config.json").read_text())
    return spec["annotations"].get("io.kubernetes.cri.container-type") == "container"


def create(command: list[str], arguments: list[str]) -> int:
    """Create a container, and leave a process of our own behind that ends as it does."""
    second = is_second(arguments)
    if not second:
        as_one_process(Path(option(arguments, "--bundle")) / "config.json")
    done = subprocess.run([*command, *arguments], check=False)
    if done.returncode:
        return done.returncode
    if second:
        os.mkfifo(fifo(arguments))
    told = Path(option(arguments, "--pid-file"))
    sandbox = int(told.read_text())
    waiter = os.fork()
    if waiter:
        told.write_text(str(waiter))
        return 0
    os._exit(end_of_second(command, arguments) if second else end_of(sandbox))


def as_one_process(config: Path) -> None:
    """Let the sandbox's own container sleep, and start nothing.

    Debian builds this runsc with a Go whose goroutines' IDs it reads wrongly: a process that
    executes another now and then panics (``task goroutine … is 0``), and the sandbox is gone.
    """
    spec = json.loads(config.read_text())
    spec["process"]["args"] = ["/bin/sleep", "86400"]
    config.write_text(json.dumps(spec))


def end_of(sandbox: int) -> int:
    """Wait for the end of the sandbox's process."""
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    while True:
        try:
            state = Path(f"/proc/{sandbox}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return 137
        if state == "Z":
            return 137
        time.sleep(0.02)


def end_of_second(command: list[str], arguments: list[str]) -> int:
    """Pass the container's output on, and wait for its end."""
    output = fifo(arguments)
    with output.open("rb", buffering=0) as stream:
        while data := stream.read(65536):
            os.write(1, data)
    output.unlink()
    wait = [*command, "--root", option(arguments, "--root"), "wait", arguments[-1]]
    told = subprocess.run(wait, capture_output=True, text=True, check=False)
    return json.loads(told.stdout)["exitStatus"] if told.returncode == 0 else 255


if __name__ == "__main__":
    if sys.argv[1] == "runtime":
        sys.exit(runtime(sys.argv[2], sys.argv[3:]))
    sys.exit(shim(sys.argv[2:]))
