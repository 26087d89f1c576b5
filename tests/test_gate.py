"""The gate judges the files as they will be, not as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k0sruntime import DropIn, RuntimeHandler
from k0sruntime.cli.main import run
from k0sruntime.collect import Collected
from k0sruntime.compose import Existing, compose
from k0sruntime.contributions import Contribution, Owner
from k0sruntime.errors import RefusedError
from k0sruntime.gate import AsComposed, refuse
from k0sruntime.testing import MadeUpFiles, make_node

BEFORE = MadeUpFiles({"/etc/a": "old", "/etc/b": "b"}, executables=["/bin/sh"])
FILES = AsComposed(BEFORE, {"/etc/a": b"new", "/etc/c/d": b"d"})


def test_a_composed_file_counts_as_written() -> None:
    assert FILES.read("/etc/a") == b"new"
    assert FILES.read("/etc/c/d") == b"d"
    assert FILES.exists("/etc/c/d")
    assert FILES.mode("/etc/c/d") == 0o644
    assert not FILES.is_executable("/etc/c/d")


def test_a_folder_comes_with_what_is_composed_into_it() -> None:
    assert FILES.exists("/etc/c")
    assert FILES.exists("/etc/c/")
    assert not FILES.exists("/etc/nothing")


def test_everything_else_is_as_it_lies_there() -> None:
    assert FILES.read("/etc/b") == b"b"
    assert FILES.is_executable("/bin/sh")
    assert FILES.mode("/bin/sh") == 0o755
    assert not FILES.is_socket("/etc/b")
    assert FILES.names("/etc") == ("a", "b", "c")


def test_what_containerd_would_ignore_in_silence_is_told_and_stops_nothing() -> None:
    node = make_node("acme", None)
    dropin = '[plugins."io.containerd.cri.v1.runtim"]\nenable_cdi = true\n'
    path = f"{node.paths.dropins}/vendor.toml"
    text = f"version = 3\n{dropin}".encode()
    composition = compose(node, Collected(), Existing(dropins={"vendor.toml": text}))
    (note,) = refuse(composition, node)
    assert note.startswith(f"{path}:2: ")
    assert "io.containerd.cri.v1.runtim" in note
    assert "did you mean 'io.containerd.cri.v1.runtime'? Correct" in note


SHIM = "/usr/local/bin/containerd-shim-runsc-v1"


@pytest.mark.parametrize(
    ("selinux", "enabled", "stopped"),
    [(True, True, True), (True, False, False), (False, True, False)],
    ids=["both", "not in containerd", "not in the kernel"],
)
def test_runsc_under_selinux_is_stopped_before_anything_is_written(
    selinux: bool, enabled: bool, stopped: bool
) -> None:
    contents = {SHIM: b"#!/bin/sh\n"} | ({"/sys/fs/selinux/enforce": b"1"} if selinux else {})
    node = make_node("gvisor", None, files=MadeUpFiles(contents, executables=[SHIM]))
    owner = Owner("gvisor", "k0sruntime-gvisor", "0.1.0", "contribute_dropin")
    values = [
        RuntimeHandler(name="runsc", runtime_type="io.containerd.runsc.v1"),
        DropIn(runtime={"enable_selinux": enabled}),
    ]
    parts = tuple(Contribution(owner, value) for value in values)
    composition = compose(node, Collected(parts=parts), Existing())
    if not stopped:
        refuse(composition, node)
        return
    with pytest.raises(RefusedError, match=r"K0R808 runsc-under-selinux: .*refuses SELinux"):
        refuse(composition, node)


TABLE = 'plugins."io.containerd.cri.v1.runtime".containerd'
DEADLY = f'version = 3\n[{TABLE}]\ndefault_runtime_name = "gone"\n'
FLIP = f"version = 3\n[{TABLE}.runtimes.runc.options]\nSystemdCgroup = true\n"
OTHER = "[node.handlers.crun.options]\nSystemdCgroup = false\n"


@pytest.fixture(params=["--root", "--sandbox"])
def without_containerd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """A node, or the image of one, whose k0s has not unpacked its containerd yet."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[node]\nmode = "managed"\nk0s = "1.36"\n')
    (tmp_path / "etc/k0s/containerd.d").mkdir(parents=True)
    return ["up", request.param, str(tmp_path), "--no-providers"]


def test_the_line_of_k0s_judges_where_no_containerd_is_there(
    without_containerd: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "etc/k0s/containerd.d/vendor.toml"
    foreign.write_text(DEADLY)
    assert run(without_containerd) == 3
    assert "K0R301 undefined-default-runtime" in capsys.readouterr().err
    foreign.write_text(FLIP)
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.write_text(settings.read_text() + OTHER)
    assert run(without_containerd) == 0, "a foreign handler breaks its own pods alone"
    settings.write_text(settings.read_text().replace("false", "true"))
    foreign.unlink()
    assert run(without_containerd) == 3
    assert "handler crun systemd: pods would fail" in capsys.readouterr().err


def test_what_nobody_has_checked_is_said(
    without_containerd: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*without_containerd, "--json"]) == 0
    said = capsys.readouterr()
    assert "checked by the rules for k0s 1.36 with containerd 2.3.3, no containerd" in said.err
    notes = json.loads(said.out)["notes"]
    assert notes[0].startswith("no containerd is here yet that could read the files")
    assert ("whether programs of handlers are there" in "".join(notes)) == (
        "--root" in without_containerd
    )
