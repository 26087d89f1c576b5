"""The supervisor's own reasoning, without a containerd."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from k0sruntime import inputs, supervise
from k0sruntime.cli.story import Silent
from k0sruntime.node_provider import SupervisorSettings
from k0sruntime.paths import Paths
from k0sruntime.worker import Worker


@pytest.fixture
def watch(tmp_path: Path) -> supervise.Watch:
    paths = Paths.in_sandbox(str(tmp_path))
    os.makedirs(paths.dropins)
    return supervise.Watch(
        paths, Silent(), SupervisorSettings(), supervise.Orders(), Worker(paths), {}
    )


def test_where_the_kernel_has_no_watch_left_the_folder_is_polled(
    watch: supervise.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """inotify(7) limits the instances of a user, and many pods use them up."""

    def refused(*_: str, force_polling: bool | None, **__: Any) -> Iterator[set[Any]]:
        if not force_polling:
            raise RuntimeError("Too many open files (os error 24)")
        watch.orders.ended.set()
        yield set()

    monkeypatch.setattr(watchfiles, "watch", refused)
    supervise._follow(watch)
    assert watch.polling
    supervise._follow(watch)
    assert watch.orders.ended.is_set()


def test_polling_sees_a_change(watch: supervise.Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.polling = True
    seen: list[float] = []

    def look(watch: supervise.Watch) -> None:
        if watch.changed:
            seen.append(watch.changed)
            watch.changed = 0.0
        if len(seen) > 1:
            watch.orders.ended.set()

    monkeypatch.setattr(supervise, "_look", look)
    thread = threading.Thread(target=supervise._follow, args=[watch])
    thread.start()
    deadline = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        Path(f"{watch.paths.dropins}/vendor.toml").write_text(f"# {time.monotonic()}\n")
        time.sleep(0.1)
    watch.orders.ended.set()
    thread.join(20)
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("etc/k0s/containerd.d/vendor.toml", True),
        ("etc/k0s/containerd.d/.hidden.toml", True),
        ("etc/k0s/containerd.toml", True),
        ("etc/k0s/containerd.d/vendor.toml.swp", False),
        ("etc/k0s/containerd.d/certs.d/docker.io/hosts.toml", False),
        ("etc/k0s/k0s.yaml", False),
    ],
)
def test_only_what_containerd_loads_counts(
    watch: supervise.Watch, tmp_path: Path, name: str, counts: bool
) -> None:
    assert supervise._counts(watch.paths, str(tmp_path / name)) == counts


def test_other_hands_files_make_the_fingerprint_and_ours_do_not(
    watch: supervise.Watch, tmp_path: Path
) -> None:
    folder = tmp_path / "etc/k0s/containerd.d"
    assert inputs.now(watch.paths) == {}
    (folder / "vendor.toml").write_text("version = 3\n")
    first = inputs.now(watch.paths)
    assert list(first) == [f"{folder}/vendor.toml"]
    (folder / "vendor.toml").write_text("version = 3\n# more\n")
    assert inputs.now(watch.paths) != first
    (folder / "vendor.toml").unlink()
    (folder / "gone.toml").symlink_to("/nowhere")
    assert "cannot be read" in inputs.now(watch.paths)[f"{folder}/gone.toml"]
