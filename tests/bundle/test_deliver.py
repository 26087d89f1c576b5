"""``up --bundle``: settings, images and programs out of the archive, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from k0sruntime.bundle import deliver, placed
from k0sruntime.bundle.archive import opened
from k0sruntime.cli.main import run
from k0sruntime.paths import Paths
from tests.bundle.conftest import Node, Site
from tests.made_up_releases import DATE, SETTINGS, SHIM, lay_release
from tests.real.releases import Mirror

NEXT = "20260721.0"


def test_a_bare_node_is_brought_up_out_of_it(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = site.pack()
    shutil.rmtree(site.releases)
    capsys.readouterr()
    assert node.up(bundle) == 0
    said = capsys.readouterr().out
    assert f"note: the bundle's settings were laid to {node.settings}" in said
    assert node.settings.read_bytes() == site.settings.read_bytes()
    assert node.settings.stat().st_mode & 0o777 == 0o600
    assert (node.images / "pause.tar").read_bytes() == b"an image"
    assert [name.rpartition("-")[0] for name in node.programs] == [f"gvisor-{DATE}"]
    assert node.dropin.exists()
    left = {path for path in node.files() if "k0sruntime/bundle/" in path or "-images" in path}
    assert not left, "nothing of the unpacking stays"


def test_a_second_one_changes_nothing(site: Site, node: Node) -> None:
    bundle = site.pack()
    assert node.up(bundle) == 0
    before = node.files()
    times = {path: os.stat(node.folder / path).st_mtime_ns for path in before}
    assert node.up(bundle) == 0
    assert node.files() == before
    assert {path: os.stat(node.folder / path).st_mtime_ns for path in before} == times


def test_no_other_cache_is_read(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whatever caches hold: what the bundle lacks is refused."""
    bundle = site.pack()
    text = site.settings.read_text()
    site.settings.write_text(text.partition("[gvisor")[0])
    poor = site.pack("poor.tar")
    node.settings.parent.mkdir(parents=True)
    node.settings.write_text(text.replace(str(site.releases), "http://127.0.0.1:9"))
    for cache in (node.cache, tmp_path / "cache"):
        shutil.copytree(site.folder / "cache", cache)
    capsys.readouterr()
    own = ["--settings", str(node.settings), "--cache", str(tmp_path / "cache")]
    before = node.files()
    assert node.up(poor, *own) == 3
    assert "it is not in the bundle, and --offline opens no socket" in capsys.readouterr().err
    assert node.files() == before
    shutil.rmtree(site.releases)
    node.settings.write_text(text)
    assert node.up(bundle, *own) == 0, "its checksum documents count as well"


def test_what_it_brought_is_in_the_cache_afterwards(site: Site, node: Node) -> None:
    assert node.up(site.pack()) == 0
    shutil.rmtree(site.releases)
    assert node.run("fetch", "--offline") == 0
    assert sorted(p.name for p in (node.cache / "sha512").iterdir()) == sorted(
        p.name for p in (site.folder / "cache/sha512").iterdir()
    )


def test_settings_of_the_node_are_never_written_over(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = site.pack()
    node.settings.parent.mkdir(parents=True)
    node.settings.write_text('[node]\nmode = "managed"\nk0s = "1.35"\npause_image = "zq7"\n')
    before = node.files()
    capsys.readouterr()
    assert node.up(bundle) == 3
    said = capsys.readouterr().err
    assert "differ in [gvisor] release, [node] k0s, [node] pause_image" in said
    assert f"add --settings {node.settings}" in said
    assert "zq7" not in said
    assert node.files() == before
    assert node.up(bundle, "--settings", str(node.settings)) == 0, "what it says to do"
    assert f"the bundle's settings rest: {node.settings} counts" in capsys.readouterr().out
    assert not node.dropin.exists(), "the node's settings name no gVisor"


def test_equal_settings_are_left_alone(site: Site, node: Node) -> None:
    bundle = site.pack()
    node.settings.parent.mkdir(parents=True)
    shutil.copy(site.settings, node.settings)
    node.settings.chmod(0o644)
    assert node.up(bundle) == 0
    assert node.settings.stat().st_mode & 0o777 == 0o644


def a_newer(site: Site) -> Path:
    """The next bundle of a site: another release, another image under the same name."""
    lay_release(site.releases, NEXT, os.uname().machine)
    site.settings.write_text(SETTINGS.format(date=NEXT, source=site.releases))
    site.image.write_bytes(b"another image")
    return site.pack("next.tar")


def test_the_next_bundle_takes_the_place_of_what_the_last_one_laid(site: Site, node: Node) -> None:
    assert node.up(site.pack()) == 0
    assert node.up(a_newer(site)) == 0
    assert NEXT in node.settings.read_text()
    assert (node.images / "pause.tar").read_bytes() == b"another image"
    assert [name.split("-")[1] for name in node.programs] == [NEXT]
    shutil.rmtree(site.folder)
    assert node.run("rollback", "1") == 0, "without the bundle"
    assert [name.split("-")[1] for name in node.programs] == [DATE, NEXT], "out of the cache"


def test_what_somebody_edited_since_stays(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    assert node.up(site.pack()) == 0
    node.settings.write_text(node.settings.read_text() + "\n# by hand\n")
    (node.images / "pause.tar").write_bytes(b"by hand")
    newer = a_newer(site)
    before = node.files()
    capsys.readouterr()
    assert node.up(newer) == 3
    assert "the node has settings of its own" in capsys.readouterr().err
    assert node.up(newer, "--settings", str(node.settings)) == 3
    assert "another image file of this name is there: pause.tar" in capsys.readouterr().err
    assert node.files() == before


@pytest.mark.parametrize("later", [False, True], ids=["bare", "later"])
def test_what_is_refused_leaves_settings_and_images_as_they_were(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str], later: bool
) -> None:
    """A program that does not run here is found out after settings and images were laid."""
    if later:
        assert node.up(site.pack()) == 0
    before = node.files()
    release = site.releases / NEXT / os.uname().machine
    lay_release(site.releases, NEXT, os.uname().machine)
    content = b"#!/bin/sh\necho no way >&2\nexit 3\n"
    (release / "runsc").write_bytes(content)
    (release / "runsc.sha512").write_text(f"{hashlib.sha512(content).hexdigest()}  runsc\n")
    site.settings.write_text(SETTINGS.format(date=NEXT, source=site.releases))
    site.image.write_bytes(b"another image")
    bundle = site.pack("bad.tar")
    capsys.readouterr()
    assert node.up(bundle) == 3
    assert "does not run on this machine: no way" in capsys.readouterr().err
    assert node.files() == before


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = site.pack()
    capsys.readouterr()
    assert node.up(bundle, "--dry-run", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [b["action"] for b in document["binaries"]] == ["fetch"]
    assert node.files() == {}


def test_without_offline_what_it_lacks_is_fetched(site: Site, node: Node) -> None:
    settings = site.settings.read_text()
    site.settings.write_text(settings.partition("[gvisor")[0])
    poor = site.pack()
    node.settings.parent.mkdir(parents=True)
    node.settings.write_text(settings)
    assert node.run("up", "--bundle", str(poor), "--settings", str(node.settings)) == 0
    assert node.programs


def test_another_version_of_the_host_is_told(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = site.pack()
    monkeypatch.setattr("k0sruntime.__about__.__version__", "0.0.9")
    assert node.up(bundle) == 0
    said = capsys.readouterr().out
    assert "the bundle was packed for k0sruntime 0.1.0, and here is 0.0.9" in said


def test_a_command_that_was_killed_while_it_unpacked_leaves_nothing_to_the_next(
    site: Site, node: Node
) -> None:
    left = node.folder / "var/lib/k0sruntime/bundle/sha512/left"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    (node.folder / "var/lib/k0s/.k0sruntime-images").mkdir(parents=True)
    (node.folder / "var/lib/k0s/.k0sruntime-images/pause.tar").write_text("half")
    assert node.up(site.pack()) == 0
    assert not left.exists()
    assert not (node.folder / "var/lib/k0s/.k0sruntime-images").exists()


def test_into_an_image_root(site: Site, tmp_path: Path) -> None:
    root = tmp_path / "image"
    root.mkdir()
    command = ["up", "--root", str(root), "--bundle", str(site.pack()), "--offline"]
    assert (
        run([*command, "--without", "nvidia", "--without", "dockerd", "--without", "mirrors"]) == 0
    )
    assert (root / "etc/k0sruntime/config.toml").stat().st_mode & 0o777 == 0o600
    assert (root / "var/lib/k0s/images/pause.tar").exists()
    assert list((root / "var/lib/k0sruntime/bin/gvisor").iterdir())
    assert not (root / "run/k0sruntime").exists(), "nothing volatile stays in it"


def test_it_excludes_what_starts_without_looking(node: Node, site: Site) -> None:
    assert node.run("up", "--bundle", str(site.pack()), "--last-good") == 2


def test_programs_of_the_bundle_never_lie_in_the_archives_own_places(site: Site) -> None:
    with tarfile.open(site.pack()) as tar:
        folders = {member.name.split("/")[0] for member in tar}
    assert folders == {"manifest.json", "programs", "images", "settings"}


def test_no_socket_is_opened(
    site: Site, node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    text = site.settings.read_text()
    bundle = site.pack()
    site.settings.write_text(text.replace(str(site.releases), "https://vendor.example/releases"))
    poor = site.folder / "poor.tar"
    assert site.bundle(poor, "--no-wheels", "--offline") == 3, "packed where there is no network"

    class Local(socket.socket):
        """Of this machine: containerd's and the supervisor's are asked."""

        def __init__(self, family: int = -1, *more: object, **others: object) -> None:
            assert family == socket.AF_UNIX, "a socket was opened"
            super().__init__(family, *more, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "socket", Local)
    assert node.up(bundle) == 0


def test_that_the_node_has_no_network_does_not_hold_for_where_it_is_packed(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings of such nodes say so, and name a cache of theirs."""
    downloads = '[node.downloads]\noffline = true\ncache = "/nowhere/else"\n'
    with Mirror(site.releases) as mirror:
        text = SETTINGS.format(date=DATE, source=mirror.url)
        site.settings.write_text(text + downloads)
        pinned = []
        for name in ("runsc", SHIM):
            content = (site.releases / DATE / os.uname().machine / name).read_bytes()
            pinned.append(
                f'"{os.uname().machine}/{name}" = "{hashlib.sha512(content).hexdigest()}"'
            )
        site.settings.write_text(
            "\n".join([text, "[gvisor.release.sha512]", *pinned, "", downloads])
        )
        bundle = site.pack()
        assert [name for name, _ in mirror.asked] == ["runsc", SHIM]
    assert "not in the bundle, and named by the settings: /nowhere/else" in capsys.readouterr().out
    own = node.folder / "own-cache"
    assert node.up(bundle, "--cache", str(own)) == 0
    assert list((own / "sha512").iterdir())


def test_killed_between_settings_and_the_rest_the_next_one_goes_on(site: Site, node: Node) -> None:
    bundle = site.pack()
    paths = Paths.in_sandbox(str(node.folder))
    with opened(str(bundle)) as archive:
        archive.check()
        laid = placed.begin(paths)
        laid.settings(archive, "")
        laid.image(archive, archive.manifest.below("images")[0])
    assert (node.images / "pause.tar").exists(), "and nobody takes anything back"
    assert not node.settings.exists(), "they come when all has passed"
    assert node.up(a_newer(site)) == 0, "what was laid counts as a bundle's, and not as a person's"
    assert NEXT in node.settings.read_text()


def test_killed_before_an_image_takes_the_place_of_the_last_one(
    site: Site, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert node.up(site.pack()) == 0
    newer = a_newer(site)
    with opened(str(newer)) as archive, monkeypatch.context() as killed:
        archive.check()
        killed.setattr(placed, "_rename", lambda *_: None)
        placed.begin(Paths.in_sandbox(str(node.folder))).image(
            archive, archive.manifest.below("images")[0]
        )
    assert (node.images / "pause.tar").read_bytes() == b"an image"
    assert node.up(newer) == 0, "it is a bundle's image all the same"
    assert (node.images / "pause.tar").read_bytes() == b"another image"


@pytest.mark.real
def test_a_full_disk_is_refused_and_nothing_is_changed(
    site: Site, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    site.image.write_bytes(os.urandom(2 << 20))
    bundle = site.pack()
    full = node.folder / "var/lib/k0s"
    full.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", full], check=True)
    try:
        capsys.readouterr()
        assert node.up(bundle) == 3
        assert "No space left on device; nothing was changed" in capsys.readouterr().err
        assert node.files() == {}
        assert not list(full.iterdir()), "no half image fills the disk"
    finally:
        subprocess.run(["umount", full], check=True)


@pytest.mark.real
def test_a_folder_of_images_on_a_disk_of_its_own(site: Site, node: Node) -> None:
    node.images.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", node.images], check=True)
    try:
        assert node.up(site.pack()) == 0
        assert [path.name for path in node.images.iterdir()] == ["pause.tar"]
        assert node.up(a_newer(site)) == 0
        assert (node.images / "pause.tar").read_bytes() == b"another image"
        assert [path.name for path in node.images.iterdir()] == ["pause.tar"]
        site.image.write_bytes(b"a third")
        vendor = node.dropin.with_name("vendor.toml")
        vendor.write_text("version = 2\n[plugins.'io.containerd.grpc.v1.cri']\n")
        assert node.up(site.pack("third.tar")) == 3, "k0s would not start with that file"
        assert (node.images / "pause.tar").read_bytes() == b"another image", "it is back"
    finally:
        subprocess.run(["umount", node.images], check=True)


@pytest.mark.parametrize(("mode", "told"), [("remote", True), ("managed", False)])
def test_images_that_nothing_imports_are_told(mode: str, told: bool) -> None:
    """k0s imports none where another runtime serves the CRI, and that one is not ours."""
    laid = placed.Placed(Paths(), images=["/var/lib/k0s/images/pause.tar"])
    outcome = SimpleNamespace(composition=SimpleNamespace(mode=mode))
    found = list(deliver._rests(outcome, laid))  # type: ignore[arg-type]
    assert bool(found) is told
