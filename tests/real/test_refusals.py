"""Full, read-only and forbidden file systems, and two commands at once: a message, never a mess."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from tests.real.conftest import CONTAINERDS, SETTINGS, RealNode

pytestmark = pytest.mark.real

MANAGED = '[node]\nmode = "managed"\nk0s = "1.36"\n[node.handlers.crun]\n'


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with room for very little."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", tmp_path], check=True)
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(MANAGED)
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def written(folder: Path) -> list[str]:
    """Return the files that lie there, but for the settings, the filler and the lock."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in ("config.toml", "filler", "lock", ".k0sruntime-sandbox")
    ]


def fill(folder: Path) -> None:
    with (folder / "etc/filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def test_a_full_disk_is_a_refusal_and_nothing_is_half_written(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "--sandbox", str(small)]) == 0
    fill(small)
    assert run(["up", "--sandbox", str(small)]) == 3
    said = capsys.readouterr().err
    assert "No space left on device; nothing was changed" in said
    assert "Free some space" in said
    assert written(small) == []
    (small / "etc/filler").unlink()
    assert run(["up", "--sandbox", str(small)]) == 0
    assert "etc/k0s/containerd.d/k0sruntime-node.toml" in written(small)


def test_a_disk_that_fills_up_keeps_the_old_files(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["up", "--sandbox", str(small)]) == 0
    before = (small / "etc/k0s/containerd.d/k0sruntime-node.toml").read_bytes()
    (small / "etc/k0sruntime/config.toml").write_text(MANAGED + "[node.handlers.more]\n")
    fill(small)
    assert run(["up", "--sandbox", str(small)]) == 3
    assert (small / "etc/k0s/containerd.d/k0sruntime-node.toml").read_bytes() == before
    assert not list(small.rglob(".k0sruntime-staging"))
    capsys.readouterr()


def test_a_read_only_file_system_is_told(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    assert run(["up", "--sandbox", str(small)]) == 3
    said = capsys.readouterr().err
    assert "Read-only file system; nothing was changed" in said
    assert "--root DIR for an image" in said


def test_without_root_it_says_so_and_what_to_do(tmp_path: Path) -> None:
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(MANAGED)
    for folder in (*tmp_path.parents, tmp_path):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    story = tmp_path.with_name(f"{tmp_path.name}-story")
    child = os.fork()
    if child == 0:
        sys.stderr = story.open("w")
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        code = run(["up", "--sandbox", str(tmp_path)])
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    said = story.read_text()
    assert os.waitstatus_to_exitcode(status) == 3, said
    assert "Permission denied; nothing was changed" in said
    assert "Run it as root, or try it in a folder of your own" in said
    assert written(tmp_path) == []


@pytest.fixture
def node(folder: Path) -> Iterator[RealNode]:
    made = RealNode(folder, CONTAINERDS["2.1"])
    made.write_settings(SETTINGS)
    made.put_image()
    yield made
    made.run("down", "--pods", "--force", "--purge")


def test_two_ups_at_once_start_one_containerd_and_both_succeed(node: RealNode) -> None:
    both = [
        subprocess.Popen(
            node.command("up"),
            env=node.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("started (PID" in out for out, _ in said) == 1
    assert sum("adopted (PID" in out for out, _ in said) == 1
    assert any("holds the node's lock" in err for _, err in said)


def test_the_second_gives_up_when_it_is_told_how_long_to_wait(node: RealNode) -> None:
    with subprocess.Popen(
        node.command("up"),
        env=node.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as first:
        lock = node.folder / "run/k0sruntime/lock"
        while not lock.exists() or not lock.read_text():
            time.sleep(0.005)
        done = node.run("down", "--lock-timeout", "0.05")
        assert done.returncode == 3
        assert f"the node's lock is held by process {first.pid}" in done.stderr
        assert "--lock-timeout" in done.stderr
        assert first.wait(60) == 0


def test_an_up_that_is_killed_at_any_moment_is_mended_by_the_next(node: RealNode) -> None:
    for delay in (0.12, 0.16, 0.2, 0.25, 0.35, 0.5):
        process = subprocess.Popen(
            node.command("up"),
            env=node.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.kill()
        process.wait()
        document = node.ok("up")
        assert {p["verdict"] for p in document["proofs"]} == {"pass"}, delay
        node.ok("down", "--pods")
