"""What waits for its proof goes back where that fails, and whatever cuts a run: on made-up nodes.

k0sruntime is a stand-in here that answers as it is told: what is proved is what the role and the
modules make of its answers. The real one goes back in test_rollout.py.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.conftest import Ansible, Run

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

ROLLOUT = "k0sruntime.node.rollout"
UP, VERIFY = "k0sruntime.node.up", "k0sruntime.node.verify"
STAND_IN = """#!/bin/sh
# Stands in for k0sruntime: notes what it is asked, and answers as the files of its node say.
command=$1
for last; do :; done
cd {folder}
[ $command = rollback ] && echo "rollback $last" >>asked || echo $command >>asked
if [ -e $command.code ]; then
    [ -e moves ] && cp wanted generation
    cat $command.json 2>/dev/null
    exit "$(cat $command.code)"
fi
files='[]'
case $command in
up) cmp -s wanted generation || files='[{{"path": "/x", "action": "update", "owner": "", "diff": ""}}]'
    cp wanted generation ;;
plan) [ -e by-hand ] && files='[{{"path": "/x", "action": "update", "owner": "", "diff": ""}}]' ;;
rollback) echo "$last" >generation ;;
esac
case $command in up | rollback) kind=Up ;; status) kind=Status ;; verify) kind=Verify ;; *) kind=Plan ;; esac
changes="\\"pending\\": $([ "$files" = '[]' ] && echo false || echo true), \\"files\\": $files,
    \\"binaries\\": [], \\"effective\\": [], \\"bounce\\": {{\\"verdict\\": \\"none\\", \\"reason\\": \\"\\"}}"
echo "{{\\"kind\\": \\"$kind\\", \\"generation\\": $(cat generation), \\"before\\": 0, \\"ran\\": \\"\\",
    \\"handlers\\": [], \\"proofs\\": [], \\"notes\\": [], \\"proved\\": true, \\"unfinished\\": false,
    \\"generations\\": [], \\"plan\\": {{$changes}}, $changes}}"
"""
PYTHON = """#!/bin/sh
# Stands in for a node's Python: makes an environment with the stand-in for k0sruntime in it.
case "$*" in
*venv*) for made; do :; done
    mkdir -p "$made/bin"
    cp "$0" "$made/bin/python" ;;
*install*) cp {folder}/k0sruntime "$(dirname "$0")/k0sruntime" ;;
esac
"""
LOST = """
- name: Lose the node
  ansible.builtin.set_fact: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
- name: Ask it once more
  ansible.builtin.ping:
"""
FAILS = "- name: Start k0s\n  ansible.builtin.command: 'false'\n"
NO_PAUSE = "- name: Spoil the pause\n  ansible.builtin.set_fact: {k0sruntime_pause: soon}\n"


def error(name: str, code: int) -> str:
    problem = {"message": "it is so", "place": "here", "culprit": "", "remedy": ""}
    return json.dumps({"kind": "Error", "exit_code": code, "name": name, "problems": [problem]})


class Node:
    """A made-up node: generation 4 is there and proved, and its settings ask for generation 5."""

    def __init__(self, base: Path, number: int, **variables: Any) -> None:
        self.name, self.variables = f"n{number:03d}", variables
        self.folder = base / self.name
        self.state = self.folder / "node/var/lib/k0sruntime"
        self.state.mkdir(parents=True)
        self.put("generation", "4\n")
        self.put("wanted", "5\n")
        self.put("k0sruntime", STAND_IN.format(folder=self.folder)).chmod(0o755)
        self.put("python", PYTHON.format(folder=self.folder)).chmod(0o755)

    def put(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def answers(self, command: str, code: int, document: str = "") -> Node:
        """Let a command end with an exit code and a document."""
        self.put(f"{command}.code", str(code))
        self.put(f"{command}.json", document)
        return self

    def fails_its_proof(self) -> Node:
        return self.answers("verify", 8, error("VERIFY_FAILED", 8))

    def passes_its_proof(self) -> Node:
        (self.folder / "verify.code").unlink(missing_ok=True)
        return self

    @property
    def generation(self) -> int:
        return int((self.folder / "generation").read_text())

    @property
    def waits(self) -> bool:
        """The node knows of a change that waits for its proof."""
        return bool(list(self.state.iterdir()))

    def asked(self) -> list[str]:
        """Return what k0sruntime was asked since the last time, but for the status."""
        asked = self.folder / "asked"
        lines = asked.read_text().splitlines()
        asked.unlink()
        return [line for line in lines if line != "status"]

    def between(self, text: str) -> None:
        """Have these tasks run between the change and its proof."""
        self.variables["k0sruntime_between"] = str(self.put("between.yml", text))

    def has_release(self) -> Path:
        """Have a release that was proved, as the role leaves one."""
        release = self.folder / "home/releases/a"
        (release / "venv/bin").mkdir(parents=True)
        for link in ("current", "proved"):
            (self.folder / "home" / link).symlink_to(release / "venv")
        return release

    def bring(self, letter: str) -> None:
        """Let the node have k0sruntime as a release, out of an archive that differs from others."""
        wheel = self.put(f"pip-{ord(letter)}-py3-none-any.whl", "")
        archive, home = self.folder / f"{letter}.tar", self.folder / "home"
        with tarfile.open(archive, "w") as file:
            file.add(wheel, wheel.name)
        self.variables |= {
            "k0sruntime_program": f"{home}/current/bin/k0sruntime",
            "k0sruntime_home": str(home),
            "k0sruntime_python": str(self.folder / "python"),
            "k0sruntime_wheels": str(archive),
        }
        self.put("wanted", f"{self.generation + 1}\n")

    def release(self, link: str) -> Path:
        """Return the release that a link leads to."""
        return (self.folder / "home" / link).resolve().parent


class Fleet(Ansible):
    """Made-up nodes."""

    def lay(self, *nodes: Node, **more: Any) -> None:
        hosts = {
            node.name: {
                "k0sruntime_program": str(node.folder / "k0sruntime"),
                "k0sruntime_sandbox": str(node.folder / "node"),
                **node.variables,
            }
            for node in nodes
        }
        shared = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "ansible_remote_tmp": str(self.base / "remote"),
            "k0sruntime_settings": "x = 1",
            **more,
        }
        self.write_inventory({"k0s_nodes": {"hosts": hosts, "vars": shared}})

    def roll_out(self) -> Run:
        """Roll out to all nodes at once; as many may fail as there are."""
        return self.run(ROLLOUT, k0sruntime_serial="100%", k0sruntime_max_fail_percentage=100)


@pytest.fixture
def fleet(base: Path, collections: Path) -> Fleet:
    return Fleet(base, collections)


def test_what_waits_for_its_proof_goes_back_where_that_fails_and_whatever_cuts_a_run(
    fleet: Fleet,
) -> None:
    """Many nodes in one roll-out, some of them in the same once more, and one in a third."""
    story = Story(fleet)
    run = story.roll_out(*story.nodes)
    only_a_proof_that_fails_takes_a_node_back(story, run)
    tasks_between_and_a_pause_that_fail_take_the_changed_node_back(story, run)
    settings_that_were_laid_by_hand_stay_and_that_is_said(story, run)
    changed_is_what_the_node_says_and_not_what_the_exit_code_means(story, run)
    a_run_that_loses_nodes_leaves_a_note_on_them(story, run)
    story.the_network_is_back_and_other_things_happen_meanwhile()
    again = story.roll_out(*story.undecided, *story.lost, story.released)
    the_same_run_again_proves_or_takes_back(story, again)
    current_leads_to_what_was_proved_last_and_tidy_keeps_what_ran(story)


class Story:
    """The nodes, and what is wrong with each."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.nodes = fleet, [Node(fleet.base, number) for number in range(1, 13)]
        self.failing, self.refused, self.killed, *rest = self.nodes
        self.fails, self.no_pause, self.unchanged, self.up_refused, self.up_done, *rest = rest
        self.passes_later, self.fails_later, self.moved, self.released = rest
        self.undecided = (self.refused, self.killed)
        self.lost = (self.passes_later, self.fails_later, self.moved)
        self.failing.fails_its_proof().put("by-hand", "")
        self.refused.answers("verify", 3, error("REFUSED", 3))
        self.killed.answers("verify", 137)
        for node in (self.fails, self.unchanged):
            node.between(FAILS)
        self.no_pause.between(NO_PAUSE)
        self.fails.put("by-hand", "")
        self.unchanged.put("wanted", "4\n")
        for node in (self.up_refused, self.up_done):
            node.answers("up", 3, error("REFUSED", 3))
        self.up_done.put("moves", "")
        for node in (*self.lost, self.released):
            node.between(LOST)
        self.a = self.released.has_release()
        self.released.bring("B")

    def roll_out(self, *nodes: Node) -> Run:
        self.fleet.lay(*nodes)
        return self.fleet.roll_out()

    def the_network_is_back_and_other_things_happen_meanwhile(self) -> None:
        for node in self.lost:
            node.between("[]")
        for node in (self.killed, self.fails_later, self.moved):
            node.fails_its_proof()
        self.refused.passes_its_proof()
        for name in ("generation", "wanted"):
            self.moved.put(name, "7\n")  # by another hand, which has proved that
        self.b = self.released.release("current")
        self.released.between(FAILS)
        self.released.bring("C")


def only_a_proof_that_fails_takes_a_node_back(story: Story, run: Run) -> None:
    """Killed, refused or misused, a proof says nothing: the change and the way back stay."""
    assert story.failing.asked() == ["up", "verify", "rollback 4", "plan"]
    assert (story.failing.generation, story.failing.waits) == (4, False)
    for node in story.undecided:
        assert node.asked() == ["up", "verify"]
        assert (node.generation, node.waits) == (5, True)
        (failed,) = run.of(node.name, VERIFY)
        assert (failed["changed"], failed["rolled_back"]) == (False, False)
        assert "The way back to generation 4 is kept" in failed["msg"]


def tasks_between_and_a_pause_that_fail_take_the_changed_node_back(story: Story, run: Run) -> None:
    by_hand, no_pause, unchanged = story.fails, story.no_pause, story.unchanged
    for node in (by_hand, no_pause):
        assert node.asked() == ["up", "rollback 4", "plan"]
        assert "The node is back on generation 4." in told(run, node)
    assert unchanged.asked() == ["up"]
    assert "Nothing was taken back" in told(run, unchanged)
    for node in (by_hand, no_pause, unchanged):
        assert (node.generation, node.waits) == (4, False)
        assert run.count("failures")[node.name] == 1
    assert "Start k0s: " in told(run, by_hand)
    assert "settings still ask for the change" in told(run, by_hand)
    assert "settings still ask" not in told(run, no_pause)


def told(run: Run, node: Node) -> str:
    """Return what the run says in the end of a node."""
    return str(run.of(node.name, "ansible.builtin.fail")[-1]["msg"])


def settings_that_were_laid_by_hand_stay_and_that_is_said(story: Story, run: Run) -> None:
    (failed,) = run.of(story.failing.name, VERIFY)
    assert (failed["rolled_back"], failed["settings_stay"]) == (True, True)
    assert "makes the change again" in failed["msg"]


def changed_is_what_the_node_says_and_not_what_the_exit_code_means(story: Story, run: Run) -> None:
    refused, done = story.up_refused, story.up_done
    (failed,) = run.of(refused.name, UP)
    assert (failed["changed"], refused.generation, refused.waits) == (False, 4, False)
    (failed,) = run.of(done.name, UP)
    assert (failed["changed"], done.generation, done.waits) == (True, 5, True)
    assert "its settings are not in place yet" in " ".join(run.said.split())


def a_run_that_loses_nodes_leaves_a_note_on_them(story: Story, run: Run) -> None:
    for node in story.lost:
        assert run.count("unreachable")[node.name] == 1
        assert node.asked() == ["up"]
        assert (node.generation, node.waits) == (5, True)


def the_same_run_again_proves_or_takes_back(story: Story, run: Run) -> None:
    """``up`` has nothing to do any more: the node itself knows where it goes back to."""
    assert [node.generation for node in story.undecided] == [5, 4]
    assert story.passes_later.asked() == ["up", "verify"]
    assert story.fails_later.asked() == ["up", "verify", "rollback 4", "plan"]
    assert story.moved.asked() == ["up", "verify"], "what another hand did since is left alone"
    assert [node.generation for node in story.lost] == [5, 4, 7]
    assert run.of(story.fails_later.name, UP)[0]["back_to"] == 4
    (failed,) = run.of(story.fails_later.name, VERIFY)
    assert (failed["rolled_back"], failed["settings_stay"]) == (True, False)
    assert "makes the change again" not in failed["msg"]
    assert not any(node.waits for node in (*story.undecided, *story.lost))


def current_leads_to_what_was_proved_last_and_tidy_keeps_what_ran(story: Story) -> None:
    """A has passed, B was lost before its proof; C has failed before its proof, and D passes."""
    node, a = story.released, story.a
    assert story.b != a
    assert node.release("current") == a, "B was current when C came, but never proved"
    node.between("[]")
    node.bring("D")
    run = story.roll_out(node)
    assert run.code == 0, run.said
    d = node.release("current")
    assert (node.release("proved"), node.release("before")) == (d, a)
    assert set((node.folder / "home/releases").iterdir()) == {a, d}
