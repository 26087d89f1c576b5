"""A bundle that is not as it was packed, or not for this node, is refused before anything is written."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from k0sruntime.bundle.manifest import is_place
from k0sruntime.cli.main import run
from tests.bundle.conftest import OTHER, Node, Site

Members = list[tuple[tarfile.TarInfo, bytes]]


def members(bundle: Path) -> Members:
    with tarfile.open(bundle) as tar:
        return [(m, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]


def write(bundle: Path, found: Members) -> None:
    with tarfile.open(bundle, "w:", format=tarfile.PAX_FORMAT) as tar:
        for member, content in found:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))


def in_manifest(bundle: Path, change: Callable[[dict], None]) -> None:
    (first, content), *rest = members(bundle)
    document = json.loads(content)
    change(document)
    write(bundle, [(first, json.dumps(document).encode()), *rest])


def a_flipped_bit(bundle: Path) -> str:
    content = bytearray(bundle.read_bytes())
    at = bytes(content).index(b"an image")
    content[at] ^= 1
    bundle.write_bytes(content)
    return "the sha256 of images/pause.tar is"


def cut_in_an_entry(bundle: Path) -> str:
    content = bundle.read_bytes()
    bundle.write_bytes(content[: content.index(b"an image") + 4])
    return "cut off"


def cut_between_entries(bundle: Path) -> str:
    found = members(bundle)
    write(bundle, found[:-1])
    return f"{found[-1][0].name} is missing"


def cut_in_the_manifest(bundle: Path) -> str:
    bundle.write_bytes(bundle.read_bytes()[:600])
    return "cut off"


def an_empty_file(bundle: Path) -> str:
    bundle.write_bytes(b"")
    return "this is no bundle of k0sruntime"


def a_text(bundle: Path) -> str:
    bundle.write_text("no archive\n" * 1000)
    return "it is no tar archive"


def another_archive(bundle: Path) -> str:
    write(bundle, [(tarfile.TarInfo("README"), b"hello")])
    return "it does not begin with a manifest.json"


def another_kind(bundle: Path) -> str:
    in_manifest(bundle, lambda document: document.update(kind="Plan"))
    return "its manifest is of the kind 'Plan'"


def compressed(bundle: Path) -> str:
    bundle.write_bytes(gzip.compress(bundle.read_bytes()))
    return "compressed with gzip: unpack it first"


def too_new(bundle: Path) -> str:
    def change(document: dict) -> None:
        document.clear()
        document.update(kind="Bundle", schema=2, whatever={})

    in_manifest(bundle, change)
    return "the bundle has schema 2, and this k0sruntime reads 1"


def a_manifest_that_is_none(bundle: Path) -> str:
    in_manifest(bundle, lambda document: document.update(entries=[{"path": 1}]))
    return "its manifest cannot be read"


def a_path_that_leads_out(bundle: Path) -> str:
    digest = hashlib.sha256(b"x").hexdigest()
    entry = {"path": "images/../../../etc/passwd", "size": 1, "sha256": digest}
    in_manifest(bundle, lambda document: document["entries"].append(entry))
    return "nothing may lie at 'images/../../../etc/passwd'"


def an_absolute_path(bundle: Path) -> str:
    entry = {"path": "/etc/passwd", "size": 1, "sha256": "0" * 64}
    in_manifest(bundle, lambda document: document["entries"].append(entry))
    return "nothing may lie at '/etc/passwd'"


def one_too_many(bundle: Path) -> str:
    write(bundle, [*members(bundle), (tarfile.TarInfo("images/../x.tar"), b"x")])
    return "'images/../x.tar' is not in its manifest"


def twice(bundle: Path) -> str:
    found = members(bundle)
    write(bundle, [*found, found[-1]])
    return "is in it twice"


def named_twice(bundle: Path) -> str:
    in_manifest(bundle, lambda d: d["entries"].append(d["entries"][0]))
    return "its manifest names a file twice"


def control_codes(bundle: Path) -> str:
    in_manifest(bundle, lambda document: document["distributions"].update({"x\nerror: hi": "1"}))
    return "its manifest holds control codes"


def a_link(bundle: Path) -> str:
    found = members(bundle)
    for member, _ in found:
        if member.name == "settings/config.toml":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/shadow"
    write(bundle, found)
    return "'settings/config.toml' is not in its manifest"


def another_machine(bundle: Path) -> str:
    in_manifest(bundle, lambda document: document.update(arch=OTHER))
    return f"the bundle was packed for {OTHER}, and the node is"


def another_python(bundle: Path) -> str:
    in_manifest(bundle, lambda document: document.update(python=["3.7", "3.8"]))
    return "its wheels are for Python 3.7 and 3.8, and this is Python 3."


@pytest.mark.parametrize(
    "spoil",
    [
        a_flipped_bit,
        cut_in_an_entry,
        cut_between_entries,
        cut_in_the_manifest,
        an_empty_file,
        a_text,
        another_archive,
        another_kind,
        compressed,
        too_new,
        a_manifest_that_is_none,
        a_path_that_leads_out,
        an_absolute_path,
        one_too_many,
        twice,
        named_twice,
        control_codes,
        a_link,
        another_machine,
        another_python,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_it_is_refused_and_nothing_is_written(
    spoil: Callable[[Path], str], site: Site, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = site.pack()
    told = spoil(bundle)
    capsys.readouterr()
    assert node.up(bundle) == 3
    said = capsys.readouterr().err
    assert told in said
    assert "  do:  " in said
    assert str(bundle) in said
    assert node.files() == {}


def test_a_folder_in_its_place_or_none_at_all_is_usage(node: Node, tmp_path: Path) -> None:
    assert node.up(tmp_path) == 2
    assert node.up(tmp_path / "nowhere.tar") == 2


def test_the_same_content_gives_the_same_bytes(site: Site) -> None:
    first = site.pack("a.tar").read_bytes()
    shutil.rmtree(site.folder / "cache")
    site.settings.touch()
    site.image.touch()
    assert site.pack("b.tar").read_bytes() == first
    site.image.write_bytes(b"another image")
    assert site.pack("b.tar").read_bytes() != first, "and another bundle is replaced"


def test_any_tar_reads_it(site: Site, tmp_path: Path) -> None:
    import subprocess

    bundle = site.pack()
    done = subprocess.run(
        ["tar", "-xvf", bundle, "-C", tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "manifest.json"
    assert (tmp_path / "settings/config.toml").stat().st_mode & 0o777 == 0o600


def test_it_is_its_owners_alone_where_settings_are_in_it(site: Site) -> None:
    assert site.pack("with.tar").stat().st_mode & 0o777 == 0o600
    assert site.pack("without.tar", "--no-settings").stat().st_mode & 0o777 == 0o644


def test_it_can_be_looked_into(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = site.pack()
    capsys.readouterr()
    assert run(["bundle", "--list", str(bundle), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "Bundle"
    assert document["sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
    for entry in document["entries"]:
        assert is_place(entry["path"])
    assert run(["bundle", "--list", str(bundle)]) == 0
    said = capsys.readouterr().out
    for words in ("gvisor 20260720.0", "images/pause.tar", "settings/config.toml", "no wheels"):
        assert words in said


def test_a_damaged_one_is_told_by_looking_into_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = site.pack()
    told = a_flipped_bit(bundle)
    assert run(["bundle", "--list", str(bundle)]) == 3
    assert told in capsys.readouterr().err


def test_nothing_else_is_written_over(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    other = site.folder / "thesis.tar"
    other.write_text("years of work")
    assert site.bundle(other, "--no-wheels") == 3
    assert "something else than a bundle lies there" in capsys.readouterr().err
    assert other.read_text() == "years of work"
    assert not list(site.folder.glob("*.new"))


def test_what_cannot_be_imported_as_an_image_is_refused(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "image.iso").write_text("x")
    (tmp_path / "pause.tar").write_text("another")
    named = ["--image", str(tmp_path / "image.iso"), "--image", str(tmp_path / "pause.tar")]
    assert site.bundle(site.folder / "b.tar", *named, "--image", str(site.image)) == 3
    said = capsys.readouterr().err
    assert "this is no name of an image file" in said
    assert "another pause.tar is packed already" in said


def test_programs_are_those_of_the_machine_that_is_named(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = site.pack("other.tar", "--arch", OTHER)
    with tarfile.open(bundle) as tar:
        document = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    assert document["arch"] == OTHER
    (program,) = document["programs"]
    assert program["version"] == "20260720.0"
    digest = hashlib.sha512((site.releases / f"20260720.0/{OTHER}/runsc").read_bytes()).hexdigest()
    assert f"programs/sha512/{digest}" in program["files"]
