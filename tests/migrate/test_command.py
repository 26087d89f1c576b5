"""``k0sruntime migrate`` prints, compares or replaces, and never startles the node."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import watchfiles

from k0sruntime.cli.main import run
from k0sruntime.compose.schema import CRI, RUNTIME

OLD = f"version = 2\n[plugins.'{CRI}']\nenable_cdi = true\nsystemd_cgroup = true\n"
NEW = f"version = 3\n[plugins.'{RUNTIME}']\nenable_cdi = true\n"


@pytest.fixture
def dropin(tmp_path: Path) -> Path:
    folder = tmp_path / "containerd.d"
    folder.mkdir()
    file = folder / "old.toml"
    file.write_text(OLD)
    file.chmod(0o640)
    return file


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_result_is_printed_and_nothing_is_touched(
    dropin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["migrate", str(dropin)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(NEW)
    assert f"{dropin}:4: " in err
    assert "systemd_cgroup is not carried over" in err
    assert dropin.read_text() == OLD


def test_the_difference_is_a_unified_diff(dropin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "--diff", str(dropin)]) == 0
    out = capsys.readouterr().out
    assert "-version = 2\n" in out
    assert "+version = 3\n" in out
    assert " enable_cdi = true\n" in out
    assert dropin.read_text() == OLD


def test_the_difference_can_be_applied_where_the_file_has_no_last_line_feed(
    dropin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dropin.write_text(OLD.rstrip())
    assert run(["migrate", "--diff", str(dropin)]) == 0
    assert "-systemd_cgroup = true\n\\ No newline at end of file\n" in capsys.readouterr().out


def test_a_file_is_replaced_and_the_original_kept_outside_of_the_watched_folder(
    dropin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["migrate", "--write", str(dropin)]) == 0
    backup = dropin.parents[1] / "old.toml.bak"
    assert dropin.read_text().startswith(NEW)
    assert backup.read_text() == OLD
    assert names(dropin.parent) == ["old.toml"]
    assert names(dropin.parents[1]) == ["containerd.d", "old.toml.bak"]
    assert dropin.stat().st_mode & 0o777 == 0o640
    out, err = capsys.readouterr()
    assert out == ""
    assert str(backup) in err


def test_the_watched_folder_sees_no_other_name_than_the_files_own(dropin: Path) -> None:
    """Any event there bounces containerd, that of a temporary file as well."""
    seen: set[str] = set()
    ready, stop = threading.Event(), threading.Event()

    def watch() -> None:
        for changes in watchfiles.watch(
            dropin.parent, stop_event=stop, debounce=50, rust_timeout=50, yield_on_timeout=True
        ):
            ready.set()
            seen.update(Path(path).name for _, path in changes)
            if stop.is_set():
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert ready.wait(5)
    assert run(["migrate", "--write", str(dropin)]) == 0
    for _ in range(100):
        if seen:
            break
        stop.wait(0.05)
    stop.set()
    watcher.join()
    assert seen == {"old.toml"}


def test_an_older_backup_is_never_overwritten(dropin: Path) -> None:
    first = dropin.parents[1] / "old.toml.bak"
    first.write_text("older")
    assert run(["migrate", "--write", str(dropin)]) == 0
    assert first.read_text() == "older"
    assert (dropin.parents[1] / "old.toml.bak2").read_text() == OLD


def test_a_main_file_is_kept_beside_itself(tmp_path: Path) -> None:
    main = tmp_path / "containerd.toml"
    main.write_text(OLD)
    assert run(["migrate", "--write", str(main)]) == 0
    assert names(tmp_path) == ["containerd.toml", "containerd.toml.bak"]


def test_a_link_stays_a_link(dropin: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(dropin)
    assert run(["migrate", "--write", str(link)]) == 0
    assert link.is_symlink()
    assert dropin.read_text().startswith(NEW)


@pytest.mark.parametrize("option", ["--write", "--diff"])
def test_a_file_that_is_right_already_is_left_alone(
    dropin: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    dropin.write_text(NEW)
    before = dropin.stat()
    assert run(["migrate", option, str(dropin)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "unchanged" in err
    assert dropin.stat() == before
    assert names(dropin.parents[1]) == ["containerd.d"]


def test_many_files_are_printed_one_below_the_other_with_their_names(
    dropin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = dropin.with_name("other.toml")
    other.write_text(NEW)
    assert run(["migrate", str(dropin), str(other)]) == 0
    assert capsys.readouterr().out.count(f"# {dropin.parent}/") == 2


def test_one_bad_file_stops_all_before_anything_is_written_and_all_bad_ones_are_named(
    dropin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = dropin.with_name("bad.toml")
    bad.write_text("x = [\n")
    worse = dropin.with_name("worse.toml")
    worse.write_bytes(b"# \xff\n")
    assert run(["migrate", "--write", str(dropin), str(bad), str(worse)]) == 3
    err = capsys.readouterr().err
    assert f"{bad}:" in err
    assert f"{worse}:1" in err
    assert dropin.read_text() == OLD


def test_the_other_direction_is_asked_for_with_to(
    dropin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dropin.write_text(NEW)
    assert run(["migrate", "--to", "2", str(dropin)]) == 0
    assert CRI in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--write", "--diff", "x"], [], ["--to", "4", "x"], ["/does/not/exist"]]
)
def test_a_command_line_that_makes_no_sense_exits_with_2(arguments: list[str]) -> None:
    assert run(["migrate", *arguments]) == 2


def test_a_failed_rename_leaves_the_file_and_no_litter(
    dropin: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError(13, "no", source)

    monkeypatch.setattr(os, "replace", refuse)
    assert run(["migrate", "--write", str(dropin)]) == 3
    assert dropin.read_text() == OLD
    assert names(dropin.parents[1]) == ["containerd.d"]
    assert names(dropin.parent) == ["old.toml"]
    assert "nothing was changed" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_of_a_file_stays(dropin: Path) -> None:
    os.chown(dropin, 1234, 4321)
    assert run(["migrate", "--write", str(dropin)]) == 0
    assert (dropin.stat().st_uid, dropin.stat().st_gid) == (1234, 4321)
