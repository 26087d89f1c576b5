"""An image is composed where it is made, and boots as it is: up only starts and proves.

The first boot is a mount namespace whose root is the image (pivot_root), with real paths: /etc, /var
and /opt are the image's, /run is empty, and the rest of the system comes from this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k0sruntime.facts import CAP_SYS_RESOURCE, _has_capability
from tests.real.conftest import CONTAINERDS, IMAGE, LAB, ROOT
from tests.real.releases import SHIM, lay, programs

pytestmark = pytest.mark.real

DATE, NEXT = "20260720.0", "20260721.0"
WITHOUT = ["--without=nvidia", "--without=dockerd", "--without=mirrors"]
SETTINGS = f"""
[node]
pause_image = "{IMAGE}"
probe_image = "{IMAGE}"
path = ["/opt/node/bin"]
# What this machine cannot do is not taken for what the image's nodes cannot.
restrict_oom_score_adj = {str(not _has_capability(CAP_SYS_RESOURCE)).lower()}

[node.handlers.crun]
binary = "crun"
runtime_class = "crun"

[gvisor]
network = "none"

[gvisor.release]
date = "{DATE}"
source = "{{source}}"
"""
NEEDED = (ROOT, LAB, LAB / "bin/containerd", sys.executable, sys.prefix, tempfile.gettempdir())
FROM_HERE = {"usr", "proc", "sys", "dev", *(os.path.realpath(p).split("/")[1] for p in NEEDED)} | {
    str(path).split("/")[1] for path in NEEDED
}
"""What the booted image has of this machine: its libraries, this checkout, its Python, the lab."""
BOOT = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
for folder in {folders}; do
    [ ! -d /$folder ] || {{ mkdir -p "$1/$folder" && mount --rbind /$folder "$1/$folder"; }}
done
mount -t tmpfs tmpfs "$1/run"
mkdir -p "$1/.before"
cd "$1"
pivot_root . .before
umount -l /.before
rmdir /.before
touch /run/booted
exec sleep 300
"""


def k0sruntime(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("K0SRUNTIME_")}
    return subprocess.run(
        [sys.executable, "-m", "k0sruntime", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=90,
        check=False,
    )


class Booted:
    """The booted image: what it runs, and its end."""

    def __init__(self, root: Path, pid: int) -> None:
        self.root = root
        self.pid = pid

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        enter = ["nsenter", "--mount", "--root", "--wd=/", "--target", str(self.pid)]
        return subprocess.run(
            [*enter, "env", "-i", path, "K0SRUNTIME_SUPERVISOR=false", *command],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def ok(self, *arguments: str) -> Any:
        done = self.inside(sys.executable, "-m", "k0sruntime", *arguments, "--json")
        log = self.inside("tail", "-n", "30", "/run/k0s/containerd.log").stdout
        assert done.returncode == 0, f"{done.stderr}\n{log}"
        return json.loads(done.stdout)


@contextlib.contextmanager
def booted(root: Path) -> Iterator[Booted]:
    for name in ("bin", "sbin", "lib", "lib64"):
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    (root / "run").mkdir(exist_ok=True)
    script = BOOT.format(folders=" ".join(sorted(FROM_HERE)))
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script, "boot", str(root)])
    try:
        deadline = time.monotonic() + 20
        node = Booted(root, process.pid)
        while node.inside("test", "-e", "/run/booted").returncode:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        try:
            yield node
        finally:
            down = node.inside(sys.executable, "-m", "k0sruntime", "down", "--pods")
        assert down.returncode == 0, down.stderr
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image as packer or a container build has it: containerd, runtimes, pause image, settings."""
    root = tmp_path / "root"
    for name in ("containerd", "ctr", "containerd-shim-runc-v2", "runc", "crun"):
        target = root / "opt/node/bin" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(LAB / "bin" / name, target)
    files = {
        "etc/hosts": "127.0.0.1 localhost\n",
        "etc/resolv.conf": "",
        "etc/os-release": 'ID=image\nVERSION_ID="1"\n',
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "var/lib/k0s/images").mkdir(parents=True)
    (root / "var/log").mkdir()
    shutil.copy(LAB / "images/probe.tar", root / "var/lib/k0s/images")
    lay(tmp_path / "releases", DATE, {n: programs()[n] for n in ("runsc", SHIM)})
    settings = root / "etc/k0sruntime/config.toml"
    settings.parent.mkdir()
    settings.write_text(SETTINGS.format(source=tmp_path / "releases"))
    return root


def state_of(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return inode, time, permissions and content of what the image brings."""
    found = {}
    for base in ("etc/k0s", "etc/k0sruntime", "etc/systemd", "var/lib/k0sruntime/bin"):
        for path in sorted((root / base).rglob("*")):
            at = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            key = str(path.relative_to(root))
            found[key] = (at.st_ino, at.st_mtime_ns, at.st_mode, content)
    return found


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {proof["handler"] or proof["name"]: proof["verdict"] for proof in document["proofs"]}


def test_the_first_boot_rewrites_nothing_and_proves_every_handler(root: Path) -> None:
    done = k0sruntime("up", "--root", root, *WITHOUT, "--cache", root.parent / "cache")
    assert done.returncode == 0, done.stderr
    done = k0sruntime("install-service", "--root", root, "--init", "systemd")
    assert done.returncode == 0, done.stderr
    (runsc,) = (root / "var/lib/k0sruntime/bin/gvisor").glob("*/runsc")
    assert runsc.stat().st_mode & 0o777 == 0o755, "fetched and installed in the image"
    assert (root / "etc/k0s/k0sruntime/gvisor/runsc.toml").exists(), "so is its configuration"
    assert (root / "etc/systemd/system/multi-user.target.wants/k0sruntime.service").is_symlink()
    assert not (root / "run").exists() or not list((root / "run").rglob("*lock"))
    shutil.rmtree(root.parent / "releases")
    before = state_of(root)
    with booted(root) as node:
        plan = node.ok("plan", *WITHOUT)
        assert {file["action"] for file in plan["files"]} == {"unchanged"}
        assert [binary["action"] for binary in plan["binaries"]] == ["unchanged"]
        assert plan["bounce"]["verdict"] == "start", "the first start, and nothing else"
        up = node.ok("up", "--offline", *WITHOUT)
        assert (up["ran"], up["applied"], up["generation"]) == ("started", False, 1)
        for name in ("runc", "crun", "runsc", "the kernel under runsc is gVisor's"):
            assert verdicts(up)[name] == "pass", up
        assert state_of(root) == before, "nothing was rewritten, not even with the same content"
        again = node.ok("up", "--offline", *WITHOUT)
        assert (again["ran"], again["running"]["pid"]) == ("adopted", up["running"]["pid"])
        assert state_of(root) == before
        status = node.ok("status", *WITHOUT)
        assert [(g["generation"], g["proved"]) for g in status["generations"]] == [(1, True)]


@pytest.mark.parametrize("version", list(CONTAINERDS))
def test_in_a_container_build_the_image_is_the_very_root(root: Path, version: str) -> None:
    """``--root /`` composes what ``--root DIR`` does from outside, and starts nothing."""
    for name in ("containerd", "ctr", "containerd-shim-runc-v2"):
        shutil.copy(CONTAINERDS[version].parent / name, root / "opt/node/bin")
    settings = root / "etc/k0sruntime/config.toml"
    settings.write_text(settings.read_text().partition("[gvisor]")[0])
    assert k0sruntime("up", "--root", root, *WITHOUT).returncode == 0
    outside = {path: at[2:] for path, at in state_of(root).items()}
    shutil.rmtree(root / "etc/k0s")
    shutil.rmtree(root / "var/lib/k0sruntime")
    with booted(root) as node:
        built = node.ok("up", "--root", "/", *WITHOUT)
        assert (built["ran"], built["running"], built["generation"]) == ("", None, 1)
        assert {path: at[2:] for path, at in state_of(root).items()} == outside
        assert node.inside("test", "-e", "/run/k0sruntime").returncode == 1
        before = state_of(root)
        assert node.inside("rm", "-rf", "/run/k0s").returncode == 0  # as a boot finds it
        plan = node.ok("plan", *WITHOUT)
        changed = [file["path"] for file in plan["files"] if file["action"] != "unchanged"]
        merged = ["/run/k0s/containerd-cri.toml"]  # what containerd 1.x reads, and no boot keeps
        assert changed == (merged if version == "1.7" else [])
        up = node.ok("up", *WITHOUT)
        assert (up["ran"], up["applied"]) == ("started", bool(changed))
        assert state_of(root) == before


def test_a_first_proof_that_fails_is_told_and_the_next_up_goes_on(root: Path) -> None:
    """The node lacks what no image can bring it: here a hosts file."""
    settings = root / "etc/k0sruntime/config.toml"
    settings.write_text(settings.read_text().partition("[gvisor]")[0])
    assert k0sruntime("up", "--root", root, *WITHOUT).returncode == 0
    (root / "etc/hosts").rename(root / "etc/hosts.later")
    with booted(root) as node:
        up = node.inside(sys.executable, "-m", "k0sruntime", "up", *WITHOUT)
        assert (up.returncode, "open /etc/hosts" in up.stderr) == (6, True), up.stderr
        assert not list((root / "etc/k0s").rglob("*.toml")), "there is nothing to go back to"
        (root / "etc/hosts.later").rename(root / "etc/hosts")
        assert verdicts(node.ok("up", *WITHOUT))["crun"] == "pass"


def test_a_node_that_is_not_as_its_image_thought_is_told_by_the_plan(root: Path) -> None:
    """A foreign drop-in that came after the image was made is a change like any other."""
    settings = root / "etc/k0sruntime/config.toml"
    settings.write_text(settings.read_text().partition("[gvisor]")[0])
    assert k0sruntime("up", "--root", root, *WITHOUT).returncode == 0
    settings.write_text(settings.read_text().replace("crun]", "other]"))
    with booted(root) as node:
        plan = node.ok("plan", *WITHOUT)
        assert "update" in {file["action"] for file in plan["files"]}
        up = node.ok("up", *WITHOUT)
        assert (up["ran"], up["generation"], verdicts(up)["other"]) == ("started", 2, "pass")


def test_an_updated_image_brings_what_var_lacks_in_a_bundle(root: Path, tmp_path: Path) -> None:
    """As bootc updates a node: /etc comes from the new image, /var stays that of the old one."""
    cache = ["--cache", tmp_path / "cache"]
    assert k0sruntime("up", "--root", root, *WITHOUT, *cache).returncode == 0
    lay(tmp_path / "releases", NEXT, {n: programs()[n] for n in ("runsc", SHIM)})
    new = tmp_path / "new"
    shutil.copytree(root, new, ignore=lambda *_: ["k0s", "k0sruntime"], symlinks=True)
    settings = new / "etc/k0sruntime/config.toml"
    settings.parent.mkdir()
    text = (root / "etc/k0sruntime/config.toml").read_text()
    settings.write_text(text.replace(DATE, NEXT))
    site = new / "opt/site.tar"
    pack = ["--settings", settings, "--no-wheels", "--image", LAB / "images/probe.tar"]
    for command in (
        ["bundle", site, "--root", new, *WITHOUT, *cache, *pack],
        ["up", "--root", new, "--bundle", site, "--offline", *WITHOUT],
    ):
        done = k0sruntime(*command)
        assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "releases")
    for folder in ("etc", "opt"):
        shutil.rmtree(root / folder)
        shutil.copytree(new / folder, root / folder, symlinks=True)
    shutil.rmtree(new)
    composed = {path: at for path, at in state_of(root).items() if path.startswith("etc/")}
    with booted(root) as node:
        done = node.inside(sys.executable, "-m", "k0sruntime", "up", "--offline", *WITHOUT)
        assert done.returncode == 3, "the programs of the new image are in no /var"
        up = node.ok("up", "--bundle", "/opt/site.tar", "--offline", *WITHOUT)
        assert (up["ran"], verdicts(up)["runsc"]) == ("started", "pass")
        after = {path: at for path, at in state_of(root).items() if path.startswith("etc/")}
        assert after == composed, "nothing in /etc was rewritten"
        folders = os.listdir(root / "var/lib/k0sruntime/bin/gvisor")
        assert any(NEXT in name for name in folders)
