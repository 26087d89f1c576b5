"""Folders that are not plain: other mounts, links, and files that belong to somebody else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.conftest import RealNode

pytestmark = pytest.mark.real


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def up_and_down(node: RealNode, foreign: Path) -> None:
    """Bring a node up, change it and take it down; a foreign drop-in stays as it is."""
    foreign.write_text("version = 3\n# theirs\n")
    node.ok("up")
    names = {path.name for path in node.dropins.iterdir()}
    assert names == {"theirs.toml", "k0sruntime-node.toml", "k0sruntime-node-tables.toml"}
    node.write_settings(node.settings.read_text().replace("crun]", "other]"))
    node.ok("up")
    assert "runtimes.other" in (node.dropins / "k0sruntime-node.toml").read_text()
    node.ok("down", "--pods")
    assert [path.name for path in node.dropins.iterdir()] == ["theirs.toml"]
    assert foreign.read_text() == "version = 3\n# theirs\n"


def test_a_drop_in_folder_that_is_a_link_to_another_file_system(
    node_2: RealNode, elsewhere: Path
) -> None:
    target = elsewhere / "deep/containerd.d"
    target.mkdir(parents=True)
    node_2.dropins.parent.mkdir(parents=True)
    node_2.dropins.symlink_to(target)
    up_and_down(node_2, target / "theirs.toml")
    assert node_2.dropins.is_symlink()
    assert [path.name for path in (elsewhere / "deep").iterdir()] == ["containerd.d"]


def test_a_drop_in_folder_that_is_a_mount_of_its_own(node_2: RealNode, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    node_2.dropins.mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(source), str(node_2.dropins)], check=True)
    try:
        up_and_down(node_2, source / "theirs.toml")
    finally:
        subprocess.run(["umount", str(node_2.dropins)], check=True)


def test_an_adopted_file_comes_back_with_its_owner_and_permissions(node_2: RealNode) -> None:
    main = node_2.folder / "etc/k0s/containerd.toml"
    main.parent.mkdir(parents=True)
    main.write_text("version = 3\n")
    os.chown(main, 1234, 4321)
    main.chmod(0o640)
    node_2.ok("adopt", str(main))
    node_2.ok("up")
    assert (main.stat().st_uid, main.stat().st_mode & 0o777) == (0, 0o644)
    node_2.ok("down", "--pods")
    found = main.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 4321, 0o640)


def test_a_link_is_not_adopted(node_2: RealNode, tmp_path: Path) -> None:
    (tmp_path / "main.toml").write_text("version = 3\n")
    main = node_2.folder / "etc/k0s/containerd.toml"
    main.parent.mkdir(parents=True)
    main.symlink_to(tmp_path / "main.toml")
    done = node_2.run("adopt", str(main))
    assert done.returncode == 3
    assert f"a symbolic link to {tmp_path}/main.toml" in done.stderr
