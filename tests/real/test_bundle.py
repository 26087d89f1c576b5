"""A site without a network: packed where there is one, installed and proved where there is none.

The node is a folder whose commands and containerd run in a network namespace without any interface,
out of an environment that the bundle's own ``install.sh`` has made.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.console import blocks, typed
from tests.real.conftest import CONTAINERDS, IMAGE, LAB, ROOT, RealNode, mounts, processes
from tests.real.releases import SHIM, Mirror, lay, programs

pytestmark = pytest.mark.real

DATE = "20260817.0"
FILES = ("runsc", SHIM)
PLUGINS = ("dockerd", "gvisor", "mirrors", "nvidia")
SETTINGS = f"""
[node]
pause_image = "{IMAGE}"
probe_image = "{IMAGE}"

[node.handlers.crun]
binary = "{LAB}/bin/crun"

[gvisor]
network = "none"

[gvisor.release]
date = "{DATE}"
layout = "files"
source = "{{source}}"

[mirrors."docker.io"]
endpoints = ["https://mirror.example:5000"]
headers = {{{{ Authorization = "Bearer zq7" }}}}
"""


@dataclass
class BareNode(RealNode):
    """A node without a network, whose k0sruntime ``install.sh`` has made."""

    program: Path = Path()

    def command(self, *arguments: str, without: Sequence[str] | None = None) -> list[str]:
        del without
        command, *rest = arguments
        sandbox = ["--sandbox", str(self.folder)]
        return ["unshare", "-n", str(self.program), command, *sandbox, *rest]


def ok(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    return done.stdout


def typed_at(folder: Path, lines: list[str], *, network: bool, **environment: str) -> str:
    """Type lines of the documentation into a shell, and return what is printed."""
    base = {k: v for k, v in os.environ.items() if not k.startswith("K0SRUNTIME_")}
    path = f"{Path(sys.executable).parent}:{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        [*([] if network else ["unshare", "-n"]), "sh", "-ec", "\n".join(lines)],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=folder,
        env={**base, "PATH": path, "K0SRUNTIME_SUPERVISOR": "false", **environment},
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    return done.stdout


def packed(folder: Path) -> tuple[Path, list[str]]:
    """Pack as the documentation says: programs over HTTP, wheels by pip, images; return it.

    The second result is what the server of programs was asked for.
    """
    (folder / "home/var/lib/k0s/images").mkdir(parents=True)
    shutil.copy(LAB / "images/probe.tar", folder / "home/var/lib/k0s/images")
    shutil.copy(LAB / "images/probe.tar", folder / "pause.tar")
    for arch in ("x86_64", "aarch64"):
        lay(folder / "releases", DATE, {name: programs()[name] for name in FILES}, arch)
    sources = [ROOT, *(ROOT / "plugins" / name for name in PLUGINS)]
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    ok(*pip, "--wheel-dir", folder / "dist", *sources)
    with Mirror(folder / "releases") as mirror:
        (folder / "node.toml").write_text(SETTINGS.format(source=mirror.url))
        lines = typed(blocks("air-gap.md", "console")[0])
        there = {"K0SRUNTIME_SANDBOX": f"{folder}/home", "K0SRUNTIME_CACHE": f"{folder}/cache"}
        said = typed_at(folder, lines, network=True, **there)
        assert "zq7" not in said
        asked = [name for name, _ in mirror.asked]
        # For other nodes: as if our distributions were on the index.
        there |= {"PIP_FIND_LINKS": f"{folder}/dist"}
        said = typed_at(folder, typed(blocks("air-gap.md", "console")[1]), network=True, **there)
        assert "for       aarch64, Python 3.12" in said
        assert "cp312-cp312-manylinux" in said
        assert "x86_64" not in said.partition("for  ")[0]
        return folder / "site.tar", asked


def holds_all(bundle: Path) -> None:
    """See that a bundle holds all that the node needs, and keeps what nobody else may see."""
    document = json.loads(
        ok(sys.executable, "-m", "k0sruntime", "bundle", "--list", bundle, "--json")
    )
    paths = [entry["path"] for entry in document["entries"]]
    assert [p for p in paths if p[:7] == "images/"] == ["images/pause.tar", "images/probe.tar"]
    assert "settings/config.toml" in paths
    for name in ("k0sruntime", "k0sruntime_gvisor", "grpcio", "pip"):
        assert any(path.startswith(f"wheels/{name}-") for path in paths), name
    (gvisor,) = document["programs"]
    assert (gvisor["provider"], gvisor["version"]) == ("gvisor", DATE)
    assert [p.split("/")[1] for p in gvisor["files"]] == ["sha512", "documents"] * 2
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in document["python"]
    assert bundle.stat().st_mode & 0o777 == 0o600, "the settings hold a credential"
    with tarfile.open(bundle) as tar:
        assert tar.getmember("settings/config.toml").mode == 0o600


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {proof["handler"] or proof["name"]: proof["verdict"] for proof in document["proofs"]}


@pytest.fixture
def bare(folder: Path, tmp_path: Path) -> Iterator[BareNode]:
    """A node with containerd 2 and nothing else."""
    made = BareNode(folder, CONTAINERDS["2.1"], program=tmp_path / "opt/bin/k0sruntime")
    yield made
    made.run("down", "--pods", "--force", "--purge")
    assert not processes(folder), "the test left processes behind"
    assert not mounts(folder), "the test left mounts behind"


@pytest.mark.timeout(300)
def test_a_bare_node_without_a_network_from_nothing_to_proved_handlers_and_back(
    bare: BareNode, tmp_path: Path
) -> None:
    """The commands are those of docs/air-gap.md; what is below is without any interface."""
    (tmp_path / "site").mkdir()
    bundle, asked = packed(tmp_path / "site")
    assert asked == [f"{name}{end}" for name in FILES for end in (".sha512", "")], "over HTTP"
    holds_all(bundle)

    (tmp_path / "carried").mkdir()
    bundle = shutil.copy(bundle, tmp_path / "carried")
    shutil.rmtree(tmp_path / "site")
    lines = [
        line.replace("/opt/k0sruntime", f"{tmp_path}/opt")
        for line in typed(blocks("air-gap.md", "console")[2])
    ]
    there = {"PYTHON": sys.executable, "K0SRUNTIME_SANDBOX": str(bare.folder)}
    said = typed_at(tmp_path / "carried", lines, network=False, **there)
    assert f"the bundle's settings were laid to {bare.settings}" in said
    assert "zq7" not in said
    assert bare.settings.stat().st_mode & 0o777 == 0o600
    assert (bare.folder / "var/lib/k0s/images/pause.tar").exists()

    before = bare.files()
    document = bare.ok("up", "--bundle", str(bundle), "--offline")
    for name in ("runc", "crun", "runsc", "the kernel under runsc is gVisor's"):
        assert verdicts(document)[name] == "pass", document
    assert (document["ran"], bare.files()) == ("adopted", before), "a second one changes nothing"
    os.unlink(bundle)
    assert bare.ok("up", "--offline")["ran"] == "adopted", "nor does one without the bundle"
    fetched = bare.ok("fetch", "--offline")
    assert [file["version"] for file in fetched["files"]] == [DATE] * 2, "the node's cache has it"

    (installed,) = (bare.folder / "var/lib/k0sruntime/bin/gvisor").iterdir()
    bare.settings.write_text(bare.settings.read_text().partition("[gvisor]")[0])
    bare.ok("up", "--offline")
    shutil.rmtree(installed)
    assert verdicts(bare.ok("rollback", "1"))["runsc"] == "pass"
    assert (installed / SHIM).exists(), "out of the cache"


def test_a_containerd_that_runs_imports_what_the_next_bundle_brings(
    node_2: RealNode, tmp_path: Path
) -> None:
    first = node_2.ok("up")
    ctr = [LAB / "bin/ctr", "-a", node_2.socket, "-n", "k8s.io", "images"]
    ok(*ctr, "rm", "--sync", IMAGE)
    shutil.copy(LAB / "images/probe.tar", tmp_path / "again.tar")
    bundle = tmp_path / "images.tar"
    node_2.ok(
        "bundle", str(bundle), "--no-wheels", "--no-images", "--image", f"{tmp_path}/again.tar"
    )
    document = node_2.ok("up", "--bundle", str(bundle), "--offline")
    assert document["running"]["pid"] == first["running"]["pid"], "without a bounce"
    assert IMAGE in ok(*ctr, "ls", "-q")


def test_a_proof_that_fails_takes_back_what_the_bundle_laid(
    node_2: RealNode, tmp_path: Path
) -> None:
    """The new handler's runtime says no to every sandbox: the old generation is back and proved."""
    node_2.ok("up")
    before = node_2.files()
    images = sorted(os.listdir(node_2.folder / "var/lib/k0s/images"))
    bad = tmp_path / "bad"
    bad.write_text("#!/bin/sh\nexit 1\n")
    bad.chmod(0o755)
    settings = tmp_path / "node.toml"
    settings.write_text(f'{node_2.settings.read_text()}\n[node.handlers.bad]\nbinary = "{bad}"\n')
    shutil.copy(LAB / "images/probe.tar", tmp_path / "again.tar")
    pack = ["--no-wheels", "--no-images", "--image", f"{tmp_path}/again.tar"]
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    node_2.ok("bundle", str(first), *pack)
    node_2.ok("bundle", str(second), *pack, "--settings", str(settings))
    node_2.settings.unlink()
    node_2.ok("up", "--bundle", str(first), "--offline")
    (node_2.folder / "var/lib/k0s/images/again.tar").unlink()
    done = node_2.run("up", "--bundle", str(second), "--offline")
    assert done.returncode == 6, done.stderr
    assert node_2.files() == before, "the settings of the first bundle are back as well"
    assert sorted(os.listdir(node_2.folder / "var/lib/k0s/images")) == images
    assert node_2.ok("up")["ran"] == "adopted"
