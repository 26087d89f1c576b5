"""Small bundles: programs that are scripts, wheels that hold nothing but metadata, made-up images."""

from __future__ import annotations

import platform
import zipfile
from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from tests.made_up_releases import DATE, bare_environment, lay_release, settings, without

LEFT_OUT = ("nvidia", "dockerd", "mirrors")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_environment(monkeypatch, tmp_path / "user")


def lay_wheel(folder: Path, name: str, version: str, tag: str, *requires: str) -> Path:
    """Lay a wheel that holds nothing but its metadata."""
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    folder.mkdir(exist_ok=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    with zipfile.ZipFile(path, "w") as wheel:
        info = zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA")
        wheel.writestr(info, "\n".join(["Metadata-Version: 2.1", *lines, ""]))
    return path


class Site:
    """Where there is a network: settings, programs, images and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.releases = folder / "releases"
        self.settings = folder / "node.toml"
        self.image = folder / "pause.tar"
        for arch in ("x86_64", "aarch64"):
            lay_release(self.releases, DATE, arch)
        self.settings.write_text(settings(self.releases))
        self.image.write_bytes(b"an image")

    def pack(self, name: str = "site.tar", *more: str, wheels: str = "--no-wheels") -> Path:
        """Run ``bundle`` as a site does, and return the archive."""
        out = self.folder / name
        assert self.bundle(out, *more, *wheels.split()) == 0
        return out

    def bundle(self, out: Path, *more: str) -> int:
        options = ["--settings", str(self.settings), "--cache", str(self.folder / "cache")]
        if "--image" not in more and "--no-images" not in more:
            options += ["--image", str(self.image)]
        home = self.folder / "home"
        return run(
            ["bundle", str(out), "--sandbox", str(home), *without(*LEFT_OUT), *options, *more]
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


class Node:
    """A node in a folder, which k0s would run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "etc/k0sruntime/config.toml"
        self.images = folder / "var/lib/k0s/images"
        self.cache = folder / "var/cache/k0sruntime"
        self.dropin = folder / "etc/k0s/containerd.d/k0sruntime-gvisor.toml"

    def run(self, command: str, *more: str) -> int:
        return run([command, "--sandbox", str(self.folder), *without(*LEFT_OUT), *more])

    def up(self, bundle: Path, *more: str) -> int:
        return self.run("up", "--bundle", str(bundle), "--offline", *more)

    def files(self) -> dict[str, bytes]:
        """Return all that lies on the node, but for the lock and the sandbox's mark."""
        if not self.folder.exists():
            return {}
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name not in ("lock", ".k0sruntime-sandbox")
        }

    @property
    def programs(self) -> list[str]:
        folder = self.folder / "var/lib/k0sruntime/bin/gvisor"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node")


OTHER = {"x86_64": "aarch64", "aarch64": "x86_64"}[platform.machine()]
