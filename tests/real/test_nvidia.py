"""NVIDIA's handlers on the real containerd, without a GPU: the toolkit's programs are fakes.

``fake_runtime`` lays programs of the toolkit's names that hand everything to the real runc, as the
toolkit's do for a container that asks for no GPU. Configuration, sandboxes and drop-ins are real.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from k0sruntime.cri import CRI
from tests.real.conftest import CONTAINERDS, IMAGE, LAB, RealNode, _node

pytestmark = pytest.mark.real

OTHERS = ("gvisor", "dockerd", "mirrors")
SETTINGS = f"""
[node]
pause_image = "{IMAGE}"

[nvidia]
gpu = "yes"
"""
NAMES = (
    "nvidia-container-runtime",
    "nvidia-container-runtime.cdi",
    "nvidia-container-runtime.legacy",
)


def fake_runtime(folder: Path, *names: str) -> Path:
    """Lay programs of the toolkit's names that are runc; return the plain one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        (folder / name).write_text(f'#!/bin/sh\nexec {LAB}/bin/runc "$@"\n')
        (folder / name).chmod(0o755)
    return folder / NAMES[0]


@pytest.fixture(params=list(CONTAINERDS))
def node(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[RealNode]:
    """A node with the toolkit's fakes, under each containerd in turn."""
    runtime = fake_runtime(tmp_path / "toolkit")
    for made in _node(folder, CONTAINERDS[request.param]):
        made.without = OTHERS
        made.write_settings(f'{SETTINGS}runtime = "{runtime}"\n')
        yield made


def verdicts(document: dict) -> dict[str, str]:
    return {p["handler"]: p["verdict"] for p in document["proofs"] if p["handler"]}


def add(node: RealNode, text: str) -> None:
    node.write_settings(node.settings.read_text() + text)


def config(node: RealNode) -> dict:
    with CRI(str(node.socket)) as cri:
        return dict(cri.config())


def test_a_sandbox_runs_under_every_handler_of_the_toolkit(node: RealNode) -> None:
    document = node.ok("up")
    assert verdicts(document) == {
        "nvidia": "pass",
        "nvidia-cdi": "pass",
        "nvidia-legacy": "pass",
        "runc": "pass",
    }
    seen = config(node)
    assert seen["containerd"]["defaultRuntimeName"] == "runc"
    assert seen["enableCDI"] is True
    assert seen["containerd"]["runtimes"]["nvidia"]["options"]["BinaryName"].endswith(NAMES[0])
    assert node.ok("up")["ran"] == "adopted"


def test_its_runtime_classes_are_offered(node: RealNode) -> None:
    said = node.run("export", "runtimeclasses").stdout
    for name in ("nvidia", "nvidia-cdi", "nvidia-legacy"):
        assert f"handler: {name}\n" in said.replace('"', "")


def test_it_is_the_default_handler_where_the_operator_asks(node: RealNode) -> None:
    add(node, "default = true\n")
    document = node.ok("up")
    assert set(verdicts(document).values()) == {"pass"}
    assert config(node)["containerd"]["defaultRuntimeName"] == "nvidia"


def test_mode_cdi_gives_containerd_the_spec_folders_and_no_handler(node: RealNode) -> None:
    add(node, 'mode = "cdi"\ncdi_spec_dirs = ["/etc/cdi", "/var/run/cdi", "/opt/cdi"]\n')
    document = node.ok("up")
    assert verdicts(document) == {"runc": "pass"}
    seen = config(node)
    assert seen["enableCDI"] is True
    assert seen["cdiSpecDirs"] == ["/etc/cdi", "/var/run/cdi", "/opt/cdi"]
    (spec,) = [p for p in document["proofs"] if p["name"] == "CDI spec"]
    assert spec["verdict"] == "warn"
    assert "cdi generate" in spec["remedy"]


def test_mode_nri_writes_nothing(node: RealNode) -> None:
    add(node, 'mode = "nri"\n')
    node.ok("up")
    assert not (node.dropins / "k0sruntime-nvidia.toml").exists()
    assert "nothing is written" in node.run("providers").stdout
