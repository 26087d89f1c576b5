"""The upgrade from k0s 1.35 to 1.36 with Ansible, run as the page has it, on a node with a real containerd.

k0s is a stand-in, which runs containerd by k0s's rules: 1.7 for 1.35, and 2.1 for the 2.3 of 1.36.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.conftest import BIN, Fleet, Run
from tests.fleet.test_rollout import OTHERS, ROLLOUT, VERIFY, inventory
from tests.real.conftest import CONTAINERDS, IMAGE, LAB, ROOT
from tests.real.k0s_stand_in import PAUSE

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

PAGE = (ROOT / "docs/fleet-upgrade.md").read_text()
OLD, NEW = "v1.35.1+k0s.0", "v1.36.3+k0s.0"
SETTINGS = f'[node]\nmode = "managed"\n[node.handlers.other]\nbinary = "{LAB}/bin/runc"\n'
CRI_2 = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes'
VENDOR = f"""# written by a vendor's installer
version = 2
[{CRI_2}.vendor]
runtime_type = "io.containerd.runc.v2"
[{CRI_2}.vendor.options]
BinaryName = "{LAB}/bin/runc"
"""
K0S = """#!/bin/sh
export K0S_VERSION={version} PYTHONPATH={root}
stand_in="{python} -m tests.real.k0s_stand_in"
pid={disk}/k0s.pid
case "$1" in
start)
    mkdir -p {sandbox}/var/lib/k0s/bin
    ln -sf {containerd}* {sandbox}/var/lib/k0s/bin/  # its shim as well
    setsid $stand_in worker --stand-in-node={sandbox} --stand-in-containerd={containerd} \
        </dev/null >/dev/null 2>&1 &
    echo $! >$pid ;;
stop) kill "$(cat $pid)"; while kill -0 "$(cat $pid)" 2>/dev/null; do sleep 0.05; done ;;
status) shift; exec $stand_in status --status-socket={sandbox}/run/k0s/status.sock "$@" ;;
*) exec $stand_in "$@" ;;
esac
"""


def block(name: str) -> str:
    """Return a file of tasks as the page has it."""
    (found,) = re.findall(rf"```yaml\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


class Upgrade:
    """One node of the fleet, what lies beside its inventory, and a cluster that notes all down."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.node = fleet, fleet.nodes[0]
        self.bin = self.node.disk / "bin"
        self.asked = fleet.base / "asked-of-the-cluster"
        for name in ("before", "between", "after"):
            self.put(fleet.base / f"upgrade/{name}.yml", block(f"upgrade/{name}.yml"))
        self.put(fleet.base / "bin/kubectl", f'#!/bin/sh\necho "$*" >>{self.asked}\n', 0o755)
        self.put(fleet.base / f"files/k0s-{NEW}", self.k0s(NEW, CONTAINERDS["2.1"]), 0o755)
        self.put(self.bin / "k0s", self.k0s(OLD, CONTAINERDS["1.7"]), 0o755)
        self.vendor = self.put(self.node.sandbox / "etc/k0s/containerd.d/vendor.toml", VENDOR)

    def put(self, path: Path, text: str, mode: int = 0o644) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def k0s(self, version: str, containerd: Path) -> str:
        folders = {"disk": self.node.disk, "sandbox": self.node.sandbox, "root": ROOT}
        return K0S.format(version=version, containerd=containerd, python=sys.executable, **folders)

    def roll_out(self, *arguments: str, **more: Any) -> Run:
        tool = str(BIN / "k0sruntime")
        shared = inventory(self.fleet, SETTINGS)["k0s_nodes"]
        shared["vars"] |= {
            "k0sruntime_environment": {
                "PATH": f"{{{{ disk }}}}/bin:{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            },
            "k0sruntime_images": [str(LAB / "images/probe.tar")],
            "k0sruntime_between": "{{ inventory_dir }}/upgrade/between.yml",
            "k0s_path": "{{ disk }}/bin/k0s",
            **more,
        }
        first = shared["hosts"]["node1"]
        only = {key: first[key] for key in ("ansible_host", "disk")}
        at_hand = {"k0sruntime_program": tool, "k0sruntime_without": OTHERS}
        self.fleet.write_inventory(
            {"k0s_nodes": {"hosts": {"node1": {**only, **at_hand}}, "vars": shared["vars"]}}
        )
        return self.fleet.run(ROLLOUT, *arguments)

    def upgrade(self, *arguments: str) -> Run:
        here = {
            f"k0sruntime_{name}": f"{{{{ inventory_dir }}}}/upgrade/{name}.yml"
            for name in ("before", "between", "after")
        }
        return self.roll_out(*arguments, k0s_version=NEW, **here)

    def started(self) -> list[str]:
        """Return the versions of the containerds that k0s has started, one after the other."""
        return re.findall(r"starting containerd.*? version=\W*v?(\d+\.\d+)", self.log())

    def log(self) -> str:
        return (self.node.sandbox / "var/log/k0sworker.log").read_text()


def sandboxes(run: Run) -> dict[str, str]:
    (proof,) = run.of("node1", VERIFY)
    return {p["handler"]: p["verdict"] for p in proof["proofs"] if p["name"] == "sandbox"}


def test_a_node_of_1_35_becomes_one_of_1_36_without_a_hand(fleet: Fleet) -> None:
    assert PAUSE == IMAGE, "the node has the pause image of the stand-in"
    node = Upgrade(fleet)
    run = node.roll_out()
    assert run.code == 0, run.said + node.log()
    assert sandboxes(run) == {"runc": "pass", "other": "pass", "vendor": "pass"}
    assert node.started() == ["1.7"]

    run = node.upgrade("--check", "--diff")
    assert run.code == 0, run.said + node.log()
    (rehearsal,) = [e["result"] for e in run.recorded["results"] if e["task"].endswith("Rehearse")]
    assert json.loads(rehearsal["stdout"])["comes_back_after"] is True, "it is asked, not skipped"
    assert node.vendor.read_text() == VENDOR
    assert (node.started(), node.asked.exists()) == (["1.7"], False)

    run = node.upgrade()
    assert run.code == 0, run.said + node.log()
    assert sandboxes(run) == {"runc": "pass", "other": "pass", "vendor": "pass"}
    assert node.started() == ["1.7", "2.1"]
    assert 'plugins."io.containerd.cri.v1.runtime".containerd.runtimes.vendor' in (
        node.vendor.read_text()
    )
    assert node.vendor.read_text().startswith("# written by a vendor's installer\nversion = 3\n")
    (up,) = run.of("node1", "k0sruntime.node.up")
    assert any("k0s is not running" in note for note in up["notes"])
    assert node.asked.read_text().splitlines() == [
        "drain node1 --ignore-daemonsets --delete-emptydir-data",
        "uncordon node1",
    ]
    ledger = json.loads((node.node.sandbox / "var/lib/k0sruntime/ledger.json").read_text())
    assert ledger["generation"] == up["generation"] == up["before"] + 1

    run = node.upgrade()
    assert run.code == 0, run.said
    assert run.count("changed") == {"node1": 0}, "the same again changes nothing"
    assert len(node.asked.read_text().splitlines()) == 2
