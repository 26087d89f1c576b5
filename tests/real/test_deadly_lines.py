"""A line that lint and a rehearsal call deadly kills containerd or its CRI, and no other does.

``config dump`` says yes to most of them, so that only a containerd that runs can prove it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from k0sruntime.testing import MadeUpFiles
from tests.lint.test_real import cri_loads
from tests.real.conftest import CONTAINERDS

pytestmark = pytest.mark.real

TABLES = {
    "2.1": ("io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"),
    "1.7": ("io.containerd.grpc.v1.cri", "io.containerd.grpc.v1.cri"),
}
NEVER, BOTH, ONLY_1, ONLY_2 = (), ("1.7", "2.1"), ("1.7",), ("2.1",)
PROXY = '[proxy_plugins.stargz]\ntype = "snapshot"\naddress = "/run/stargz.sock"\n'
SCHEDULER = '[plugins."io.containerd.gc.v1.scheduler"]\n'
NRI = '["io.containerd.nri.v1.nri"]'
LINES = {
    'required_plugins = ["io.containerd.nope.v1.x"]': BOTH,
    'required_plugins = ["io.containerd.grpc.v1.cri"]': NEVER,
    'required_plugins = ["io.containerd.cri.v1.images"]': ONLY_1,
    'required_plugins = ["io.containerd.snapshotter.v1.windows"]': BOTH,
    'required_plugins = ["io.containerd.snapshotter.v1.stargz"]': BOTH,
    f'required_plugins = ["io.containerd.snapshotter.v1.stargz"]\n{PROXY}': NEVER,
    f"required_plugins = {NRI}\ndisabled_plugins = {NRI}": BOTH,
    'required_plugins = ["cri"]': BOTH,
    'disabled_plugins = ["cri"]': BOTH,
    'disabled_plugins = ["io.containerd.zfs"]': ONLY_1,
    'disabled_plugins = ["snapshotter.v1.zfs"]': ONLY_1,
    'disabled_plugins = ["io.containerd.snapshotter.v1.nope"]': NEVER,
    'disabled_plugins = [""]': BOTH,
    "[plugins.cri]\nx = 1": ONLY_1,
    '[plugins."{images}"]\nimage_pull_progress_timeout = "5 minutes"': BOTH,
    '[plugins."{images}"]\nimage_pull_progress_timeout = "5"': BOTH,
    '[plugins."{images}"]\nimage_pull_progress_timeout = "1.5h3µs"': NEVER,
    '[plugins."{images}"]\nimage_pull_progress_timeout = ""': NEVER,
    '[plugins."{runtime}"]\ndrain_exec_sync_io_timeout = "1d"': BOTH,
    '[plugins."{runtime}"]\ndrain_exec_sync_io_timeout = "-5s"': NEVER,
    '[plugins."io.containerd.grpc.v1.cri"]\nstream_idle_timeout = "4 h"': BOTH,
    '[timeouts]\n"io.containerd.timeout.shim.load" = "5 seconds"': BOTH,
    '[timeouts]\n"io.containerd.timeout.shim.load" = ""': BOTH,
    '[timeouts]\n"any" = "3000000h"': BOTH,
    '[timeouts]\n"any" = "+.5s"': NEVER,
    f'{SCHEDULER}schedule_delay = "5 ms"': BOTH,
    f'{SCHEDULER}startup_delay = ""': BOTH,
    f'{SCHEDULER}startup_delay = "100ms"': NEVER,
}


def written(text: str, line: str) -> str:
    runtime, images = TABLES[line]
    version = 3 if line == "2.1" else 2
    return f"version = {version}\n" + text.replace("{runtime}", runtime).replace("{images}", images)


@pytest.mark.parametrize("line", ["1.7", "2.1"])
@pytest.mark.parametrize("text", LINES)
def test_what_lint_and_a_rehearsal_call_deadly_is(
    text: str, line: str, tmp_path: Path, capsys
) -> None:
    content, deadly = written(text, line), line in LINES[text]
    files = MadeUpFiles({"/etc/k0s/containerd.d/10.toml": content})
    assert cri_loads(CONTAINERDS[line], files, tmp_path / "real") != deadly, "the real one"
    folder = tmp_path / "dropins"
    folder.mkdir()
    (folder / "10.toml").write_text(content)
    k0s = "1.36" if line == "2.1" else "1.35"
    for target in (["--containerd", str(CONTAINERDS[line])], ["--k0s", k0s]):
        code = run(["rehearse", *target, "--dropins", str(folder), "--json"])
        said = json.loads(capsys.readouterr().out)
        assert (code, said["comes_back"]) == ((3, False) if deadly else (0, True)), said
        migrated = bool(said["mends"])  # it takes the old CRI table out of a file of version 3
        assert said["comes_back_after"] is (migrated or not deadly)
    assert run(["lint", "--containerd", str(CONTAINERDS[line]), str(folder)]) == (
        3 if deadly else 0
    )


def test_a_short_name_of_version_1_takes_cri_away_where_it_is_still_read(tmp_path: Path) -> None:
    """Without a version, 2.x reads a file as one of version 1, and knows what ``cri`` was."""
    for line, content in (("2.1", ""), ("1.7", "version = 1\n")):
        (tmp_path / "10.toml").write_text(f'{content}disabled_plugins = ["cri"]\n')
        assert run(["lint", "--containerd", str(CONTAINERDS[line]), str(tmp_path)]) == 3
        files = MadeUpFiles({"/etc/k0s/containerd.d/10.toml": (tmp_path / "10.toml").read_bytes()})
        assert not cri_loads(CONTAINERDS[line], files, tmp_path / line)
