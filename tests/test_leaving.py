"""Which CRI a node is on, and what stays while k0s is still on the one that is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from k0sruntime.compose import Composition, k0s, k0s_unit, leaving
from k0sruntime.contributions import CRISocket, KubeletProfile
from k0sruntime.node import K0sService, OtherCRI, Version
from k0sruntime.node_provider import NodeSettings
from k0sruntime.plan import FileState, Ledger, Observed, OwnedFile, Running, digest, plan
from k0sruntime.report import plan_text
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime.whose_cri import CRIOf, in_use

UNIT = "/etc/systemd/system/k0sworker.service"
DOCKER = CRISocket(url="unix:///run/cri-dockerd.sock")
OWN = CRISocket(url="unix:///run/k0s/containerd.sock")
TO_DOCKER = f"--cri-socket=remote:{DOCKER.url}"
APPLIED = CRIOf("remote", DOCKER.url, provider="dockerd")


def node(unit: str | None = None, runs: str | None = None, role: str = "worker") -> Any:
    path = UNIT.replace("worker", role)
    files = {} if unit is None else {path: f"[Service]\nExecStart=/bin/k0s {role} {unit}\n"}
    found = make_node("node", NodeSettings(), files=MadeUpFiles(files))
    if runs is None:
        return found
    words = ("/bin/k0s", "worker", *runs.split()) if runs != "silent" else ()
    return replace(found, k0s_service=K0sService(Version(1, 36), 7, "worker", words))


@pytest.mark.parametrize(
    ("found", "applied", "other"),
    [
        (node(), CRIOf(), None),
        (node(), APPLIED, OtherCRI(DOCKER.url, "dockerd")),
        (node(TO_DOCKER), CRIOf(), OtherCRI(DOCKER.url)),
        (node(TO_DOCKER), APPLIED, OtherCRI(DOCKER.url, "dockerd")),
        (node(""), APPLIED, None),  # its operator has told k0s otherwise
        (node(runs=TO_DOCKER), CRIOf(), OtherCRI(DOCKER.url)),
        (node("--cri-socket=remote:unix:///run/crio.sock"), APPLIED, OtherCRI("unix:///run/crio.sock")),
        (node(f"--cri-socket=remote:{OWN.url}"), APPLIED, None),
        (node("", role="controller"), APPLIED, OtherCRI(DOCKER.url, "dockerd")),
    ],
)  # fmt: skip
def test_the_cri_that_a_node_is_on(found: Any, applied: CRIOf, other: OtherCRI | None) -> None:
    assert in_use(k0s_unit.find(found), applied, found.paths) == other


@pytest.mark.parametrize(
    ("found", "socket", "stays"),
    [
        (node(), DOCKER, ""),
        (node(""), DOCKER, f"{UNIT} still starts k0s on {OWN.url}"),
        (node(f"--cri-socket=remote:{OWN.url}"), DOCKER, f"{UNIT} still starts k0s on {OWN.url}"),
        (node(TO_DOCKER), DOCKER, ""),
        (node(TO_DOCKER, runs=""), DOCKER, f"k0s still runs on {OWN.url}"),
        (node(TO_DOCKER, runs="silent"), DOCKER, f"k0s still runs on {OWN.url}"),
        (node(TO_DOCKER, runs=TO_DOCKER), DOCKER, ""),
        (node("", runs=TO_DOCKER), DOCKER, f"{UNIT} still starts k0s on {OWN.url}"),
        (node("--cri-socket=remote:unix:///run/crio.sock"), DOCKER, ""),
        (node("", role="controller"), DOCKER, ""),
        (node("", runs=TO_DOCKER), None, f"k0s still runs on {DOCKER.url}"),
        (node(TO_DOCKER), None, f"{UNIT} still starts k0s on {DOCKER.url}"),
        (node(""), None, ""),
        (node(), None, ""),
    ],
)
def test_what_k0s_is_still_on(found: Any, socket: CRISocket | None, stays: str) -> None:
    assert leaving.still_on(found, socket) == stays


THEIRS = "/etc/docker/daemon.json"
OURS = "/etc/k0s/containerd.d/k0sruntime-a.toml"


def seen(content: bytes = b"ours") -> Observed:
    files = {path: FileState(content, 0o644) for path in (OURS, THEIRS)}
    owned = {
        OURS: OwnedFile(digest(b"ours"), "a", 0o644),
        THEIRS: OwnedFile(digest(b"ours"), "dockerd", 0o644, edited=True),
    }
    ledger = Ledger(3, owned, programs={"/p": "x"}, runtime_classes={"a": "b"})
    return Observed(files, ledger, Running(7, 1, "/c", "2.1.9"))


def test_containerds_files_stay_on_the_way_to_another_runtime() -> None:
    composition = Composition("remote", 3, "native", stays="k0s still runs on X")
    planned = plan(composition, seen())
    assert {c.path: (c.kept, c.action) for c in planned.changes} == {
        OURS: (True, "unchanged"),
        THEIRS: (False, "restore"),
    }
    assert planned.bounce.verdict == "none"
    assert planned.bounce.reason.startswith("k0s still runs on X")
    assert (planned.programs, planned.runtime_classes) == (("/p",), {"a": "b"})
    assert f"kept      {OURS}" in plan_text(planned, composition)
    gone = plan(replace(composition, stays=""), seen())
    assert {c.path: c.action for c in gone.changes} == {OURS: "remove", THEIRS: "restore"}
    assert gone.bounce.verdict == "stop"


def test_what_somebody_edited_is_told_though_it_would_stay() -> None:
    composition = Composition("remote", 3, "native", stays="k0s still runs on X")
    actions = {c.path: c.action for c in plan(composition, seen(b"edited")).changes}
    assert actions[OURS] == "drift"


def test_the_other_runtimes_file_stays_on_the_way_back() -> None:
    composition = Composition("managed", 3, "native", stays="k0s still runs on X")
    planned = plan(composition, seen())
    assert {c.path: c.kept for c in planned.changes} == {OURS: False, THEIRS: True}
    assert "k0s still runs on X: what is kept stays" in plan_text(planned, composition)


def test_a_value_of_a_profile_that_no_kubelet_has_is_told_and_not_refused() -> None:
    profile = KubeletProfile(name="p", values={"cgroupDriverr": "systemd", "maxPods": 9})
    (note,) = k0s.unknown_fields(profile)
    assert "sets 'cgroupDriverr', which no kubelet" in note
    assert 'Did you mean "cgroupDriver"?' in note
    assert k0s.unknown_fields(None) == ()
