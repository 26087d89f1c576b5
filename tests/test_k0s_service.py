"""The k0s that runs: what its status says, and what that changes for us."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import facts, k0s_service
from k0sruntime.compose import Composition
from k0sruntime.contributions import KubeletProfile
from k0sruntime.facts import Programs
from k0sruntime.next_start import warnings
from k0sruntime.node import K0sService, Program, Version
from k0sruntime.node_provider import NodeSettings
from k0sruntime.paths import Paths
from k0sruntime.programs import Answer, begin
from k0sruntime.testing import make_node

INSTALLED = Version(1, 36, 3)


def status(*arguments: str, version: str = "v1.35.1+k0s.0") -> str:
    """Return what ``k0s status --out=json`` prints, as far as it matters."""
    document = {"Version": version, "Pid": 7, "Role": "worker", "Args": ["k0s", *arguments]}
    return json.dumps(document)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["worker", "--profile=gpu"], "gpu"),
        (["worker", "--profile", "gpu", "--debug"], "gpu"),
        (["worker", "--profile=a", "--profile=b"], "b"),
        (["worker", "--profiles=x"], ""),
        (["worker", "--profile"], ""),
        (["worker"], ""),
    ],
)
def test_a_flag_is_read_as_k0s_itself_reads_it(arguments: list[str], value: str) -> None:
    assert K0sService(INSTALLED, 1, "worker", ("k0s", *arguments)).flag("--profile") == value


def test_the_version_that_runs_is_not_the_one_that_is_installed() -> None:
    found = k0s_service.read(Answer(0, status("worker"), ""), INSTALLED, Paths())
    assert found == K0sService(Version(1, 35, 1), 7, "worker", ("k0s", "worker"))


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"Args": 3}', '{"Pid": "x"}'])
def test_nonsense_is_no_service(text: str) -> None:
    assert k0s_service.read(Answer(0, text, ""), INSTALLED, Paths()) is None


def test_a_k0s_that_says_that_it_does_not_run_does_not(tmp_path: Path) -> None:
    paths = Paths.in_sandbox(str(tmp_path))
    assert k0s_service.read(Answer(1, "", "not running"), INSTALLED, paths) is None


def test_no_answer_in_time_is_no_answer_unless_its_containerd_runs(tmp_path: Path) -> None:
    paths = Paths.in_sandbox(str(tmp_path))
    silent = Answer(-1, "", "no answer within 3 s")
    assert k0s_service.read(silent, INSTALLED, paths) is None
    os.makedirs(paths.run)
    Path(paths.pid_file).write_text(f"{os.getpid()}\n")
    assert k0s_service.read(silent, INSTALLED, paths) == K0sService(INSTALLED, 0)


def test_its_data_folder_moves_containerd_and_image_bundles(tmp_path: Path) -> None:
    paths = Paths.in_sandbox(str(tmp_path))
    elsewhere = tmp_path / "srv/k0s"
    containerd = elsewhere / "bin/containerd"
    containerd.parent.mkdir(parents=True)
    containerd.write_text("#!/bin/sh\necho containerd github.com/containerd/containerd v1.7.30 x\n")
    containerd.chmod(0o755)
    text = status("worker", f"--data-dir={elsewhere}")
    programs = Programs(
        ("/usr/bin",),
        ("/usr/bin/k0s", begin(["echo", "v1.36.3+k0s.0"], 5)),
        None,
        begin(["echo", text], 5),
    )
    node = facts.observe_node(paths, NodeSettings(), programs, "managed")
    assert node.containerd == Program(str(containerd), Version(1, 7, 30))
    assert node.paths.images == f"{elsewhere}/images"
    assert node.k0s == Program("/usr/bin/k0s", Version(1, 35, 1))
    assert node.k0s_installed == INSTALLED


def test_in_standalone_mode_nobody_waits_for_its_status(tmp_path: Path) -> None:
    programs = Programs((), None, None, begin(["sleep", "30"], 30))
    node = facts.observe_node(Paths.in_sandbox(str(tmp_path)), NodeSettings(), programs)
    assert node.k0s_service is None


@pytest.mark.parametrize(
    ("arguments", "told"), [((), True), (("--profile=gpu",), False), (("--profile=x",), True)]
)
def test_a_worker_profile_that_k0s_was_not_started_with_is_told(
    arguments: tuple[str, ...], told: bool
) -> None:
    service = K0sService(INSTALLED, 7, "worker", ("k0s", "worker", *arguments))
    node: Any = make_node("node", None, k0s_service=service, mode="managed")
    profile = KubeletProfile(name="gpu", values={})
    found = warnings(node, Composition("managed", 3, "native", profile=profile))
    assert bool(found) == told
    assert not told or "start it with --profile=gpu" in found[0]


@pytest.mark.parametrize(
    ("k0s", "left_behind", "counts"),
    [("1.36.2", "1.7.30", False), ("1.36.2", "2.3.3", True), ("1.35.4", "2.3.3", False)],
)
def test_a_containerd_that_k0s_replaces_at_its_start_judges_nothing(
    k0s: str, left_behind: str, counts: bool, tmp_path: Path
) -> None:
    """After an upgrade of a k0s that is stopped, the old line's containerd still lies in its folder."""
    paths = Paths.in_sandbox(str(tmp_path))
    settings = NodeSettings(mode="managed", k0s=k0s)
    version = Version.parse(left_behind)
    programs = Programs((), None, (f"{paths.bin}/containerd", version), None)
    node = facts.observe_node(paths, settings, programs)
    assert (node.containerd is not None) == counts
    elsewhere = Programs((), None, ("/usr/bin/containerd", version), None)
    assert facts.observe_node(paths, settings, elsewhere).containerd is not None
