"""``k0sruntime-nvidia``: values for the GPU operator, and the state of the node."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
import rtoml
import yaml

from k0sruntime import GPU, ForeignFile
from k0sruntime.cli.main import run as k0sruntime
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_nvidia import cli, nvml, provider, status
from k0sruntime_nvidia.provider import NvidiaSettings
from plugins.nvidia.tests.test_nvidia_provider import ALL, BOUND, LOADED, spec
from tests import nvidia_ctk_stand_in as ctk

MAINS = {
    "1.36": 'version = 3\nimports = ["/etc/k0s/containerd.d/*.toml"]\n'
    '[plugins."io.containerd.cri.v1.images".pinned_images]\nsandbox = "pause"\n'
    '[plugins."io.containerd.cri.v1.runtime"]\n',
    "1.35": 'version = 2\nimports = ["/run/k0s/containerd-cri.toml"]\n',
}
"""k0s's own main files, without the marker."""
DUMPED = {
    "version": 4,
    "plugins": {ctk.CRI_3: {"enable_selinux": False, "containerd": {"runtimes": {"runc": {}}}}},
}
"""What containerd 2.3 says when it is asked."""
TOLD_AROUND = {
    "RUNTIME_CONFIG": "/tmp/nvidia-operator-dummy-import.toml",
    "RUNTIME_DROP_IN_CONFIG": "/etc/k0s/containerd.d/nvidia.toml",
    "CONTAINERD_SET_AS_DEFAULT": "false",
}
"""Values that one reads in guides, and that stop a node of k0s 1.36."""


def node_of(tmp_path: Path, line: str) -> Path:
    main = tmp_path / "etc/k0s/containerd.toml"
    main.parent.mkdir(parents=True)
    main.write_text(f"# k0s_managed=true\n{MAINS[line]}")
    return tmp_path


def printed(capsys, *arguments: str) -> dict:
    assert cli.run(["operator-values", *arguments]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def env(values: dict) -> dict[str, str]:
    listed = values["toolkit"]["env"]
    found = {item["name"]: item["value"] for item in listed}
    assert len(found) == len(listed)
    return found


# -- operator-values --------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "version"), [("1.36", 3), ("1.35", 2)])
def test_with_the_printed_values_the_toolkit_writes_what_the_line_can_load(
    tmp_path, capsys, line, version
):
    values = printed(capsys, "--k0s", line)
    assert values["cdi"] == {"enabled": True}
    host = node_of(tmp_path, line)
    before = (host / "etc/k0s/containerd.toml").read_text()
    ctk.install(env(values), host, DUMPED)
    assert (host / "etc/k0s/containerd.toml").read_text() == before, "k0s's own file is left alone"
    dropin = host / "etc/k0s/containerd.d/nvidia.toml"
    document = rtoml.loads(dropin.read_text())
    assert document["version"] == version
    (plugin,) = document["plugins"]
    table = document["plugins"][plugin]
    assert set(table) == {"containerd"} | ({"enable_cdi"} if line == "1.35" else set())
    assert "default_runtime_name" not in table["containerd"]
    assert k0sruntime(["lint", "--k0s", line, str(host / "etc/k0s")]) == 0


def test_without_them_it_stops_a_node_of_1_36(tmp_path):
    host = node_of(tmp_path, "1.36")
    ctk.install(TOLD_AROUND, host, DUMPED)
    assert k0sruntime(["lint", "--k0s", "1.36", str(host / "etc/k0s")]) == 3


def test_what_they_write_can_be_loaded_by_the_provider_as_the_toolkits(tmp_path, capsys):
    from k0sruntime_nvidia.written import recognise

    host = node_of(tmp_path, "1.36")
    ctk.install(env(printed(capsys, "--k0s", "1.36")), host, DUMPED)
    text = (host / "etc/k0s/containerd.d/nvidia.toml").read_text()
    file = ForeignFile("/etc/k0s/containerd.d/nvidia.toml", rtoml.loads(text))
    assert recognise(file, "/etc/k0s/containerd.toml")


def test_names_and_the_default_are_the_operators_choice(capsys):
    values = printed(
        capsys,
        *("--k0s", "v1.36.3+k0s.0", "--handler", "gpu", "--default"),
        *("--drop-in", "/etc/k0s/containerd.d/90-gpu.toml"),
    )
    assert values["operator"]["runtimeClass"] == "gpu"
    found = env(values)
    assert found["CONTAINERD_RUNTIME_CLASS"] == "gpu"
    assert found["NVIDIA_RUNTIME_SET_AS_DEFAULT"] == "true"
    assert found["RUNTIME_DROP_IN_CONFIG"] == "/etc/k0s/containerd.d/90-gpu.toml"


@pytest.mark.parametrize("default", [True, False])
def test_the_default_is_what_was_asked_for_whatever_the_operator_says_for_cdi(
    tmp_path, capsys, default
):
    values = printed(capsys, "--k0s", "1.36", *(["--default"] if default else []))
    host = node_of(tmp_path, "1.36")
    ctk.install(ctk.as_the_operator_starts_it(env(values), cdi=True), host, DUMPED)
    text = (host / "etc/k0s/containerd.d/nvidia.toml").read_text()
    assert ('default_runtime_name = "nvidia"' in text) is default


def test_the_operators_toolkit_can_be_left_out(capsys):
    values = printed(capsys, "--k0s", "1.36", "--no-toolkit")
    assert values["toolkit"] == {"enabled": False}
    assert values["cdi"] == {"enabled": True}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--k0s", "1.26"], "no k0s line with drop-ins"),
        (["--k0s", "newest"], "no k0s line with drop-ins"),
        (["--k0s", "1.36", "--handler", "A B"], "'A B' is no name of a handler"),
        (["--k0s", "1.36", "--handler", "../x"], "'../x' is no name of a handler"),
        (["--k0s", "1.36", "--drop-in", "/etc/containerd/conf.d/99-nvidia.toml"], "nothing else"),
        (["--k0s", "1.36", "--drop-in", "/etc/k0s/containerd.d/nvidia"], "nothing else"),
        (["--k0s", "1.36", "--drop-in", "/etc/k0s/containerd.d/k0sruntime-x.toml"], "own names"),
    ],
)
def test_values_that_could_not_work_are_refused(capsys, arguments, said):
    assert cli.run(["operator-values", *arguments]) == 3
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_the_line_must_be_named(capsys):
    assert cli.run(["operator-values"]) == 2
    assert "--k0s" in capsys.readouterr().err


# -- status -----------------------------------------------------------------------------------------

TOLD = nvml.Told("580.95.05", (("0000:41:00.0", "NVIDIA H100 80GB HBM3"),))


def seen(told=None, contents=None, foreign=(), gpus=(BOUND,)):
    files = MadeUpFiles({**LOADED, **(contents or {})}, executables=ALL)
    node = make_node("nvidia", NvidiaSettings(), files=files, gpus=gpus, foreign=foreign)
    return status.look(node, told)


def test_the_state_is_told_without_the_library():
    text = "\n".join(status.lines(seen()))
    assert "GPU       0000:41:00.0  nvidia\n" in text
    assert "driver    580.95.05, its files in /\n" in text
    assert "/dev/nvidia0, /dev/nvidia1, /dev/nvidiactl" in text
    assert f"toolkit   {', '.join(ALL)}" in text
    assert "make one: nvidia-ctk cdi generate" in text
    assert "NVML" not in text


def test_the_library_adds_names_where_it_is_installed():
    assert "0000:41:00.0  NVIDIA H100 80GB HBM3, nvidia" in "\n".join(status.lines(seen(TOLD)))
    document = status.document(seen(TOLD))
    assert document["gpus"][0]["name"] == "NVIDIA H100 80GB HBM3"
    assert document["driver"]["version"] == "580.95.05"
    problem = nvml.Told(problem="NVML Shared Library Not Found")
    assert "NVML      says nothing: NVML Shared Library" in "\n".join(status.lines(seen(problem)))


def test_specs_and_files_of_the_toolkit_are_told_with_what_to_do():
    path = "/etc/k0s/containerd.d/nvidia.toml"
    file = ForeignFile(path, rtoml.loads(ctk.drop_in(DUMPED, kind="command")))
    stale = {"/etc/cdi/nvidia.yaml": spec("570.124.06")}
    found = seen(contents=stale, foreign=(file,))
    text = "\n".join(status.lines(found))
    assert "/etc/cdi/nvidia.yaml (nvidia.com/gpu): it is made for the driver 570.124.06" in text
    assert f"{path} (version 4, a frozen copy of 1 keys of the CRI table)" in text
    assert f"k0sruntime quarantine --repair {path}" in text
    document = status.document(found)
    assert document["cdi"]["specs"][0]["stale"]
    assert document["toolkit_files"][0]["handlers"] == ["nvidia", "nvidia-cdi", "nvidia-legacy"]


def test_a_node_without_a_gpu_says_so():
    text = "\n".join(status.lines(status.look(make_node("nvidia", NvidiaSettings()), None)))
    assert "none on the PCI bus" in text
    assert "driver    not loaded" in text


def test_the_command_looks_at_this_machine(tmp_path, capsys):
    assert cli.run(["status", "--sandbox", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["mode"]) == ("NvidiaStatus", "runtimeclass")
    assert cli.run(["status", "--sandbox", str(tmp_path)]) == 0


def test_settings_that_are_wrong_are_an_error_of_the_command(tmp_path, capsys):
    file = tmp_path / "etc/k0sruntime/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[nvidia]\nmode = "gpu"\n')
    assert cli.run(["status", "--sandbox", str(tmp_path), "--json"]) == 3
    captured = capsys.readouterr()
    assert "mode" in captured.err
    assert json.loads(captured.out)["exit_code"] == 3


# -- the library ------------------------------------------------------------------------------------


class FakeNVMLError(Exception):
    pass


def fake_library(**changes) -> types.ModuleType:
    """A fake of pynvml: nvidia-ml-py needs a driver."""
    library = types.ModuleType("pynvml")
    found = {
        "NVMLError": FakeNVMLError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda number: number,
        "nvmlDeviceGetPciInfo": lambda _: types.SimpleNamespace(busId="00000000:41:00.0"),
        "nvmlDeviceGetName": lambda _: "NVIDIA H100 80GB HBM3",
        "nvmlSystemGetDriverVersion": lambda: b"580.95.05",
        **changes,
    }
    for name, value in found.items():
        setattr(library, name, value)
    return library


def test_the_library_is_asked_only_where_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.ask() is None
    monkeypatch.setitem(sys.modules, "pynvml", fake_library())
    assert nvml.ask() == TOLD
    assert nvml.ask().name(GPU("0000:41:00.0", 0, 0, "").address) == "NVIDIA H100 80GB HBM3"


def test_the_proof_has_the_names_where_the_library_is_installed(monkeypatch):
    node = make_node("nvidia", NvidiaSettings(), files=MadeUpFiles(LOADED), gpus=(BOUND,))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert next(iter(provider.post_start_check(node, None))).detail == "580.95.05 is loaded"
    monkeypatch.setitem(sys.modules, "pynvml", fake_library())
    check = next(iter(provider.post_start_check(node, None)))
    assert check.detail == "580.95.05 is loaded; NVIDIA H100 80GB HBM3"


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetName"])
def test_a_library_that_fails_is_told_and_stops_nothing(monkeypatch, function):
    def fails(*_):
        raise FakeNVMLError("Driver Not Loaded")

    monkeypatch.setitem(sys.modules, "pynvml", fake_library(**{function: fails}))
    assert nvml.ask() == nvml.Told(problem="Driver Not Loaded")
