"""NVIDIA's handlers on the real containerd, without a GPU: the toolkit's programs are fakes.

``fake_runtime`` lays programs of the toolkit's names that hand everything to the real runc, as the
toolkit's do for a container that asks for no GPU. Configuration, sandboxes and drop-ins are real.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rtoml

from k0sruntime.cri import CRI
from k0sruntime.errors import CRIError
from k0sruntime_nvidia import operator_values
from tests import nvidia_ctk_stand_in as ctk
from tests.real.conftest import CONTAINERDS, IMAGE, LAB, ROOT, RealNode, _node
from tests.real.test_managed import LINES, _worker

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

WITHOUT_SYSTEMD = f"""#!/bin/sh
for word do
  shift
  [ "$word" = --systemd-cgroup ] || set -- "$@" "$word"
done
exec {LAB}/bin/runc "$@"
"""


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


@pytest.mark.parametrize("default", [False, True])
def test_nvidias_runtime_has_the_cgroup_driver_of_runc_whichever_is_the_default(
    node: RealNode, tmp_path: Path, default: bool
) -> None:
    """No systemd runs here: the fakes leave out its flag, containerd itself knows no better."""
    runtime = fake_runtime(tmp_path / "toolkit", "runc", *NAMES)
    for name in ("runc", *NAMES):
        (tmp_path / "toolkit" / name).write_text(WITHOUT_SYSTEMD)
    node.write_settings(
        f'{SETTINGS}runtime = "{runtime.parent / NAMES[0]}"\ndefault = {str(default).lower()}\n'
        f'[node.handlers.runc]\nbinary = "{tmp_path / "toolkit/runc"}"\n'
        "options = { SystemdCgroup = true }\n"
    )
    assert set(verdicts(node.ok("up")).values()) == {"pass"}
    runtimes = config(node)["containerd"]["runtimes"]
    assert {name: table["options"]["SystemdCgroup"] for name, table in runtimes.items()} == {
        "nvidia": True,
        "nvidia-cdi": True,
        "nvidia-legacy": True,
        "runc": True,
    }
    with CRI(str(node.socket)) as cri:
        told, _ = cri.cgroup_driver()
    assert told == ("" if node.containerd == CONTAINERDS["1.7"] else "systemd")


# -- beside NVIDIA's toolkit ------------------------------------------------------------------------


def toolkit_writes(node: RealNode, **how: Any) -> Path:
    """Have the toolkit's stand-in write its drop-in from what this containerd really says."""
    if how.get("kind") == "command":
        said = subprocess.run(
            [node.containerd, "config", "default"], capture_output=True, text=True, check=True
        )
        source = rtoml.loads(said.stdout)
        source["version"] = how.pop("version", source["version"])
    else:
        source = rtoml.loads((node.folder / "etc/k0s/containerd.toml").read_text())
        source["version"] = how.pop("version", source["version"])
    runtime = node.settings.read_text().split('runtime = "')[1].split('"')[0]
    path = node.dropins / "nvidia.toml"
    path.write_text(ctk.drop_in(source, folder=str(Path(runtime).parent), **how))
    return path


@pytest.mark.parametrize("how", [{"kind": "file", "cdi": True}, {"kind": "command"}])
def test_handlers_of_the_toolkit_are_proved_and_left_to_it(node: RealNode, how: dict) -> None:
    node.ok("up")
    path = toolkit_writes(node, **how)
    if how["kind"] == "command":  # its copy undoes what the sandbox needs
        assert node.ok("quarantine", "--repair", str(path))["files"][0]["repaired"]
    document = node.ok("up")
    assert verdicts(document)["nvidia-legacy"] == "pass"
    ours = node.dropins / "k0sruntime-nvidia.toml"
    if node.containerd == CONTAINERDS["1.7"] and "cdi" not in how:  # it resolves no CDI device
        assert "enable_cdi = true" in ours.read_text()
        assert "runtimes" not in ours.read_text()
        said = node.run("plan").stdout
    else:
        assert not ours.exists()
        said = node.run("providers").stdout
    assert f"those of {path}" in said
    assert node.run("explain", "containerd.runtimes.nvidia.runtime_type").stdout.count(str(path))


def test_a_quarantined_file_is_replaced_by_our_handlers(node: RealNode) -> None:
    node.ok("up")
    path = toolkit_writes(node, kind="file")
    node.ok("up")
    done = node.ok("quarantine", str(path))
    document = node.ok("up")
    assert {p["handler"]: p["provider"] for p in document["proofs"] if p["handler"]} == {
        "nvidia": "nvidia",
        "nvidia-cdi": "nvidia",
        "nvidia-legacy": "nvidia",
        "runc": "containerd",
    }
    assert set(verdicts(document).values()) == {"pass"}
    assert Path(done["files"][0]["kept"]).exists()
    assert not path.exists()


@pytest.mark.parametrize(("kind", "version"), [("file", 2), ("command", 4)])
def test_a_file_that_would_kill_containerd_is_refused_and_put_right(
    node_2: RealNode, tmp_path: Path, kind: str, version: int
) -> None:
    node_2.without = OTHERS
    runtime = fake_runtime(tmp_path / "toolkit")
    node_2.write_settings(f'{SETTINGS}runtime = "{runtime}"\n')
    node_2.ok("up")
    path = toolkit_writes(node_2, kind=kind, version=version)
    refused = node_2.run("up")
    assert refused.returncode == 3
    assert f"k0sruntime quarantine [--repair] {path}" in refused.stderr
    with CRI(str(node_2.socket)) as cri:
        assert cri.handlers(), "what ran goes on running"
    node_2.ok("quarantine", "--repair", str(path))
    document = node_2.ok("up")
    assert set(verdicts(document).values()) == {"pass"}


def test_the_real_containerd_refuses_the_file_of_version_4_that_we_refuse(
    node_2: RealNode, tmp_path: Path
) -> None:
    """The refusal is containerd's own: ``config dump`` reads the same folder."""
    node_2.without = OTHERS
    runtime = fake_runtime(tmp_path / "toolkit")
    node_2.write_settings(f'{SETTINGS}runtime = "{runtime}"\n')
    node_2.ok("up")
    toolkit_writes(node_2, kind="file", version=4)
    main = node_2.folder / "etc/k0s/containerd.toml"
    done = subprocess.run(
        [node_2.containerd, "--config", main, "config", "dump"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "version" in done.stderr


@pytest.mark.parametrize(("line", "release"), [("1.36", "1.20"), ("1.35", "1.19")])
def test_what_the_operator_writes_with_our_values_is_loaded_and_runs_sandboxes(
    folder: Path, line: str, release: str
) -> None:
    for node in _node(folder, LINES[line][1]):
        node.without = OTHERS
        node.write_settings(SETTINGS)
        node.ok("up")
        fake_runtime(folder / "usr/local/nvidia/toolkit")
        values = operator_values.wanted(
            line, "nvidia", default=False, drop_in=operator_values.DROPIN
        )
        env = {name: value for name, value, _ in operator_values.environment(values)}
        main = (folder / "etc/k0s/containerd.toml").read_bytes()
        place = f"{folder}{ctk.FOLDER}"
        ctk.install(env, folder, {}, release=release, folder=place)
        assert (folder / "etc/k0s/containerd.toml").read_bytes() == main
        document = node.ok("up")
        assert verdicts(document) == {
            "nvidia": "pass",
            "nvidia-cdi": "pass",
            "nvidia-legacy": "pass",
            "runc": "pass",
        }
        seen = config(node)
        assert seen["enableCDI"] is True
        assert seen["containerd"]["defaultRuntimeName"] == "runc"


# -- beside NVIDIA's toolkit, under k0s -------------------------------------------------------------


def test_a_node_that_the_toolkit_has_stopped_comes_back_with_our_handlers(
    folder: Path, tmp_path: Path
) -> None:
    """k0s 1.36 bounces blindly, and containerd dies of the file every five seconds."""
    for worker in _worker(folder, "1.36"):
        node = worker.node
        node.without = OTHERS
        runtime = fake_runtime(tmp_path / "toolkit")
        add(node, f'[nvidia]\ngpu = "yes"\nruntime = "{runtime}"\n')
        worker.start()
        source = rtoml.loads(
            (ROOT / "tests/data/nvidia-ctk/1.20-command-version-4.toml").read_text()
        )
        path = node.dropins / "nvidia.toml"
        path.write_text(rtoml.dumps(source).replace(ctk.FOLDER, str(runtime.parent)))
        deadline = time.monotonic() + 20
        while node.socket.exists() and time.monotonic() < deadline and answers(node):
            time.sleep(0.2)
        assert not answers(node), "the toolkit's file has stopped the node"
        refused = node.run("up")
        assert refused.returncode == 3
        assert f"k0sruntime quarantine [--repair] {path}" in refused.stderr
        node.ok("quarantine", str(path))
        document = node.ok("up")
        passed = {h for h, verdict in verdicts(document).items() if verdict == "pass"}
        assert {"nvidia", "nvidia-cdi", "nvidia-legacy", "runc"} <= passed


def answers(node: RealNode) -> bool:
    try:
        with CRI(str(node.socket)) as cri:
            return bool(cri.runtime())
    except CRIError:
        return False
