"""What a trial start is given: the files in their places, and nothing that is the node's own."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime import namespaces
from k0sruntime.collect import Collected
from k0sruntime.compose import Existing, compose
from k0sruntime.modes import log
from k0sruntime.node import Node, Program, Version
from k0sruntime.testing import MadeUpFiles
from k0sruntime.trial import cannot
from k0sruntime.trial_room import plan

NODE: Node[Any] = Node(
    None, MadeUpFiles({}), containerd=Program("/b/containerd", Version(2, 1, 9)), mode="standalone"
)
OLD: Node[Any] = Node(
    None, MadeUpFiles({}), containerd=Program("/b/containerd", Version(1, 7, 24)), mode="standalone"
)
CRI_2 = 'plugins."io.containerd.grpc.v1.cri"'


def room(text: str, node: Node[Any] = NODE, **instead: bytes | None) -> dict[str, Any]:
    existing = Existing(dropins={"10.toml": text.encode()})
    return plan(compose(node, Collected(), existing), node, instead)


def test_all_files_lie_where_they_would_and_the_merged_one_as_well() -> None:
    text = f'version = 2\n[{CRI_2}.containerd.runtimes.x]\nruntime_type = "x.y.v1"\n'
    found = room(text, OLD, **{"/etc/x.toml": b"x", "/etc/gone.toml": None})
    dropins = "/etc/k0s/containerd.d"
    assert found["files"][f"{dropins}/10.toml"] == text
    assert "/run/k0s/containerd-cri.toml" in found["files"]["/etc/k0s/containerd.toml"]
    assert "runtimes.x" in found["files"]["/run/k0s/containerd-cri.toml"]
    assert (found["files"]["/etc/x.toml"], found["files"]["/etc/gone.toml"]) == ("x", None)
    assert {"/etc", "/etc/k0s", dropins, "/run/k0s"} <= set(found["writable"])


def test_root_state_and_socket_are_in_the_room_whatever_the_files_say() -> None:
    command = room('version = 3\nroot = "/data"\n[grpc]\naddress = "/run/x.sock"\n')["command"]
    assert command[0] == "/b/containerd"
    own = [
        f"--root={namespaces.OWN}/",
        f"--state={namespaces.OWN}/",
        f"--address={namespaces.OWN}/",
    ]
    assert all(word.startswith(start) for word, start in zip(command[1:], own, strict=False))
    assert command[4:] == ["--log-level=info", "--config=/etc/k0s/containerd.toml"]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("", "/opt/nri/plugins"),
        ('[plugins."io.containerd.nri.v1.nri"]\nplugin_path = "/n/p"', "/n/p"),
        ('[plugins."io.containerd.snapshotter.v1.native"]\nroot_path = "/d/n"', "/d/n"),
        ('[proxy_plugins.p]\ntype = "snapshot"\naddress = "unix:///var/p.sock"', "/var/p.sock"),
    ],
)
def test_what_is_the_nodes_own_is_hidden(text: str, hidden: str) -> None:
    assert hidden in room(f"version = 3\n{text}\n")["hidden"]


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("", "/etc/cni/net.d"),
        ("", "/opt/containerd"),
        ('[plugins."io.containerd.internal.v1.opt"]\npath = "/o"', "/o"),
        ('[plugins."io.containerd.cri.v1.runtime".cni]\nconf_dir = "/c"', "/c"),
        ('[plugins."io.containerd.nri.v1.nri"]\nsocket_path = "/n/nri.sock"', "/n"),
        ('[ttrpc]\naddress = "/t/x.sock"', "/t"),
        ('[debug]\naddress = "/t/x.sock"', "/t"),
        ('temp = "/t/emp"', "/t/emp"),
    ],
)
def test_what_containerd_writes_to_is_writable(text: str, folder: str) -> None:
    assert folder in room(f"version = 3\n{text}\n")["writable"]


def test_the_cgroup_that_containerd_would_make_is_left_out() -> None:
    text = 'version = 3\noom_score = 7\n[cgroup]\npath = "/x"\n'
    laid = room(text)["files"]["/etc/k0s/containerd.d/10.toml"]
    assert "cgroup" not in laid
    assert "oom_score = 7" in laid


def test_a_snapshotter_on_the_nodes_own_devices_is_not_tried(monkeypatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    pool = 'version = 3\n[plugins."io.containerd.snapshotter.v1.devmapper"]\npool_name = "p"\n'
    composed = compose(NODE, Collected(), Existing(dropins={"10.toml": pool.encode()}))
    assert "devmapper" in cannot(composed, NODE)
    assert cannot(compose(NODE, Collected(), Existing()), NODE) == ""
    monkeypatch.setattr("k0sruntime.trial._file_system", lambda _: "zfs")
    zfs = 'version = 3\n[plugins."io.containerd.cri.v1.images"]\nsnapshotter = "zfs"\n'
    composed = compose(NODE, Collected(), Existing(dropins={"10.toml": zfs.encode()}))
    assert "zfs" in cannot(composed, NODE)
    assert cannot(compose(NODE, Collected(), Existing()), NODE) == ""


def test_of_a_panic_its_first_line_tells() -> None:
    lines = ["level=error x", "panic: non-positive interval", "", "goroutine 1:", "\tmain.go:204"]
    assert log.reason(lines) == "panic: non-positive interval"
