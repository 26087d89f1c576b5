"""A node on a real Docker. cri-dockerd is stood in for by ``cri_dockerd_stand_in.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import RealNode
from tests.real.dockers import Docker, running_docker

pytestmark = pytest.mark.real

OTHERS = ("gvisor", "nvidia", "mirrors")


@pytest.fixture(scope="module")
def shared() -> Iterator[Docker]:
    """A Docker with a stand-in for cri-dockerd 0.3.17, which tests only look at."""
    with running_docker() as docker:
        docker.stand_in()
        yield docker


def on(
    docker: Docker, folder: Path, settings: str = "", k0s: str = "1.36", **more: str
) -> RealNode:
    node = RealNode(folder, Path("/nowhere/containerd"), OTHERS)
    node.write_settings(f'[node]\nk0s = "{k0s}"\n{settings}{docker.settings(**more)}')
    return node


def proofs(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {p["name"]: (p["verdict"], p["detail"]) for p in document["proofs"]}


def test_a_node_on_docker_is_proved_and_k0s_is_pointed_there(shared: Docker, folder: Path) -> None:
    node = on(shared, folder)
    document = node.ok("up")
    found = proofs(document)
    with shared.client() as client:
        version = client.version()["Version"]
        driver = client.info()["CgroupDriver"]
    assert found["the runtime is docker"] == ("pass", f"docker://{version}")
    assert found["Docker answers its API"][0] == "pass"
    assert f"Docker {version}, API 1." in found["Docker answers its API"][1]
    assert found["log driver"] == ("pass", "json-file")
    assert found["cri-dockerd's version"] == ("pass", "0.3.17")
    assert found["pause image"][0] == "warn"
    assert found["cgroup driver of docker"] == ("pass", driver)
    assert found["cgroup driver of the CRI"] == ("pass", driver)
    assert found["cgroup drivers agree"] == ("pass", f"all take {driver}")
    assert document["k0s_flags"] == [f"--cri-socket=remote:unix://{shared.cri}"]
    assert not (folder / "run/k0s/containerd.sock").exists()
    node.ok("down")
    assert set(node.files()) == {"etc/k0sruntime/config.toml"}
