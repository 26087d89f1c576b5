"""What an operator must know of is told by every ``up``, also by one that changes nothing."""

from __future__ import annotations

import re

import pytest

from tests.real.conftest import RealNode

pytestmark = pytest.mark.real

IGNORED = 'version = 3\n\n[plugins."io.containerd.cri.v1.runtim"]\nenable_cdi = true\n'


def test_a_main_file_that_another_program_rewrote_is_told_where_nothing_else_changes(
    node_2: RealNode,
) -> None:
    node = node_2
    pid = node.ok("up")["running"]["pid"]
    main = node.folder / "etc/k0s/containerd.toml"
    lines = [line for line in main.read_text().splitlines() if not line.startswith("#")]
    imports = 'imports = ["/etc/containerd/conf.d/*.toml", '
    main.write_text(re.sub(r"imports = \[\s*", imports, "\n".join(lines)))  # as nvidia-ctk does
    document = node.ok("up")
    assert (document["ran"], document["running"]["pid"]) == ("adopted", pid)
    (note,) = [note for note in document["notes"] if str(main) in note]
    assert "marker" in note


def test_what_containerd_ignores_in_silence_is_told_each_time(node_2: RealNode) -> None:
    node_2.dropins.mkdir(parents=True)
    (node_2.dropins / "vendor.toml").write_text(IGNORED)
    first, second = node_2.ok("up"), node_2.ok("up")
    assert (first["ran"], second["ran"]) == ("started", "adopted")
    for document in (first, second):
        assert any("io.containerd.cri.v1.runtim" in note for note in document["notes"])


def test_a_node_whose_next_start_would_fail_is_refused_though_it_runs(node_2: RealNode) -> None:
    """The files come to the same, and a handler's program has gone since."""
    program = node_2.settings.parent / "crun"
    lab = node_2.settings.read_text()
    program.write_text("#!/bin/sh\nexec " + re.search(r'binary = "(.*)"', lab)[1] + ' "$@"\n')  # type: ignore[index]
    program.chmod(0o755)
    node_2.settings.write_text(re.sub(r'binary = ".*"', f'binary = "{program}"', lab))
    node_2.ok("up")
    program.unlink()
    done = node_2.run("up")
    assert done.returncode == 3
    assert "K0R802 binary-missing" in done.stderr
    assert node_2.socket.exists()
