"""An outside snapshotter on the real stargz: an import, the image table, sandboxes, a dead socket.

The daemon is Debian's library of stargz behind a main of the lab's (lab/stargz.go), for Debian
packages no daemon. Everything goes through the example provider, as an outsider would ship it.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import CONTAINERDS, IMAGE, LAB, SETTINGS, RealNode, _node
from tests.real.registries import registries
from tests.real.snapshotter import Snapshotter

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture(params=list(CONTAINERDS))
def node(
    request: pytest.FixtureRequest, folder: Path, stargz: Snapshotter, stargz_site: Path
) -> Iterator[RealNode]:
    """A node whose images stargz unpacks, under each containerd in turn."""
    for made in _node(folder, CONTAINERDS[request.param]):
        made.python_path = [stargz_site]
        probe = f'probe_image = "{IMAGE}"\n'
        made.write_settings(SETTINGS.replace("[node]\n", f"[node]\n{probe}", 1) + stargz.settings)
        yield made


def verdicts(document: Any) -> dict[str, str]:
    return {p["name"]: p["verdict"] for p in document["proofs"] if p["provider"] == "stargz"}


def effective(node: RealNode) -> Any:
    """Return what containerd itself makes of the node's files."""
    main = node.folder / "etc/k0s/containerd.toml"
    command = [node.containerd, "--config", main, "config", "dump"]
    done = subprocess.run(command, capture_output=True, check=True)
    from k0sruntime import toml

    return toml.load(done.stdout, "config dump")


def test_containerd_loads_it_and_a_containers_root_lies_in_its_folder(
    node: RealNode, stargz: Snapshotter
) -> None:
    document = node.ok("up")
    assert verdicts(document) == {
        "stargz socket": "pass",
        "stargz is the default snapshotter": "pass",
        "a container under runc has its root from stargz": "pass",
    }
    sandboxes = {p["handler"]: p["verdict"] for p in document["proofs"] if p["name"] == "sandbox"}
    assert sandboxes == {"runc": "pass", "crun": "pass"}

    tables = (node.dropins / "k0sruntime-stargz-tables.toml").read_text()
    assert "[proxy_plugins.stargz]" in tables
    assert "plugins." not in tables.replace("proxy_plugins.", ""), "an import has no CRI table"
    loaded = effective(node)
    assert loaded["proxy_plugins"]["stargz"]["address"] == str(stargz.socket)
    images = (
        loaded["plugins"].get("io.containerd.cri.v1.images")
        or (loaded["plugins"]["io.containerd.grpc.v1.cri"]["containerd"])
    )
    assert images["snapshotter"] == "stargz"
    assert images["disable_snapshot_annotations"] is False
    ctr = [node.containerd.parent / "ctr", "-a", node.socket, "plugins", "ls"]
    said = subprocess.run(ctr, capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in said.splitlines() if " stargz " in line] == ["ok"]

    assert list((stargz.root / "snapshotter/snapshots").iterdir())
    node.ok("down", "--pods")
    assert not list(node.dropins.glob("*stargz*"))


def test_a_socket_that_nobody_listens_on_takes_the_change_back_and_says_why(
    node: RealNode, stargz: Snapshotter
) -> None:
    without = (*node.without, "stargz")
    node.ok("up", without=without)
    before = node.files()
    stargz.kill()
    done = node.run("up", "--json")
    assert done.returncode == 6, done.stderr
    told = "\n".join(problem["message"] for problem in json.loads(done.stdout)["problems"])
    assert f"{stargz.socket}: a socket is there, and nobody listens on it" in told
    assert "sandbox of handler 'runc'" in told
    assert node.files() == before, "the node is as it was"
    assert node.ok("verify", without=without)["proofs"]


def test_one_that_dies_later_is_told_by_verify_and_is_well_again_when_it_is_back(
    node: RealNode, stargz: Snapshotter
) -> None:
    node.ok("up")
    stargz.kill()
    done = node.run("verify", "--json")
    assert done.returncode == 8
    problems = json.loads(done.stdout)["problems"]
    (ours,) = [problem for problem in problems if "stargz socket" in problem["message"]]
    assert "nobody listens on it" in ours["message"]
    assert "systemctl enable --now" in ours["remedy"]
    assert node.run("plan", "--exit-code").returncode == 0, "its files stay while it is away"
    stargz.start()
    for _ in range(20):  # containerd's own client waits before it tries again
        if node.run("verify").returncode == 0:
            break
        time.sleep(1)
    assert set(verdicts(node.ok("verify")).values()) == {"pass"}


def test_it_serves_the_handler_of_another_provider_alone(
    node: RealNode, stargz: Snapshotter
) -> None:
    text = node.settings.read_text()
    node.write_settings(text + 'default = false\nhandlers = ["crun"]\n')
    document = node.ok("up")
    assert verdicts(document) == {
        "stargz socket": "pass",
        "a container under crun has its root from stargz": "pass",
    }
    owners = {handler["name"]: handler["owner"] for handler in document["handlers"]}
    assert owners["crun"] == "node", "it stays the handler of who defines it"
    from k0sruntime.cri import CRI

    with CRI(str(node.socket)) as cri:
        assert cri.config()["containerd"]["runtimes"]["crun"]["snapshotter"] == "stargz"
        assert str(stargz.root) not in cri.run_in_sandbox("runc", IMAGE, ["cat", "/proc/mounts"])
        assert str(stargz.root) in cri.run_in_sandbox("crun", IMAGE, ["cat", "/proc/mounts"])


def ctr_remote(node: RealNode, *words: str) -> None:
    command = [LAB / "bin/ctr-remote", "-a", node.socket, "-n", "k8s.io", "images", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_image_made_for_it_is_mounted_and_not_unpacked(
    node: RealNode, stargz: Snapshotter, tmp_path: Path
) -> None:
    """A layer that is mounted from the registry (FUSE) holds files that nobody downloaded whole."""
    node.ok("up")
    from k0sruntime.cri import CRI

    with registries(tmp_path / "registries") as made:
        registry = made.start("plain", images=())
        lazy = f"{registry.host}/library/lazy:1"
        ctr_remote(node, "convert", "--estargz", "--oci", IMAGE, lazy)
        ctr_remote(node, "push", "--plain-http", lazy)
        ctr_remote(node, "rm", "--sync", lazy)
        assert not stargz.mounted()
        with CRI(str(node.socket)) as cri:
            cri.pull(lazy)
            assert stargz.mounted(), stargz.log()
            assert "Linux" in cri.run_in_sandbox("runc", lazy, ["uname", "-s"])
        node.ok("down", "--pods")
