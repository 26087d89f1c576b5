"""A file and its rewritten self load the same in the containerd of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k0sruntime import toml
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.migrate import migrate
from tests.migrate.conftest import BINARIES, Dump
from tests.migrate.test_properties import CRI_2, spelled

pytestmark = pytest.mark.real

OLD = f"""\
version = 2
[plugins."{CRI}"]
  sandbox_image = "mirror.local/pause:3.9"
  enable_cdi = true
  enable_unprivileged_ports = true
  max_concurrent_downloads = 7
  [plugins."{CRI}".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."{CRI}".containerd]
    default_runtime_name = "nvidia"
    snapshotter = "native"
    discard_unpacked_layers = true
    [plugins."{CRI}".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."{CRI}".containerd.runtimes.runc.options]
        SystemdCgroup = true
    [plugins."{CRI}".containerd.runtimes.nvidia]
      runtime_type = "io.containerd.runc.v2"
      privileged_without_host_devices = false
      container_annotations = ["cdi.k8s.io/*"]
      options = {{ BinaryName = "/usr/bin/nvidia-container-runtime", SystemdCgroup = true }}
    [plugins."{CRI}".containerd.runtimes.runsc]
      runtime_type = "io.containerd.runsc.v1"
      pod_annotations = ["dev.gvisor.*"]
      sandbox_mode = "podsandbox"
      [plugins."{CRI}".containerd.runtimes.runsc.options]
        TypeUrl = "io.containerd.runsc.v1.options"
        ConfigPath = "/etc/k0s/runsc.toml"
    [plugins."{CRI}".containerd.runtimes.kata-qemu]
      runtime_type = "io.containerd.kata-qemu.v2"
      runtime_path = "/opt/kata/bin/containerd-shim-kata-v2"
      snapshotter = "nydus"
  [plugins."{CRI}".registry]
    config_path = "/etc/k0s/containerd.d/certs.d"
[plugins."io.containerd.internal.v1.restart"]
  interval = "11s"
[plugins."io.containerd.monitor.v1.cgroups"]
  no_prometheus = true
"""

NEW = f"""\
version = 3
plugins."{RUNTIME}".enable_cdi = false
[plugins."{RUNTIME}".containerd.runtimes]
runc = {{ runtime_type = "io.containerd.runc.v2", options = {{ SystemdCgroup = true }} }}
crun.runtime_type = "io.containerd.runc.v2"
crun.options.BinaryName = "/usr/bin/crun"
[plugins."{RUNTIME}".containerd.runtimes.kata]
runtime_type = "io.containerd.kata.v2"
sandboxer = "shim"
[plugins."{RUNTIME}".cni]
bin_dirs = ["/opt/cni/bin"]
[plugins."{IMAGES}"]
snapshotter = "native"
pinned_images.sandbox = "mirror.local/pause:3.9"
registry.config_path = "/etc/k0s/containerd.d/certs.d"
"""

HANDLER_KEYS = (
    "runtime_type", "runtime_path", "pod_annotations", "container_annotations", "snapshotter",
    "privileged_without_host_devices", "base_runtime_spec", "options",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _both() -> None:
    for binary in BINARIES.values():
        if not binary.exists():
            pytest.skip(f"{binary} is missing: run `make lab`")


def tables(dump: dict[str, Any], schema: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the runtime and the images table of a dump."""
    plugins = dump["plugins"]
    return (plugins[CRI], plugins[CRI]) if schema == 2 else (plugins[RUNTIME], plugins[IMAGES])


def view(dump: dict[str, Any], schema: int, names: set[str]) -> dict[str, Any]:
    """Return what both containerds must agree on, in one form for both schemas."""
    runtime, images = tables(dump, schema)
    containerd = runtime["containerd"]
    folders = runtime["cni"]["bin_dir"] if schema == 2 else runtime["cni"]["bin_dirs"][0]
    return {
        "handlers": {name: handler(containerd["runtimes"][name], schema) for name in names},
        "default": containerd["default_runtime_name"],
        "snapshotter": containerd["snapshotter"] if schema == 2 else images["snapshotter"],
        "pause": images["sandbox_image"] if schema == 2 else images["pinned_images"]["sandbox"],
        "registry": images["registry"]["config_path"],
        "downloads": images["max_concurrent_downloads"],
        "cdi": runtime["enable_cdi"],
        "cni": (folders, runtime["cni"]["conf_dir"]),
    }


def handler(table: dict[str, Any], schema: int) -> dict[str, Any]:
    """Return a handler without what only one containerd fills in by itself."""
    found = {key: table[key] for key in HANDLER_KEYS if table.get(key)}
    # 1.7 fills runc's options with zeros; a zero is the same as a key that is not there.
    found["options"] = {key: value for key, value in table.get("options", {}).items() if value}
    found["sandboxer"] = table["sandbox_mode" if schema == 2 else "sandboxer"] or "podsandbox"
    return found


def test_a_file_of_schema_2_loads_the_same_handlers_in_containerd_2(dump: Dump) -> None:
    result = migrate(OLD, 3)
    names = {"runc", "nvidia", "runsc", "kata-qemu"}
    before, after = dump(OLD, 2), dump(result.text, 3)
    assert view(after, 3, names) == view(before, 2, names)
    assert after["plugins"]["io.containerd.monitor.container.v1.restart"] == {"interval": "11s"}
    assert after["plugins"]["io.containerd.monitor.task.v1.cgroups"] == {"no_prometheus": True}


def test_a_file_of_schema_3_loads_the_same_handlers_in_containerd_1_7(dump: Dump) -> None:
    result = migrate(NEW, 2)
    names = {"runc", "crun", "kata"}
    assert view(dump(result.text, 2), 2, names) == view(dump(NEW, 3), 3, names)


@pytest.mark.parametrize(("text", "schema"), [(OLD, 2), (NEW, 3)])
def test_there_and_back_loads_the_same_as_before(dump: Dump, text: str, schema: Any) -> None:
    there = migrate(text, 5 - schema).text
    back = migrate(there, schema).text
    assert dump(back, schema) == dump(text, schema)


def test_our_rewriting_loads_as_containerds_own_migration_does(dump: Dump) -> None:
    """Containerd 2 reads a file of version 2 itself: a second opinion on every key."""
    theirs, ours = dump(OLD, 3), dump(migrate(OLD, 3).text, 3)
    assert ours["plugins"] == theirs["plugins"]


@pytest.mark.parametrize("schema", [2, 3])
def test_the_whole_default_configuration_can_be_rewritten(dump: Dump, schema: Any) -> None:
    """Many operators keep a frozen copy of it."""
    text = toml.dump(dump("version = 2\n" if schema == 2 else "version = 3\n", schema))
    other = 5 - schema
    names = {"runc"}
    assert view(dump(migrate(text, other).text, other), other, names) == view(
        dump(text, schema), schema, names
    )


MERGE = Path(__file__).parents[1] / "cases" / "merge"
FILES = sorted(
    file
    for file in MERGE.glob("*/containerd.d/*.toml")
    if "-rejected" not in str(file) and "type-conflict" not in str(file)
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_a_drop_in_of_the_cases_defines_the_same_handlers_in_containerd_1_7(
    dump: Dump, file: Path
) -> None:
    text = file.read_bytes().decode()
    before = tables(dump(text, 3), 3)[0]["containerd"]["runtimes"]
    after = tables(dump(migrate(text, 2).text, 2), 2)[0]["containerd"]["runtimes"]
    # 2.x keeps its own runc beside what a file defines; 1.7 does not.
    defined = set(before) - {"runc"}
    assert defined == set(after) - {"runc"}
    assert {name: handler(before[name], 3) for name in defined} == {
        name: handler(after[name], 2) for name in defined
    }


@pytest.mark.property
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), CRI_2)
def test_any_file_of_schema_2_loads_the_same_handlers_in_both(
    dump: Dump, draw: Any, cri: dict[str, Any]
) -> None:
    text = draw.draw(spelled({"version": 2, "plugins": {CRI: cri}}))
    names = set(cri.get("containerd", {}).get("runtimes", {}))
    before = tables(dump(text, 2), 2)[0]["containerd"]["runtimes"]
    after = tables(dump(migrate(text, 3).text, 3), 3)[0]["containerd"]["runtimes"]
    assert names <= set(after)
    for name in names - {"runc"}:  # 2.x fills in what a file leaves out of its own runc
        assert handler(after[name], 3) == handler(before[name], 2)
