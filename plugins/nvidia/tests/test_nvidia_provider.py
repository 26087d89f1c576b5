"""A GPU, its driver and the toolkit: all three, or a reason to rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rtoml

from k0sruntime import GPU, DropIn, Inactive, Refused, RuntimeHandler
from k0sruntime.cli.main import run
from k0sruntime.paths import Paths
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_nvidia import provider
from k0sruntime_nvidia.detect import detect
from k0sruntime_nvidia.settings import NvidiaSettings
from plugins.nvidia.tests.fake_pci import (
    AUDIO,
    H100,
    NVSWITCH,
    RADEON,
    RTX,
    install_toolkit,
    load,
    plug,
)

BOUND = GPU("0000:41:00.0", 0x10DE, 0x0302, "nvidia", "580.95.05")
TOOLKIT = "/usr/local/nvidia/toolkit/nvidia-container-runtime"
PACKAGED = "/usr/bin/nvidia-container-runtime"
ALL = [PACKAGED, f"{PACKAGED}.cdi", f"{PACKAGED}.legacy"]


def made(*, gpus=(BOUND,), executables=(PACKAGED,), contents=None, line="1.36", **settings):
    files = MadeUpFiles(contents or {}, executables=executables)
    return make_node("nvidia", NvidiaSettings(**settings), files=files, gpus=gpus, line=line)


def contributed(**facts):
    return list(provider.contribute_dropin(made(**facts)))


def handlers(parts):
    return {p.name: p.options["BinaryName"] for p in parts if isinstance(p, RuntimeHandler)}


def runtime_keys(parts):
    found = {}
    for part in parts:
        if isinstance(part, DropIn):
            found.update(part.runtime)
    return found


def checks(**facts):
    return list(provider.post_start_check(made(**facts), None))


def verdicts(**facts):
    return [check.verdict for check in checks(**facts)]


# -- handlers ---------------------------------------------------------------------------------------


def test_a_gpu_with_driver_and_toolkit_gives_the_handler_and_its_runtime_class():
    (handler,) = contributed()
    assert isinstance(handler, RuntimeHandler)
    assert (handler.name, handler.runtime_class) == ("nvidia", "nvidia")
    assert handler.options == {"BinaryName": PACKAGED}


def test_every_runtime_of_the_toolkit_is_a_handler_with_a_runtime_class_of_its_name():
    parts = contributed(executables=ALL)
    assert handlers(parts) == {
        "nvidia": PACKAGED,
        "nvidia-cdi": f"{PACKAGED}.cdi",
        "nvidia-legacy": f"{PACKAGED}.legacy",
    }
    assert [part.runtime_class for part in parts] == ["nvidia", "nvidia-cdi", "nvidia-legacy"]


def test_names_go_through_all_handlers_and_no_runtime_class_is_none_for_all():
    parts = contributed(executables=ALL, handler="gpu", runtime_class="")
    assert sorted(handlers(parts)) == ["gpu", "gpu-cdi", "gpu-legacy"]
    assert {part.runtime_class for part in parts} == {""}


def test_variants_that_are_named_must_be_there():
    assert sorted(handlers(contributed(executables=ALL, variants=["cdi"]))) == [
        "nvidia",
        "nvidia-cdi",
    ]
    assert sorted(handlers(contributed(executables=ALL, variants=[]))) == ["nvidia"]
    with pytest.raises(Refused) as raised:
        contributed(variants=["legacy"])
    assert f"{PACKAGED}.legacy is not there" in raised.value.problems[0].message


def test_the_gpu_operators_toolkit_comes_before_the_packages():
    parts = contributed(executables=(*ALL, TOOLKIT))
    assert handlers(parts) == {"nvidia": TOOLKIT}, "its variants are looked for beside it"


def test_a_toolkit_elsewhere_is_found_on_path_or_taken_from_the_settings():
    (handler,) = contributed(executables=("/usr/local/bin/nvidia-container-runtime",))
    assert list(handler.programs) == ["/usr/local/bin/nvidia-container-runtime"]
    (handler,) = contributed(executables=(), runtime="/opt/nvidia-container-runtime")
    assert handler.options["BinaryName"] == "/opt/nvidia-container-runtime"


def test_the_cgroup_driver_is_left_to_the_host():
    (handler,) = contributed()
    assert "SystemdCgroup" not in handler.options


def test_it_is_never_the_default_runtime_unless_asked():
    assert "containerd" not in runtime_keys(contributed())
    assert runtime_keys(contributed(default=True)) == {
        "containerd": {"default_runtime_name": "nvidia"}
    }


# -- modes ------------------------------------------------------------------------------------------


def test_cdi_is_switched_on_only_where_it_is_off_by_default():
    assert runtime_keys(contributed(line="1.35")) == {"enable_cdi": True}
    assert runtime_keys(contributed(line="1.36")) == {}
    assert runtime_keys(contributed(line="1.35", cdi=False)) == {}


@pytest.mark.parametrize(("line", "switch"), [("1.35", {"enable_cdi": True}), ("1.36", {})])
def test_mode_cdi_needs_no_toolkit_and_writes_the_spec_folders_alone(line, switch):
    parts = contributed(executables=(), mode="cdi", line=line)
    assert not handlers(parts)
    assert runtime_keys(parts) == {"cdi_spec_dirs": ["/etc/cdi", "/var/run/cdi"], **switch}


def test_mode_nri_writes_nothing_and_says_so():
    with pytest.raises(Inactive, match=r'mode = "nri".*nothing is written$'):
        contributed(mode="nri")
    with pytest.raises(Inactive, match=r"nothing is written; containerd 1.7 has NRI off"):
        contributed(mode="nri", line="1.35")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"runtime": "nvidia-container-runtime"}, "must be an absolute path"),
        ({"driver_root": "run/nvidia/driver"}, "must be an absolute path"),
        ({"cdi_spec_dirs": ["etc/cdi"]}, "no absolute path"),
        ({"cdi_spec_dirs": []}, "must name a folder"),
        ({"mode": "cdi", "default": True}, "needs a handler"),
        ({"mode": "nri", "default": True}, "needs a handler"),
        ({"mode": "cdi", "cdi": False}, "contradict"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        NvidiaSettings(**settings)


# -- detection --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"gpus": ()}, "no NVIDIA GPU on the PCI bus"),
        ({"gpus": (GPU("0", 0x1002, 0x0300, "amdgpu"),)}, "no NVIDIA GPU on the PCI bus"),
        ({"gpus": (BOUND._replace(device_class=0x0403),)}, "no NVIDIA GPU on the PCI bus"),
        ({"gpus": (BOUND._replace(driver="vfio-pci"),)}, "bound to vfio-pci"),
        ({"gpus": (BOUND._replace(driver=""),)}, "bound to no driver.*: install the NVIDIA driver"),
        (
            {"executables": ()},
            "in /usr/local/nvidia/toolkit.*: install the NVIDIA container toolkit",
        ),
        ({"gpu": "no"}, 'gpu = "no"'),
        ({"gpu": "no", "mode": "cdi"}, 'gpu = "no"'),
        ({"gpus": (), "mode": "nri"}, "no NVIDIA GPU"),
    ],
)
def test_it_rests_and_says_why(facts, reason):
    with pytest.raises(Inactive, match=reason):
        contributed(**facts)


def test_the_operators_word_counts_more_than_the_bus():
    assert contributed(gpus=(), gpu="yes")


def test_one_gpu_with_the_driver_is_enough_where_others_are_for_virtual_machines():
    passed_through = BOUND._replace(address="0000:42:00.0", driver="vfio-pci")
    assert contributed(gpus=(passed_through, BOUND))


def test_the_gpu_of_a_windows_host_counts():
    assert contributed(gpus=(), contents={"/dev/dxg": ""})
    assert checks(gpus=(), contents={"/dev/dxg": ""})[0].verdict == "pass"


def test_the_module_tells_the_version_and_the_line_in_proc_where_it_does_not():
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12\nGCC version:"
    both = {"/sys/module/nvidia/version": "580.95.05\n", "/proc/driver/nvidia/version": line}
    assert detect(made(contents=both)).driver_version == "580.95.05"
    del both["/sys/module/nvidia/version"]
    assert detect(made(contents=both)).driver_version == "535.183.01"
    assert detect(made()).driver_version == ""


def test_the_operators_driver_root_is_found_by_what_lies_in_it():
    empty = detect(made(contents={"/run/nvidia/driver/.keep": ""}))
    assert (empty.driver_root, empty.operator_managed) == ("/", False)
    used = {
        "/run/nvidia/driver/usr/bin/nvidia-smi": "",
        "/run/nvidia/driver/dev/nvidia0": "",
        "/run/nvidia/driver/dev/nvidiactl": "",
    }
    found = detect(made(contents=used))
    assert (found.driver_root, found.operator_managed) == ("/run/nvidia/driver", True)
    assert found.device_nodes == (
        "/run/nvidia/driver/dev/nvidia0",
        "/run/nvidia/driver/dev/nvidiactl",
    )
    assert detect(made(driver_root="/opt/driver", contents=used)).driver_root == "/opt/driver"


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({}, ["fail", "warn"]),
        (
            {"/proc/driver/nvidia/version": "NVRM version: 570", "/dev/nvidiactl": ""},
            ["pass", "pass"],
        ),
        ({"/proc/driver/nvidia/version": "NVRM", "/dev/nvidia3": ""}, ["pass", "pass"]),
        ({"/proc/driver/nvidia/version": "NVRM", "/dev/nvidia-uvm": ""}, ["pass", "warn"]),
        ({"/sys/module/nvidia/version": "580.95.05", "/dev/nvidia0": ""}, ["pass", "pass"]),
    ],
)
def test_the_check_looks_for_the_driver_and_its_device_nodes(contents, expected):
    assert verdicts(contents=contents) == expected


def test_a_driver_that_comes_later_by_the_operators_word_takes_nothing_back():
    assert verdicts(gpu="yes") == ["warn", "warn"]


# -- CDI specs --------------------------------------------------------------------------------------

LOADED = {
    "/sys/module/nvidia/version": "580.95.05\n",
    "/dev/nvidia0": "",
    "/dev/nvidia1": "",
    "/dev/nvidiactl": "",
}


def spec(version="580.95.05", devices=(0, 1), kind="nvidia.com/gpu"):
    nodes = "".join(f"    - path: /dev/nvidia{number}\n" for number in devices)
    return (
        f"---\ncdiVersion: 0.5.0\nkind: {kind}\ndevices:\n- name: all\n  containerEdits:\n"
        f"    deviceNodes:\n{nodes}containerEdits:\n  mounts:\n"
        f"  - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.{version}\n"
    )


def the_spec(**facts):
    (check,) = [c for c in checks(mode="cdi", executables=(), **facts) if c.name == "CDI spec"]
    return check


def test_a_spec_that_is_missing_is_told_with_the_command_that_makes_one():
    check = the_spec(contents=LOADED)
    assert check.verdict == "warn"
    assert "no spec of NVIDIA's in /etc/cdi, /var/run/cdi" in check.detail
    assert check.remedy.endswith("run nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml")


def test_the_command_has_the_operators_driver_root_and_the_toolkits_own_path():
    ctk = "/usr/local/nvidia/toolkit/nvidia-ctk"
    contents = {**LOADED, "/run/nvidia/driver/usr/bin/nvidia-smi": ""}
    node = made(mode="cdi", executables=(ctk,), contents=contents)
    (check,) = [c for c in provider.post_start_check(node, None) if c.name == "CDI spec"]
    assert f"{ctk} cdi generate --driver-root=/run/nvidia/driver --output=" in check.remedy


def test_a_spec_that_fits_passes_whether_yaml_or_json():
    path = "/var/run/cdi/nvidia.yaml"
    assert the_spec(contents={**LOADED, path: spec()}).verdict == "pass"
    text = json.dumps({"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0"}]})
    check = the_spec(contents={**LOADED, "/etc/cdi/nvidia.json": text})
    assert (check.verdict, check.detail) == ("pass", "/etc/cdi/nvidia.json (nvidia.com/gpu)")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (spec("570.124.06"), "made for the driver 570.124.06, and 580.95.05 is loaded"),
        (spec(devices=(0, 1, 2)), "names /dev/nvidia2, which is not there"),
        (spec(devices=(0,)), "does not name /dev/nvidia1"),
        ('{"kind": "nvidia.com/gpu", "devices": [{"na', "no CDI spec: it cannot be read"),
        ("cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n", "no CDI spec: it names no device"),
        ("kind: nvidia.com/gpu\ndevices:\n- name: all\n", "no CDI spec: it has no cdiVersion"),
    ],
)
def test_a_spec_that_does_not_fit_the_node_any_more_is_stale(text, why):
    check = the_spec(contents={**LOADED, "/etc/cdi/nvidia.yaml": text})
    assert check.verdict == "warn"
    assert why in check.detail
    assert check.remedy == "Run nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"


def test_gpus_may_be_told_in_a_spec_each():
    each = {f"/etc/cdi/gpu{n}.yaml": spec(devices=(n,)) for n in (0, 1)}
    found = checks(mode="cdi", executables=(), contents={**LOADED, **each})
    assert [c.verdict for c in found if c.name == "CDI spec"] == ["pass", "pass"]


def test_the_handler_that_reads_specs_needs_one_too():
    found = checks(contents=LOADED, executables=ALL)
    assert [c.verdict for c in found if c.name == "CDI spec"] == ["warn"]
    assert not [c for c in checks(contents=LOADED) if c.name == "CDI spec"]


def test_specs_of_others_are_not_ours_to_judge():
    other = {
        "/etc/cdi/intel.yaml": "# kind: nvidia.com/gpu\nkind: intel.com/gpu\n",
        "/etc/cdi/README": "nvidia.com/gpu",
    }
    assert "no spec" in the_spec(contents={**LOADED, **other}).detail


# -- a fake PCI bus, through the command line --------------------------------------------------------


@pytest.fixture(autouse=True)
def _the_fake_bus_is_the_nodes_own(monkeypatch):
    """Of an image's root no GPU is the node's; here it stands for the root of a machine that runs."""
    monkeypatch.setattr(Paths, "elsewhere", property(lambda _: False))


def node_root(tmp_path: Path, k0s: str = "1.36", settings: str = "") -> Path:
    root = tmp_path / "node"
    file = root / "etc/k0sruntime/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'[node]\nk0s = "{k0s}"\nmode = "managed"\n{settings}')
    return root


def told(root: Path, capsys, *command: str):
    run([*command, "--root", str(root), "--json", "--without", "gvisor", "--without", "dockerd"])
    return json.loads(capsys.readouterr().out)


def state(root: Path, capsys) -> tuple[str, str]:
    document = told(root, capsys, "providers")
    (record,) = [r for r in document["providers"] if r["name"] == "nvidia"]
    return record["state"], record["reason"]


@pytest.mark.parametrize(
    ("card", "driver", "reason"),
    [
        (RADEON, "amdgpu", "no NVIDIA GPU on the PCI bus"),
        (AUDIO, "snd_hda_intel", "no NVIDIA GPU on the PCI bus"),
        (NVSWITCH, "nvidia-nvswitch", "no NVIDIA GPU on the PCI bus"),
        (H100, "vfio-pci", "bound to vfio-pci"),
        (RTX, "nouveau", "bound to nouveau"),
        (H100, "", "bound to no driver"),
        (H100, "nvidia", "no nvidia-container-runtime in"),
    ],
)
def test_a_card_of_the_fake_bus_is_told_by_vendor_class_and_driver(
    tmp_path, capsys, card, driver, reason
):
    root = node_root(tmp_path)
    plug(root, card, driver=driver)
    found = state(root, capsys)
    assert found[0] == "inactive"
    assert reason in found[1]


@pytest.mark.parametrize("card", [H100, RTX])
@pytest.mark.parametrize(
    ("line", "plugin", "version"),
    [("1.36", "io.containerd.cri.v1.runtime", 3), ("1.35", "io.containerd.grpc.v1.cri", 2)],
)
def test_a_gpu_on_the_fake_bus_gives_a_drop_in_for_the_line(
    tmp_path, capsys, card, line, plugin, version
):
    root = node_root(tmp_path, line)
    plug(root, AUDIO, slot="0000:41:00.1", driver="snd_hda_intel")
    plug(root, card)
    load(root)
    install_toolkit(root, "/usr/local/nvidia/toolkit", "cdi", "legacy")
    assert run(["up", "--root", str(root), "--without", "mirrors"]) == 0
    text = (root / "etc/k0s/containerd.d/k0sruntime-nvidia.toml").read_text()
    document = rtoml.loads(text)
    assert document["version"] == version
    runtime = document["plugins"][plugin]
    assert runtime.get("enable_cdi", False) is (line == "1.35")
    assert "default_runtime_name" not in runtime["containerd"]
    assert {n: t["options"] for n, t in runtime["containerd"]["runtimes"].items()} == {
        "nvidia": {"BinaryName": TOOLKIT},
        "nvidia-cdi": {"BinaryName": f"{TOOLKIT}.cdi"},
        "nvidia-legacy": {"BinaryName": f"{TOOLKIT}.legacy"},
    }


def test_the_modules_version_is_a_fact_of_the_gpu(tmp_path):
    from k0sruntime.facts import ask_programs, observe_node
    from k0sruntime.node_provider import NodeSettings

    root = tmp_path / "node"
    plug(root, H100)
    plug(root, RADEON, slot="0000:02:00.0", driver="amdgpu")
    load(root, "570.124.06")
    paths, settings = Paths(root=str(root)), NodeSettings(k0s="1.36")
    node = observe_node(paths, settings, ask_programs(paths, settings))
    assert [(gpu.driver, gpu.driver_version) for gpu in node.gpus] == [
        ("amdgpu", ""),
        ("nvidia", "570.124.06"),
    ]
