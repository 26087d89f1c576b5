"""A fleet: who runs with the same configuration, who is the odd one out, and in what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k0sruntime.cli.main import run
from k0sruntime.seen import fleet, read
from k0sruntime.seen.document import Change, Key, NodeReport, Pending, Process, Setting, plain
from k0sruntime.seen.tree import tree

EXAMPLE = sorted((Path(__file__).parent.parent.parent / "examples/fleet").glob("*.json"))


def node(name: str, digest: str = "d" * 64, **more: Any) -> NodeReport:
    return NodeReport(name=name, at="2026-11-25T20:00:00+00:00", state=more.pop("state", "proved"), digest=digest, **more)  # fmt: skip


def key(path: str, value: Any, owner: str = "mirrors (k0sruntime-mirrors 1), hook x") -> Key:
    return Key(key=path.split("."), value=value, set_by=Setting(path="/f.toml", owner=owner))


def test_the_largest_group_is_the_majority_and_the_others_say_what_differs() -> None:
    usual = [node(f"n{number}", keys=[key("a.b", 1), key("a.c", 2)]) for number in range(4)]
    odd = node("odd", "e" * 64, keys=[key("a.b", 9), key("a.d", 3)])
    found = fleet.compare([odd, *usual])
    assert [(g.letter, len(g.nodes), g.majority) for g in found.groups] == [
        ("A", 4, True),
        ("B", 1, False),
    ]
    differences = [(d.key, d.majority, d.here) for d in found.groups[1].differences]
    assert differences == [("a.b", "1", "9"), ("a.c", "2", None), ("a.d", None, "3")]
    (attention,) = found.attention()
    assert attention.node.name == "odd"
    assert attention.reasons == ("runs with configuration B: 3 keys differ",)


def test_two_groups_of_one_size_are_no_majority() -> None:
    assert fleet.compare([node("a"), node("b", "e" * 64)]).tied
    assert not fleet.compare([node("a"), node("b")]).tied


def test_a_node_whose_configuration_is_not_known_stands_apart() -> None:
    found = fleet.compare([node("a"), node("b", "", state="refused")])
    assert [(g.letter, g.majority) for g in found.groups] == [("A", True), ("?", False)]
    assert found.attention()[0].reasons[1] == "its configuration is not known"


def test_what_is_pending_is_not_in_force() -> None:
    keys = [key("a.new", 1), key("a.changed", 2)]
    changes = [Change(["a", "new"], None, 1), Change(["a", "changed"], 5, 2), Change(["a", "gone"], 7)]  # fmt: skip
    waiting = node("w", keys=keys, pending=Pending(keys=changes))
    found = {path: value for path, (value, _) in fleet.in_force(waiting).items()}
    assert found == {("containerd", "a", "changed"): 5, ("containerd", "a", "gone"): 7}


def test_another_version_of_containerd_is_told_of() -> None:
    old = Process(pid=1, alive=True, version="1.7.24")
    new = Process(pid=1, alive=True, version="2.1.9")
    nodes = [node("a", containerd=new), node("b", containerd=new), node("c", containerd=old)]
    (attention,) = fleet.compare(nodes).attention()
    assert attention.reasons == ("containerd 1.7.24, not 2.1.9",)


def test_the_worst_comes_first() -> None:
    states = ["proved", "empty", "held", "failed", "refused", "not proved"]
    nodes = [node(state.replace(" ", "-"), state=state) for state in states]
    found = [attention.node.state for attention in fleet.compare(nodes).attention()]
    assert found == ["failed", "refused", "held", "not proved", "empty"]


def test_a_group_has_a_letter_however_many_there_are() -> None:
    assert [fleet.letter(n) for n in (0, 25, 26, 27, 52, 702)] == ["A", "Z", "AA", "AB", "BA", "AAA"]  # fmt: skip


def test_the_folder_of_a_sandbox_makes_no_difference() -> None:
    nodes = [
        node(name, sandbox=f"/tmp/{name}", keys=[key("root", f"/tmp/{name}/var/lib")])
        for name in "ab"
    ]
    shown = plain(nodes[0])
    assert shown.keys[0].value == "/var/lib"
    assert shown.sandbox == "/tmp/a"
    one, other = (fleet.in_force(n) for n in fleet.compare(nodes).nodes)
    assert one == other


def test_five_hundred_nodes_are_compared_in_a_moment() -> None:
    keys = [key(f"t{n}.k", n) for n in range(60)]
    nodes = [node(f"n{number:03}", str(number % 3) * 64, keys=keys) for number in range(500)]
    found = fleet.compare(nodes)
    assert sum(len(group.nodes) for group in found.groups) == 500


def test_the_example_has_its_odd_one_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--json", *map(str, EXAMPLE)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "FleetReport"
    (odd,) = [group for group in document["groups"] if not group["majority"]]
    assert odd["nodes"] == ["worker-3"]
    assert [d["key"].rpartition(".")[2] for d in odd["differences"]] == ["enable_selinux"]
    assert [a["node"] for a in document["attention"]] == [
        "worker-6",
        "worker-7",
        "worker-3",
        "worker-4",
        "worker-5",
    ]


def test_a_tree_has_every_key_with_its_fate() -> None:
    keys = [key("plugins.one.a", 1), key("plugins.one.deep.b", 2)]
    changes = [
        Change(["plugins", "one", "a"], None, 1),
        Change(["plugins", "one", "deep", "b"], 5, 2),
        Change(["plugins", "two", "c"], 7, None),
    ]
    (plugins,) = tree(keys, changes).inner()
    assert (plugins.name, plugins.count()) == ("plugins", 3)
    one, two = plugins.inner()
    assert (one.rows[0].name, one.rows[0].fate) == ("a", "comes")
    (deep,) = one.inner()
    assert (deep.rows[0].fate, deep.rows[0].before) == ("changes", "5")
    assert (two.rows[0].fate, two.rows[0].value, two.rows[0].setting) == ("goes", "7", None)


def test_tables_that_hold_only_a_table_are_told_in_one() -> None:
    (only,) = tree([key("a.b.c.d", 1)]).inner()
    assert only.name == "a.b.c"


def test_the_examples_are_documents_of_this_version() -> None:
    assert [found.name for found in read.read_all([str(path) for path in EXAMPLE])] == [
        f"worker-{number}" for number in range(1, 8)
    ]
