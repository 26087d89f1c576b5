"""What a rehearsal foretells is what the real containerd then does."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.real.conftest import CONTAINERDS, RealNode, _node
from tests.real.test_up import proof_of

pytestmark = pytest.mark.real

V2 = 'plugins."io.containerd.grpc.v1.cri"'
VENDOR = f'version = 2\n[{V2}.containerd.runtimes.vendor]\nruntime_type = "io.containerd.runc.v2"\n'


@pytest.fixture
def node_1(folder):
    yield from _node(folder, CONTAINERDS["1.7"])


def rehearsed(node: RealNode) -> tuple[int, dict]:
    done = node.run("rehearse", "--json", "--containerd", str(CONTAINERDS["2.1"]))
    return done.returncode, json.loads(done.stdout)


def test_a_node_of_1_7_goes_over_to_2_1_as_it_was_rehearsed(node_1: RealNode) -> None:
    node_1.ok("up")
    vendor = node_1.dropins / "vendor.toml"
    vendor.write_text(VENDOR)
    node_1.ok("up")
    _, said = rehearsed(node_1)
    assert said["now"].startswith("containerd 1.7")
    assert said["then"] == "containerd 2.1.9"
    assert said["asked"] == str(CONTAINERDS["2.1"])
    assert said["comes_back_after"]
    assert {h["name"] for h in said["handlers"] if h["after"]} == {"runc", "crun", "vendor"}

    node_1.ok("down")
    migrate = [sys.executable, "-m", "k0sruntime", "migrate", "--write", str(vendor)]
    subprocess.run(migrate, check=True, capture_output=True)
    node_1.containerd = CONTAINERDS["2.1"]
    document = node_1.ok("up")
    assert proof_of(document, "vendor") == "pass"
    assert {p["handler"] for p in document["proofs"] if p["handler"]} == {"runc", "crun", "vendor"}


def test_the_target_s_own_containerd_reads_the_files(node_1: RealNode) -> None:
    node_1.ok("up")
    (node_1.dropins / "odd.toml").write_text('version = 3\noom_score = "high"\n')
    code, said = rehearsed(node_1)
    assert code == 3
    assert any("oom_score" in f["message"] + (f["key"] or "") for f in said["findings"])
    assert not said["comes_back_after"]
