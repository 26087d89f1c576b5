"""The coherence gate: who makes cgroups with which driver, and do they agree."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import coherence
from k0sruntime.cli.main import run
from k0sruntime.coherence import Drivers, Told, makers_of, table
from k0sruntime.node import Version
from k0sruntime.paths import Paths
from k0sruntime.testing import MadeUpFiles

SYSTEMD, CGROUPFS = "systemd", "cgroupfs"
OLD, NEW = Version(1, 30), Version(1, 36)


def verdict(drivers: Drivers) -> tuple[str, str]:
    last = table(drivers)[-1]
    assert last.name == coherence.VERDICT
    return last.verdict, last.detail


@pytest.mark.parametrize(
    ("kubernetes", "cri", "profile", "kubelet", "taken"),
    [
        (NEW, SYSTEMD, "", "", SYSTEMD),  # from 1.31 on the CRI's answer overrides
        (NEW, CGROUPFS, SYSTEMD, SYSTEMD, CGROUPFS),
        (Version(1, 31), SYSTEMD, CGROUPFS, "", SYSTEMD),
        (OLD, SYSTEMD, "", "", CGROUPFS),  # it does not ask
        (OLD, CGROUPFS, SYSTEMD, "", SYSTEMD),
        (NEW, "", SYSTEMD, "", SYSTEMD),  # it is not told
        (NEW, "", "", SYSTEMD, SYSTEMD),
        (NEW, "", "", "", CGROUPFS),
        (None, SYSTEMD, "", "", SYSTEMD),
    ],
)
def test_a_kubelet_from_1_31_on_takes_the_cris_and_others_their_own(
    kubernetes: Version | None, cri: str, profile: str, kubelet: str, taken: str
) -> None:
    assert Drivers(kubernetes, cri, profile, kubelet).taken == taken


@pytest.mark.parametrize(
    ("drivers", "said"),
    [
        (Drivers(NEW, SYSTEMD, "", "", (Told("docker", SYSTEMD),)), "pass"),
        (Drivers(OLD, SYSTEMD, SYSTEMD, "", (Told("docker", SYSTEMD),)), "pass"),
        (Drivers(OLD, SYSTEMD, "", "", (Told("docker", SYSTEMD),)), "fail"),  # a profile is needed
        (Drivers(NEW, "", "", "", (Told("docker", SYSTEMD),)), "fail"),
        (Drivers(NEW, CGROUPFS, "", "", (Told("docker", SYSTEMD),)), "fail"),  # told too early
        (Drivers(NEW, CGROUPFS, SYSTEMD, "", (Told("docker", CGROUPFS),)), "warn"),  # idle profile
        (Drivers(NEW, CGROUPFS, "", "", (Told("handler nvidia", SYSTEMD),)), "fail"),
        (Drivers(NEW, CGROUPFS, "", "", (Told("handler nvidia", SYSTEMD, ours=False),)), "warn"),
        (Drivers(None, CGROUPFS, "", "", (Told("handler nvidia", SYSTEMD),)), "warn"),  # no kubelet
        (Drivers(NEW, "", "", SYSTEMD, (Told("handler runc", CGROUPFS),)), "warn"),  # pods run
        (Drivers(NEW, "", SYSTEMD, "", (Told("docker", CGROUPFS),)), "fail"),
    ],
)
def test_the_verdict(drivers: Drivers, said: str) -> None:
    assert verdict(drivers)[0] == said


def test_the_table_has_a_row_for_everyone_and_the_verdict_at_its_end() -> None:
    rows = table(Drivers(NEW, SYSTEMD, SYSTEMD, "", (Told("docker", SYSTEMD),)))
    assert [(row.name, row.detail) for row in rows] == [
        ("cgroup driver of docker", SYSTEMD),
        ("cgroup driver of the CRI", SYSTEMD),
        ("cgroup driver of the profile", SYSTEMD),
        ("cgroup driver of the kubelet", "systemd: Kubernetes 1.36 takes the CRI's"),
        ("cgroup drivers agree", "all take systemd"),
    ]


@pytest.mark.parametrize("silent", ["it serves no RuntimeConfig", "no part for Linux"])
def test_where_nobody_says_anything_the_verdict_says_so(silent: str) -> None:
    rows = table(Drivers(NEW, silent=silent))
    assert [(row.name, row.verdict, row.detail) for row in rows] == [
        ("cgroup driver of the CRI", "pass", f"it does not tell: {silent}"),
        (
            "cgroup driver of the kubelet",
            "pass",
            "cgroupfs: Kubernetes 1.36 is not told by the CRI, and takes what its configuration says",
        ),
        (
            "cgroup drivers agree",
            "unknown",
            "the kubelet takes cgroupfs, and nobody says who makes cgroups how",
        ),
    ]


@pytest.mark.parametrize(
    ("kubernetes", "makers", "said"),
    [
        (NEW, (), "fail"),
        (NEW, (Told("docker", CGROUPFS),), "fail"),
        (None, (Told("docker", CGROUPFS),), "warn"),
        (OLD, (Told("docker", CGROUPFS),), "pass"),  # it does not ask
    ],
)
def test_a_cri_that_fails_when_asked_has_its_row_and_a_verdict(
    kubernetes: Version | None, makers: tuple[Told, ...], said: str
) -> None:
    rows = table(Drivers(kubernetes, makers=makers, failed="INTERNAL: broken"))
    (row,) = [row for row in rows if row.name == "cgroup driver of the CRI"]
    assert (row.verdict, row.detail) == ("warn", "it fails when asked: INTERNAL: broken")
    assert rows[-1].verdict == said
    if said != "pass":
        assert "does not start where RuntimeConfig fails (INTERNAL: broken)" in rows[-1].detail
        assert "restart it" in rows[-1].remedy


def test_each_failure_says_what_to_do() -> None:
    docker = table(Drivers(OLD, SYSTEMD, "", "", (Told("docker", SYSTEMD),)))[-1]
    assert "cgroupDriver: systemd" in docker.remedy
    handler = table(Drivers(NEW, CGROUPFS, "", "", (Told("handler nvidia", SYSTEMD),)))[-1]
    assert "SystemdCgroup = false" in handler.remedy


@pytest.mark.parametrize(
    ("handler", "driver"),
    [
        ({"options": {"SystemdCgroup": True}, "runtime_type": coherence.RUNC}, SYSTEMD),
        ({"options": {"BinaryName": "/x"}, "runtime_type": coherence.RUNC}, CGROUPFS),
        ({"runtime_type": "io.containerd.runsc.v1", "options": {}}, None),
        ({}, None),  # nothing is said of it in the files
        ({"runtime_type": "io.containerd.runc.v2"}, CGROUPFS),
        ({"options": {"SystemdCgroup": True}, "runtime_type": ""}, None),  # it names no shim
    ],
)
def test_only_handlers_of_runcs_shim_have_a_driver(
    handler: dict[str, Any], driver: str | None
) -> None:
    found = makers_of([("x", handler, True)])
    assert [told.driver for told in found] == ([driver] if driver else [])


def test_runc_is_known_without_a_table() -> None:
    assert makers_of([("runc", {}, True)]) == (Told("handler runc", CGROUPFS),)


@pytest.mark.parametrize(
    ("text", "driver"),
    [("cgroupDriver: systemd\n", SYSTEMD), ("a: 1\ncgroupDriver: cgroupfs\n", CGROUPFS), ("", "")],
)
def test_the_kubelet_that_runs_has_its_driver_in_its_file(text: str, driver: str) -> None:
    files = MadeUpFiles({"/run/k0s/kubelet/config.yaml": text})
    assert coherence.kubelet_says(files, Paths()) == driver


HANDLER = (
    '[node]\nmode = "managed"\nk0s = "{k0s}"\n[node.handlers.other.options]\nSystemdCgroup = true\n'
)


def managed(folder: Path, k0s: str, more: str = "") -> list[str]:
    path = folder / "etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HANDLER.format(k0s=k0s) + more)
    return ["up", "--sandbox", str(folder)]


@pytest.mark.parametrize("k0s", ["1.30", "1.35", "1.36"])
def test_a_handler_that_disagrees_with_the_kubelet_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], k0s: str
) -> None:
    assert run(managed(tmp_path, k0s)) == 3
    said = capsys.readouterr().err
    assert "handler other systemd: pods would fail" in said
    assert "SystemdCgroup = false for handler other" in said
    assert not (tmp_path / "etc/k0s").exists()


RUNSC_IS_THE_DEFAULT = """version = 3
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runsc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runsc]
runtime_type = "io.containerd.runsc.v1"
"""


def test_a_default_of_another_shim_leaves_it_to_the_next_that_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "bin/containerd-shim-runsc-v1"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    node = tmp_path / "node"
    path = node / "etc/k0s/containerd.d/gvisor.toml"
    path.parent.mkdir(parents=True)
    path.write_text(RUNSC_IS_THE_DEFAULT)
    runc = "[node.handlers.runc.options]\nSystemdCgroup = true\n"
    assert run(managed(node, "1.36", runc)) == 0
    earlier = "[node.handlers.crun.options]\nSystemdCgroup = false\n"
    assert run(managed(node, "1.36", runc + earlier)) == 3


def test_handlers_that_agree_with_each_other_and_the_default_pass(tmp_path: Path) -> None:
    default = "[node.handlers.runc.options]\nSystemdCgroup = true\n"
    assert run(managed(tmp_path, "1.36", default)) == 0


def test_the_kubelet_that_runs_may_have_been_told_already(
    tmp_path: Path,
) -> None:
    runc = "[node.handlers.runc.options]\nSystemdCgroup = true\n"
    arguments = managed(tmp_path, "1.35", runc)
    settings = tmp_path / "etc/k0sruntime/config.toml"
    wanted = settings.read_text()
    settings.write_text('[node]\nmode = "managed"\nk0s = "1.35"\n')
    assert run(arguments) == 0
    settings.write_text(wanted)
    assert run(arguments) == 3
    config = tmp_path / "run/k0s/kubelet/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("cgroupDriver: systemd\n")
    assert run(arguments) == 0
