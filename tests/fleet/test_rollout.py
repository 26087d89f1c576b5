"""A fleet of three real nodes, each with its own network, sshd and containerd, rolled out over SSH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.conftest import BIN, Fleet, Run
from tests.fleet.machines import FleetNode
from tests.real.conftest import IMAGE, LAB

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

ROLLOUT = "k0sruntime.node.rollout"
UP, VERIFY = "k0sruntime.node.up", "k0sruntime.node.verify"
HUSH = "zq7"
"""Stands in every secret of the settings, and nowhere else."""
SETTINGS = f"""
[node]
pause_image = "{IMAGE}"

[node.handlers.crun]
binary = "{LAB}/bin/crun"
"""
MIRROR = """
[mirrors."docker.io"]
[[mirrors."docker.io".endpoints]]
url = "http://192.0.2.1:5000"
auth = { username = "bob", password = "zq7-password" }
headers = { Authorization = ["Bearer zq7-bearer"] }
"""
SPECIAL = """
[node.handlers.special]
binary = "{{ disk }}/opt/special"
"""
NODE_DROPIN = "etc/k0s/containerd.d/k0sruntime-node.toml"
OTHERS = ["gvisor", "nvidia", "dockerd"]
PROGRAMS = {
    "good": f'#!/bin/sh\nexec {LAB}/bin/runc "$@"\n',
    "broken": "#!/bin/sh\necho 'special: not on this kernel' >&2\nexit 1\n",
    "endless": '#!/bin/sh\ncase "$*" in *create*) touch "$0.called"; sleep 600 ;; esac\n'
    f'exec {LAB}/bin/runc "$@"\n',
}


def inventory(fleet: Fleet, settings: str, **more: Any) -> dict[str, Any]:
    """Return the inventory: one group, and variables that all nodes share.

    The first node is bare: k0sruntime is brought to it as wheels. On the others it lies already.
    """
    brought = {
        "k0sruntime_wheels": str(fleet.wheels),
        "k0sruntime_distributions": ["k0sruntime[mirrors]"],
        "k0sruntime_home": "{{ disk }}/opt/k0sruntime",
        "k0sruntime_python": fleet.python,
        "tool": "{{ k0sruntime_home }}/current/bin/k0sruntime",
    }
    tool = str(BIN / "k0sruntime")
    at_hand = {"k0sruntime_program": tool, "tool": tool, "k0sruntime_without": OTHERS}
    hosts = {
        node.name: {
            "ansible_host": node.address,
            "disk": str(node.disk),
            **(brought if node.number == 1 else at_hand),
        }
        for node in fleet.nodes
    }
    known = f"-o UserKnownHostsFile={fleet.base}/known_hosts -o StrictHostKeyChecking=yes"
    shared = {
        "k0sruntime_sandbox": "{{ disk }}/k0s",
        "ansible_user": "root",
        "ansible_ssh_private_key_file": f"{fleet.base}/operator",
        "ansible_ssh_common_args": known,
        "ansible_remote_tmp": "/run/ansible",
        "ansible_python_interpreter": fleet.python,
        "k0sruntime_settings": settings,
        "k0sruntime_offline": True,
        "k0sruntime_environment": {"PATH": f"{LAB}/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        **more,
    }
    return {"k0s_nodes": {"hosts": hosts, "vars": shared}}


def state(node: FleetNode) -> dict[str, Any]:
    """Return what lies on a node's disk: what was applied last, what runs, and the settings."""
    ledger = json.loads((node.sandbox / "var/lib/k0sruntime/ledger.json").read_text())
    running = json.loads((node.sandbox / "run/k0sruntime/containerd.json").read_text())
    settings = (node.sandbox / "etc/k0sruntime/config.toml").read_text()
    return {"generation": ledger["generation"], "pid": running["pid"], "settings": settings}


def waits(node: FleetNode) -> bool:
    """The node knows of a change that waits for its proof."""
    return (node.sandbox / "var/lib/k0sruntime/way-back.json").exists()


def put_special(node: FleetNode, kind: str) -> None:
    """Put the program of the handler special onto a node's disk."""
    program = node.disk / "opt/special"
    program.parent.mkdir(exist_ok=True)
    program.write_text(PROGRAMS[kind])
    program.chmod(0o755)


def states(fleet: Fleet) -> list[dict[str, Any]]:
    return [state(node) for node in fleet.nodes]


def alive(node: FleetNode) -> bool:
    """The containerd that is recorded runs, in the node's own PID namespace."""
    assert node.machine is not None
    process = f"/proc/{node.machine.pid}/root/proc/{state(node)['pid']}/cmdline"
    return str(node.sandbox) in Path(process).read_text()


def one_by_one(fleet: Fleet, *arguments: str) -> Run:
    return fleet.run(ROLLOUT, *arguments, k0sruntime_serial=1)


def test_a_fleet_is_rolled_out_node_by_node(fleet: Fleet) -> None:
    """From bare nodes to two changes, a change that fails, and a node that dies; in one story."""
    a_fresh_roll_out_needs_no_network_and_proves_every_node(fleet)
    check_and_diff_show_the_plan_and_no_secret(fleet)
    a_change_that_fails_its_proof_on_node_2_stops_there(fleet)
    a_node_that_dies_in_the_middle_stops_the_roll_out(fleet)
    the_same_run_goes_on_where_it_stopped(fleet)
    the_same_run_again_changes_nothing(fleet)
    a_proof_that_fails_later_takes_node_2_back(fleet)
    the_modules_tell_go_back_and_take_away(fleet)


def a_fresh_roll_out_needs_no_network_and_proves_every_node(fleet: Fleet) -> None:
    images = [str(LAB / "images/probe.tar")]
    fleet.write_inventory(inventory(fleet, SETTINGS, k0sruntime_images=images))
    run = fleet.run(ROLLOUT, k0sruntime_serial=[1, 2])
    assert run.code == 0, run.said
    for node in fleet.nodes:
        assert state(node)["generation"] == 1
        assert alive(node)
        (proof,) = run.of(node.name, VERIFY)
        sandboxes = {p["handler"]: p["verdict"] for p in proof["proofs"] if p["name"] == "sandbox"}
        assert sandboxes == {"crun": "pass", "runc": "pass"}
    order = [entry["host"] for entry in run.recorded["results"] if entry["action"] in (UP, VERIFY)]
    assert order[:2] == ["node1", "node1"], "the canary is proved before any other is touched"


def the_same_run_again_changes_nothing(fleet: Fleet) -> None:
    before = states(fleet)
    run = fleet.run(ROLLOUT, k0sruntime_serial=[1, 2])
    assert run.code == 0, run.said
    assert run.count("changed") == {"node1": 0, "node2": 0, "node3": 0}
    assert states(fleet) == before


def check_and_diff_show_the_plan_and_no_secret(fleet: Fleet) -> None:
    before = states(fleet)
    fleet.write_inventory(inventory(fleet, SETTINGS + MIRROR + SPECIAL))
    run = one_by_one(fleet, "--check", "--diff", "-vvv")
    assert run.code == 0, run.said
    assert set(run.count("changed").values()) == {1}
    assert states(fleet) == before
    assert "certs.d/docker.io/hosts.toml" in run.said
    assert "+[host" in run.said or "may hold credentials" in run.said
    assert "runtimes.special" in run.said
    assert HUSH not in run.said
    assert "it may hold credentials and is not shown" in run.said


def a_change_that_fails_its_proof_on_node_2_stops_there(fleet: Fleet) -> None:
    _, before_2, before_3 = states(fleet)
    for node, kind in zip(fleet.nodes, ("good", "broken", "good"), strict=True):
        put_special(node, kind)
    run = one_by_one(fleet, "--diff", "-vvv")
    assert run.code == 2, run.said
    assert HUSH not in run.said
    assert state(fleet.nodes[0])["generation"] == 2
    assert run.count("failures") == {"node1": 0, "node2": 1}
    (failed,) = run.of("node2", UP)
    assert (failed["error"], failed["exit_code"], failed["rolled_back"]) == ("ROLLED_BACK", 6, True)
    assert "handler special" in [problem["place"] for problem in failed["problems"]]
    _, after_2, after_3 = states(fleet)
    assert {**after_2, "pid": 0} == {**before_2, "pid": 0}, "its own transaction put it back"
    assert all(alive(node) for node in fleet.nodes)
    assert after_3 == before_3, "node 3 was not touched"


def a_node_that_dies_in_the_middle_stops_the_roll_out(fleet: Fleet) -> None:
    _, node2, node3 = fleet.nodes
    before_3, settings = state(node3), state(node2)["settings"]
    put_special(node2, "endless")
    process = fleet.start(ROLLOUT, k0sruntime_serial=1)
    deadline = time.monotonic() + 90
    while not (node2.disk / "opt/special.called").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (node2.disk / "opt/special.called").exists(), "the proof on node 2 has not begun"
    node2.switch_off()
    run = fleet.end(process)
    assert run.code != 0, run.said
    assert run.count("unreachable") == {"node1": 0, "node2": 1}
    assert run.count("changed")["node1"] == 0
    assert state(node3) == before_3, "node 3 was not touched"
    assert "special" in (node2.sandbox / NODE_DROPIN).read_text(), "it died with the new files"
    assert state(node2)["settings"] == settings, "its settings are those that it lived with"
    assert [waits(node) for node in fleet.nodes] == [False, True, False]


def the_same_run_goes_on_where_it_stopped(fleet: Fleet) -> None:
    fleet.nodes[1].switch_on()
    put_special(fleet.nodes[1], "good")
    run = fleet.run(ROLLOUT, k0sruntime_serial=[1, 2])
    assert run.code == 0, run.said
    assert run.count("changed")["node1"] == 0
    assert all(alive(node) for node in fleet.nodes)
    assert not any(waits(node) for node in fleet.nodes)
    for node in fleet.nodes:
        proofs = run.of(node.name, VERIFY)[0]["proofs"]
        assert [p["verdict"] for p in proofs if p["handler"] == "special"] == ["pass"]


LATER = """
[node.handlers.later]
binary = "{{ disk }}/opt/later"
"""
BETWEEN = """
- name: Change what the proof was about, on one node
  ansible.builtin.copy:
    content: |
      #!/bin/sh
      exit 1
    dest: "{{ disk }}/opt/later"
    mode: "0755"
  when: inventory_hostname == 'node2'
"""


def a_proof_that_fails_later_takes_node_2_back(fleet: Fleet) -> None:
    """The proof of ``up`` passes, and the one after the tasks between does not.

    Of node 1, which passes, old releases go, but for the one that ran before and those in use.
    """
    first = fleet.nodes[0]
    assert first.machine is not None
    releases, present = old_releases(first)
    busy = first.machine.enter(str(releases / "in-use/venv/bin/sleep"), "600")
    for node in fleet.nodes:
        shutil.copy(node.disk / "opt/special", node.disk / "opt/later")
    _, before_2, before_3 = states(fleet)
    between = fleet.base / "between.yml"
    between.write_text(BETWEEN)
    settings = SETTINGS + MIRROR + SPECIAL + LATER
    fleet.write_inventory(inventory(fleet, settings, k0sruntime_between=str(between)))
    with subprocess.Popen(busy) as process:
        run = one_by_one(fleet)
        process.kill()
    assert run.code == 2, run.said
    assert {path.name for path in releases.iterdir()} == {present, "oldest", "in-use"}
    assert run.count("failures") == {"node1": 0, "node2": 1}
    assert "later" in state(first)["settings"]
    assert run.of("node2", UP)[0]["proofs"]
    (failed,) = run.of("node2", VERIFY)
    said = (failed["error"], failed["exit_code"], failed["rolled_back"], failed["changed"])
    assert said == ("VERIFY_FAILED", 8, True, True)
    assert any("later" in problem["place"] for problem in failed["problems"])
    _, after_2, after_3 = states(fleet)
    assert {**after_2, "pid": 0} == {**before_2, "pid": 0}, "its files, and its settings as well"
    assert "later" not in (fleet.nodes[1].sandbox / NODE_DROPIN).read_text()
    assert failed["settings_stay"] is False
    assert not any(waits(node) for node in fleet.nodes)
    assert all(alive(node) for node in fleet.nodes)
    assert after_3 == before_3, "node 3 was not touched"
    fleet.write_inventory(inventory(fleet, SETTINGS + MIRROR + SPECIAL))


def old_releases(node: FleetNode) -> tuple[Path, str]:
    """Lay old releases onto a node; return their folder, and the name of the one that is there."""
    releases = node.disk / "opt/k0sruntime/releases"
    (present,) = [path.name for path in releases.iterdir()]
    assert (releases.parent / "proved").resolve().parent.name == present
    (releases.parent / "before").symlink_to(releases / "oldest/venv")
    for age, name in enumerate(("newer", "older", "oldest", "in-use"), 1):
        program = releases / name / "venv/bin/sleep"
        program.parent.mkdir(parents=True)
        shutil.copy("/bin/sleep", program)
        os.utime(releases / name, (time.time() - age * 3600,) * 2)
    return releases, present


OPERATIONS = """
- hosts: k0s_nodes
  gather_facts: false
  module_defaults:
    group/k0sruntime.node.all: &node
      program: "{{ tool }}"
      sandbox: "{{ k0sruntime_sandbox }}"
  environment: "{{ k0sruntime_environment }}"
  tasks:
    - k0sruntime.node.runtime_facts:
    - k0sruntime.node.plan:
    - k0sruntime.node.rollback: {generation: 1}
    - k0sruntime.node.rollback: {generation: 1}
    - k0sruntime.node.down: {pods: true}
      check_mode: true
    - k0sruntime.node.down: {pods: true}
    - k0sruntime.node.down: {pods: true}
"""


def the_modules_tell_go_back_and_take_away(fleet: Fleet) -> None:
    (fleet.base / "operations.yml").write_text(OPERATIONS)
    run = fleet.run(str(fleet.base / "operations.yml"))
    assert run.code == 0, run.said
    for node in fleet.nodes:
        facts = run.of(node.name, "k0sruntime.node.runtime_facts")[0]["ansible_facts"]["k0sruntime"]
        assert facts["proved"]
        assert not facts["drift"]
        assert run.of(node.name, "k0sruntime.node.plan")[0]["pending"] is False
        went_back, again = run.of(node.name, "k0sruntime.node.rollback")
        assert (went_back["changed"], went_back["generation"], again["changed"]) == (True, 1, False)
        foreseen, down, nothing = run.of(node.name, "k0sruntime.node.down")
        assert (foreseen["changed"], down["changed"], nothing["changed"]) == (True, True, False)
        assert sorted(foreseen["removed"]) == sorted(down["removed"])
        assert not list((node.sandbox / "etc/k0s").rglob("*.toml"))
