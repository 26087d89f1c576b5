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

from tests.real.conftest import CONTAINERDS, IMAGE, LAB, ROOT, RealNode, mounts, processes
from tests.real.releases import SHIM, TARBALL, Mirror, archive, lay, programs

pytestmark = pytest.mark.real

DATE = "20260817.0"
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
source = "{{source}}"

[mirrors."docker.io"]
endpoints = ["https://mirror.example:5000"]
headers = {{{{ Authorization = "Bearer zq7" }}}}
"""


@dataclass
class Site:
    """Where there is a network: the bundle that was made there, and what was said."""

    bundle: Path
    document: dict[str, Any]
    asked: list[str]
    folder: Path


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


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own wheels, which are on no index."""
    target = tmp_path_factory.mktemp("links")
    sources = [ROOT, *(ROOT / "plugins" / name for name in PLUGINS)]
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    ok(*pip, "--wheel-dir", target, *sources)
    return target


@pytest.fixture(scope="module")
def site(links: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Programs over HTTP, wheels by pip, an image of the folder and one that is named."""
    folder = tmp_path_factory.mktemp("site")
    release = folder / "releases"
    lay(release, DATE, {TARBALL: archive(programs())})
    home = folder / "home"
    images = home / "var/lib/k0s/images"
    images.mkdir(parents=True)
    shutil.copy(LAB / "images/probe.tar", images)
    with Mirror(release) as mirror:
        settings = folder / "node.toml"
        settings.write_text(SETTINGS.format(source=mirror.url))
        out = folder / "site.tar"
        said = ok(
            *(sys.executable, "-m", "k0sruntime", "bundle", out, "--sandbox", home, "--json"),
            *("--settings", settings, "--find-links", links, "--cache", folder / "cache"),
        )
        return Site(out, json.loads(said), [name for name, _ in mirror.asked], folder)


@pytest.fixture(scope="module")
def program(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """k0sruntime out of the wheels alone, made where there is no network."""
    folder = tmp_path_factory.mktemp("bare")
    ok("tar", "-xf", site.bundle, "-C", folder, "manifest.json", "install.sh", "wheels")
    target = folder / "opt/k0sruntime"
    said = ok("unshare", "-n", "sh", folder / "install.sh", target, PYTHON=sys.executable)
    assert f"next: {target}/bin/k0sruntime up --bundle FILE --offline" in said
    return target / "bin/k0sruntime"


@pytest.fixture
def bare(folder: Path, program: Path) -> Iterator[BareNode]:
    """A node with containerd 2 and nothing else."""
    made = BareNode(folder, CONTAINERDS["2.1"], program=program)
    yield made
    made.run("down", "--pods", "--force", "--purge")
    assert not processes(folder), "the test left processes behind"
    assert not mounts(folder), "the test left mounts behind"


def test_it_holds_all_that_the_node_needs(site: Site) -> None:
    document = site.document
    paths = [entry["path"] for entry in document["entries"]]
    assert [p for p in paths if p.startswith("images/")] == ["images/probe.tar"]
    assert "settings/config.toml" in paths
    for name in ("k0sruntime", "k0sruntime_gvisor", "grpcio", "pip"):
        assert any(path.startswith(f"wheels/{name}-") for path in paths), name
    assert site.asked == [f"{TARBALL}.sha512", TARBALL], "over HTTP, and once"
    (gvisor,) = document["programs"]
    assert (gvisor["provider"], gvisor["version"]) == ("gvisor", DATE)
    assert [p.split("/")[1] for p in gvisor["files"]] == ["sha512", "documents"]
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in document["python"]
    assert site.bundle.stat().st_mode & 0o777 == 0o600, "the settings hold a credential"
    with tarfile.open(site.bundle) as tar:
        assert tar.getmember("settings/config.toml").mode == 0o600
    assert "zq7" not in json.dumps(document)


def test_up_needs_nothing_else_and_proves_every_handler(bare: BareNode, site: Site) -> None:
    document = bare.ok("up", "--bundle", str(site.bundle), "--offline")
    verdicts = {proof["handler"] or proof["name"]: proof["verdict"] for proof in document["proofs"]}
    for name in ("runc", "crun", "runsc", "the kernel under runsc is gVisor's"):
        assert verdicts[name] == "pass", document
    assert bare.settings.stat().st_mode & 0o777 == 0o600
    assert bare.settings.read_text().count("zq7") == 1
    assert (bare.folder / "var/lib/k0s/images/probe.tar").exists()
    assert f"the bundle's settings were laid to {bare.settings}" in document["notes"]
    before = bare.files()
    again = bare.ok("up", "--bundle", str(site.bundle), "--offline")
    assert (again["ran"], bare.files()) == ("adopted", before), "a second one changes nothing"
    assert bare.ok("up", "--offline")["ran"] == "adopted", "nor does one without the bundle"
    fetched = bare.ok("fetch", "--offline")
    assert [file["version"] for file in fetched["files"]] == [DATE], "it is in the node's cache"


def test_the_way_back_has_its_programs_without_the_bundle(bare: BareNode, site: Site) -> None:
    bare.ok("up", "--bundle", str(site.bundle), "--offline")
    (installed,) = (bare.folder / "var/lib/k0sruntime/bin/gvisor").iterdir()
    bare.settings.write_text(bare.settings.read_text().partition("[gvisor]")[0])
    bare.ok("up", "--offline")
    shutil.rmtree(installed)
    document = bare.ok("rollback", "1")
    verdicts = {proof["handler"] or proof["name"]: proof["verdict"] for proof in document["proofs"]}
    assert verdicts["runsc"] == "pass"
    assert (installed / SHIM).exists()
