"""Installing: a folder a version, whole or not at all, and gone when nothing needs it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from k0sruntime import install as install_
from k0sruntime import provide
from k0sruntime.binaries import Binary, Download, Installation
from k0sruntime.cache import Cache
from k0sruntime.collect import Collected
from k0sruntime.compose import Composition
from k0sruntime.contributions import Owner
from k0sruntime.discovery import Discovered
from k0sruntime.errors import RefusedError
from k0sruntime.fetch import Fetcher
from k0sruntime.hooks import Hooks
from k0sruntime.installed import is_installed, users, versions
from k0sruntime.paths import Paths
from k0sruntime.plan import Observed, plan
from k0sruntime.sandbox import purge
from k0sruntime.stages import Outcome, Prepared, Request
from k0sruntime.testing import make_node

OWNER = Owner("acme", "acme", "1.0", "contribute_dropin")
SCRIPT = b"#!/bin/sh\necho acme 1.0\n"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.in_sandbox(str(tmp_path))


def tar(members: dict[str, bytes | tarfile.TarInfo], compression: str = "bz2") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o4755 if content.startswith(b"#!") else 0o600
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def wanted(
    paths: Paths, content: bytes, version: str = "1", *, unpack: bool = True, **more
) -> tuple[Installation, list[tuple[Download, str, str]]]:
    """Return an installation of one file, and that file in the cache, as fetched from a folder."""
    import hashlib

    source = Path(paths.sandbox) / ("source.tar" if unpack else "acme")
    source.write_bytes(content)
    digest = hashlib.sha512(content).hexdigest()
    download = Download(url=str(source), sha512=digest, unpack=unpack)
    binary = Binary(name="acme", version=version, downloads={"x86_64": download}, **more)
    folder = f"{paths.binaries}/acme/acme-{version}"
    path = Fetcher(Cache(f"{paths.sandbox}/cache"), offline=True).fetch(download)
    return Installation(OWNER, binary, (download,), folder), [(download, "sha512", path)]


def installed(paths: Paths, content: bytes, version: str = "1", **more) -> Installation:
    item, files = wanted(paths, content, version, **more)
    install_.install(item, files, paths, "x86_64")
    return item


def names(paths: Paths) -> list[str]:
    base = Path(paths.binaries) / "acme"
    return sorted(os.listdir(base)) if base.exists() else []


def test_an_archive_is_installed_for_everybody_to_run(paths: Paths) -> None:
    old = os.umask(0o077)
    try:
        item = installed(paths, tar({"./acme": SCRIPT, "lib/data": b"x"}))
    finally:
        os.umask(old)
    folder = Path(item.folder)
    assert (
        subprocess.run([folder / "acme"], capture_output=True, check=True).stdout == b"acme 1.0\n"
    )
    modes = {path.name: path.stat().st_mode & 0o7777 for path in [folder, *folder.rglob("*")]}
    assert modes["acme"] == modes["acme-1"] == modes["lib"] == 0o755, "and no set-user-ID bit"
    assert modes["data"] == 0o644
    for above in (folder.parent, folder.parent.parent, Path(paths.state)):
        assert above.stat().st_mode & 0o777 == 0o755, "and the way to it"
    assert is_installed(item, paths)


def test_a_plain_file_is_installed_under_its_name(paths: Paths) -> None:
    item = installed(paths, SCRIPT, unpack=False)
    assert (Path(item.folder) / "acme").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_archives_may_be_compressed_in_any_way(paths: Paths, compression: str) -> None:
    assert is_installed(installed(paths, tar({"acme": SCRIPT}, compression)), paths)


def link(target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def kind(what: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type = what
    return info


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"/acme": SCRIPT}, "'/acme' leaves the folder"),
        ({"../acme": SCRIPT}, "leaves the folder"),
        ({"a/../../acme": SCRIPT}, "leaves the folder"),
        ({"acme": link("/etc/shadow")}, "leads out to '/etc/shadow'"),
        ({"a/acme": link("../../x")}, "leads out"),
        ({"out": link("."), "out/acme": SCRIPT}, "out/acme lies below a link"),
        ({"acme": link("../acme", tarfile.LNKTYPE)}, "links out"),
        ({"acme": link("nowhere", tarfile.LNKTYPE)}, "no tar archive: .*nowhere"),
        ({"acme": kind(tarfile.CHRTYPE)}, "neither a file"),
        ({"acme": kind(tarfile.FIFOTYPE)}, "neither a file"),
        ({"acme": SCRIPT, "./acme": SCRIPT}, "acme is in it twice"),
        ({"other": SCRIPT}, "there is no acme in it"),
        ({"acme": b"text"}, "acme is no program"),
        ({"acme": b"\x7fELF\x02\x01" + b"\0" * 12 + b"\xb7\0" + b"\0" * 44}, "for aarch64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_with_anything_strange_is_refused_as_a_whole(
    paths: Paths, members: dict, told: str
) -> None:
    with pytest.raises(RefusedError, match=told):
        installed(paths, tar(members))
    assert names(paths) == []


@pytest.mark.parametrize("content", [b"no archive", tar({"acme": SCRIPT})[:60], b""])
def test_what_is_no_archive_is_refused(paths: Paths, content: bytes) -> None:
    with pytest.raises(RefusedError, match="no tar archive"):
        installed(paths, content)
    assert names(paths) == []


def test_a_link_inside_stays_a_link(paths: Paths) -> None:
    item = installed(paths, tar({"bin/acme-1": SCRIPT, "acme": link("bin/acme-1")}))
    assert os.readlink(f"{item.folder}/acme") == "bin/acme-1"
    assert is_installed(item, paths)


UP = link("../../../../../..")
CHAINED = {"a/b/c/d/e/f/up": UP, "acme": link("a/b/c/d/e/f/up/../../victim")}


@pytest.mark.parametrize("members", [CHAINED, dict(reversed(CHAINED.items()))])
def test_links_that_are_chained_lead_nowhere_and_what_is_outside_stays_as_it_is(
    paths: Paths, members: dict
) -> None:
    victim = Path(paths.binaries) / "victim"
    victim.parent.mkdir(parents=True)
    victim.write_bytes(SCRIPT)
    victim.chmod(0o600)
    with pytest.raises(RefusedError, match="the link acme passes through the link a/b/c/d/e/f/up"):
        installed(paths, tar(members))
    assert victim.stat().st_mode & 0o777 == 0o600
    assert names(paths) == []


def test_a_program_that_lies_outside_of_its_folder_is_none(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a link to slip through the unpacking, it would neither be followed nor changed."""
    victim = Path(paths.sandbox) / "victim"
    victim.write_bytes(SCRIPT)
    victim.chmod(0o600)
    monkeypatch.setattr(
        install_, "_place", lambda _, __, staging: os.symlink(victim, f"{staging}/acme")
    )
    with pytest.raises(RefusedError, match="there is no acme in it"):
        installed(paths, tar({"acme": SCRIPT}))
    assert victim.stat().st_mode & 0o777 == 0o600


def test_a_program_that_is_refused_is_not_made_one_first(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        os,
        "chmod",
        lambda path, mode: (
            pytest.fail(path) if "acme" in os.path.basename(path) and os.path.isfile(path) else None
        ),
    )
    item, files = wanted(paths, b"text", unpack=False)
    with pytest.raises(RefusedError, match="acme is no program"):
        install_.install(item, files, paths, "x86_64")


def test_a_link_to_itself_is_no_endless_way(paths: Paths) -> None:
    members = {"me": link("me"), "acme": link("me", tarfile.LNKTYPE)}
    with pytest.raises(RefusedError, match="no tar archive"):
        installed(paths, tar(members))


def test_a_hard_link_becomes_a_file(paths: Paths) -> None:
    item = installed(paths, tar({"acme-1": SCRIPT, "acme": link("acme-1", tarfile.LNKTYPE)}))
    assert Path(item.folder, "acme").read_bytes() == SCRIPT
    assert is_installed(item, paths)


def test_what_is_refused_last_is_not_there(paths: Paths) -> None:
    def refuse(_: str) -> None:
        raise RefusedError("it does not run here")

    item, files = wanted(paths, tar({"acme": SCRIPT}))
    with pytest.raises(RefusedError):
        install_.install(item, files, paths, "x86_64", refuse)
    assert names(paths) == []


def test_a_killed_installation_is_none_and_the_next_one_is_whole(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, files = wanted(paths, tar({"acme": SCRIPT}))
    with monkeypatch.context() as patched:
        patched.setattr(install_, "_switch", lambda *_: os._exit(9))
        if not (child := os.fork()):
            install_.install(item, files, paths, "x86_64")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert names(paths) == [".staging-acme-1"]
    assert not is_installed(item, paths)
    install_.install(item, files, paths, "x86_64")
    assert names(paths) == ["acme-1"]


def test_what_a_killed_command_has_left_goes_whatever_the_version_is_now(paths: Paths) -> None:
    new = installed(paths, tar({"acme": SCRIPT}), "2")
    half = Path(paths.binaries) / "acme/.staging-acme-1"
    half.mkdir()
    (half / "acme").write_bytes(SCRIPT)
    assert install_.prune(paths, {new.folder}) == []
    assert names(paths) == ["acme-2"]


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda p: p.write_bytes(b""), lambda p: p.chmod(0o700)]
)
def test_a_spoilt_installation_counts_as_missing_and_is_made_anew(paths: Paths, spoil) -> None:
    item, files = wanted(paths, tar({"acme": SCRIPT}))
    install_.install(item, files, paths, "x86_64")
    spoil(Path(item.folder) / "acme")
    assert not is_installed(item, paths)
    install_.install(item, files, paths, "x86_64")
    assert is_installed(item, paths)
    assert names(paths) == ["acme-1"]


def test_another_pin_is_another_file(paths: Paths) -> None:
    item = installed(paths, tar({"acme": SCRIPT}))
    pinned = Download(url=item.downloads[0].url, sha512="1" * 128, unpack=True)
    assert not is_installed(Installation(OWNER, item.binary, (pinned,), item.folder), paths)


def test_the_same_file_from_another_source_is_not_fetched_again(paths: Paths) -> None:
    item = installed(paths, tar({"acme": SCRIPT}))
    there = Download(url="https://mirror.test/source.tar", sha512_url="https://mirror.test/sums")
    assert is_installed(Installation(OWNER, item.binary, (there,), item.folder), paths)


def test_old_versions_go_when_nothing_needs_them(paths: Paths) -> None:
    old = installed(paths, tar({"acme": SCRIPT}), "1")
    new = installed(paths, tar({"acme": SCRIPT}), "2")
    (note,) = install_.prune(paths, {new.folder})
    assert note == "acme-1 of acme is not needed any more and was removed"
    assert not Path(old.folder).exists()
    assert is_installed(new, paths)


def test_what_other_hands_have_laid_among_the_programs_is_left_alone(paths: Paths) -> None:
    new = installed(paths, tar({"acme": SCRIPT}), "2")
    base = Path(paths.binaries)
    (base / "stray").write_text("a file among the providers")
    (base / "acme/stray").write_text("a file among the versions")
    (base / "acme/mine").mkdir()
    (base / "gone").symlink_to("/nowhere")
    (base / "elsewhere").symlink_to(base / "acme")
    assert versions(paths) == {"acme": [new.folder]}
    assert install_.prune(paths, {new.folder}) == []
    assert {path.name for path in base.iterdir()} == {"acme", "stray", "gone", "elsewhere"}
    assert names(paths) == ["acme-2", "mine", "stray"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\xff",
        "{}",
        '{"downloads": [], "files": []}',
        '{"downloads": [{}], "files": {}}',
        '{"downloads": [{"name": "acme", "url": "/a", "algorithm": 1, "digest": ""}], "files": {}}',
        '{"downloads": [{"name": "a", "url": "/a", "algorithm": "md5", "digest": ""}], "files": {}}',
        '{"downloads": {"a": 1}, "files": {}}',
        '{"downloads": [], "files": {"acme": 1}}',
        '{"downloads": [], "files": {"acme": [1, 2, 3]}}',
        '{"downloads": [], "files": {"acme": ["a", "b"]}}',
    ],
)
def test_a_record_that_says_nothing_counts_as_no_installation(paths: Paths, text: str) -> None:
    item, files = wanted(paths, tar({"acme": SCRIPT}))
    install_.install(item, files, paths, "x86_64")
    Path(item.folder, ".k0sruntime.json").write_bytes(text.encode("latin-1"))
    assert not is_installed(item, paths)
    install_.install(item, files, paths, "x86_64")
    assert is_installed(item, paths)


@pytest.mark.parametrize("failure", [PermissionError(13, "no"), KeyError("files"), TypeError("x")])
def test_cleaning_up_fails_nothing_that_is_done_and_proved(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(install_, "prune", fail)
    composition = Composition("standalone", 3, "native")
    planned = plan(composition, Observed())
    node = make_node("acme", None, paths=paths)
    prepared = Prepared(
        Discovered((), Hooks()), {}, node, Collected(), composition, Observed(), planned
    )
    outcome = provide.tidied(Request(paths), prepared, Outcome(planned))
    assert outcome.notes[0].startswith("old programs stay: ")


def test_a_version_that_a_process_runs_stays_until_it_ends(paths: Paths) -> None:
    sleep = Path(shutil.which("sleep") or "/bin/sleep").read_bytes()
    old = installed(paths, tar({"acme": sleep}), "1")
    running = subprocess.Popen([f"{old.folder}/acme", "60"])
    try:
        assert users(old.folder) == [running.pid]
        (note,) = install_.prune(paths, ())
        assert f"stays for the 1 processes that run it (PID {running.pid}" in note
        assert is_installed(old, paths)
    finally:
        running.kill()
        running.wait()
    assert "was removed" in install_.prune(paths, ())[0]


def test_programs_that_run_are_not_purged(paths: Paths) -> None:
    sleep = Path(shutil.which("sleep") or "/bin/sleep").read_bytes()
    item = installed(paths, tar({"acme": sleep}))
    running = subprocess.Popen([f"{item.folder}/acme", "60"])
    try:
        with pytest.raises(RefusedError, match="1 processes still run programs from there"):
            purge(paths)
        assert is_installed(item, paths)
    finally:
        running.kill()
        running.wait()
    purge(paths)
    assert not Path(item.folder).exists()


def test_no_space_is_told_and_nothing_is_left(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/full")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(RefusedError, match="No space left on device"):
        installed(paths, tar({"acme": SCRIPT}))
    assert names(paths) == []
