"""The stargz snapshotter, which Debian has as a library of Go and not as a program.

Its library, all that it needs, and Debian's own Go are unpacked, and ``stargz.go`` beside this file
puts the library behind a socket. What was needed to build it is removed again.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lab.debian import LabError, run

if TYPE_CHECKING:
    from lab.folder import Lab

SUITE = "forky"
LIBRARY = "golang-github-containerd-stargz-snapshotter-dev"
GITHUB = """
beorn7-perks cespare-xxhash-v2 containerd-containerd containerd-containerd-api
containerd-continuity containerd-errdefs containerd-log containerd-platforms containerd-ttrpc
containerd-typeurl coreos-bbolt distribution-reference docker-go-metrics go-logr-logr go-logr-stdr
gogo-protobuf golang-groupcache golang-protobuf-1-5 google-go-cmp hanwen-go-fuse hashicorp-errwrap
hashicorp-go-cleanhttp hashicorp-go-multierror hashicorp-go-retryablehttp klauspost-compress
kubernetes-cri-api moby-locker moby-sys munnerz-goautoneg opencontainers-go-digest
opencontainers-image-spec pelletier-go-toml pelletier-go-toml.v2 prometheus-client-golang
prometheus-client-model prometheus-common prometheus-procfs sirupsen-logrus vbatts-tar-split
"""
FURTHER = """
golang-x-net golang-x-sync golang-x-sys golang-x-text google-genproto google-grpc google-protobuf
opentelemetry-otel
"""
"""The libraries that the build imports; all that their packages depend on is six times that."""


def get(lab: Lab) -> tuple[Path, str]:
    """Build the daemon; return the program and the library's version.

    Raises:
        LabError: a package cannot be had, or the build fails.
    """
    apt = lab.apt(SUITE)
    source, version = lab.unpack(SUITE, LIBRARY)
    said = re.search(r"golang-1\.\d+-go", apt.show("golang-go"))
    if not said:
        raise LabError(f"golang-go of Debian {SUITE} names no golang-1.N-go")
    names = [f"golang-github-{name}-dev" for name in GITHUB.split()]
    names += [f"golang-{name}-dev" for name in FURTHER.split()]
    apt.unpack_all([said[0], f"{said[0][:-3]}-src", *names], source)
    program = lab.folder / "stargz" / "containerd-stargz-grpc"
    program.parent.mkdir(parents=True, exist_ok=True)
    _build(source, next(source.glob("usr/lib/go-*")), program)
    shutil.rmtree(source)
    return program, version


def _build(source: Path, go: Path, program: Path) -> None:
    environment = {
        "GO111MODULE": "off",  # Debian's libraries lie in one GOPATH, without a network
        "GOPATH": source / "usr/share/gocode",
        "GOROOT": go,
        "GOCACHE": source / "cache",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    words = [f"{name}={value}" for name, value in environment.items()]
    main = Path(__file__).with_suffix(".go")
    command = [str(go / "bin/go"), "build", "-trimpath", "-ldflags=-s -w", "-o", str(program)]
    run(["env", *words, *command, str(main)], "building containerd-stargz-grpc")
