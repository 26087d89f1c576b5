"""Random drop-in folders: what we say they come to is what the real containerd makes of them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k0sruntime import toml
from k0sruntime.compose import rendered
from k0sruntime.compose.layers import leaves
from k0sruntime.compose.schema import IMAGES, RUNTIME
from tests.real.conftest import CONTAINERDS

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

PAUSE = "registry.k8s.io/pause:3.10"
EXAMPLES = int(os.environ.get("K0SRUNTIME_EXAMPLES", "150"))

names = st.sampled_from(["runc", "crun", "runsc", "a", "b-2", "we.ird"])
words = st.text(alphabet="abz09-_/. \"'\\é\t", max_size=8)
flags = st.booleans()
handlers = st.fixed_dictionaries(
    {"runtime_type": st.sampled_from(["io.containerd.runc.v2", "io.containerd.runsc.v1"])},
    optional={
        "runtime_path": words,
        "pod_annotations": st.lists(words, max_size=3),
        "privileged_without_host_devices": flags,
        "snapshotter": words,
        "options": st.fixed_dictionaries(
            {}, optional={"BinaryName": words, "SystemdCgroup": flags, "IoUid": st.integers(0, 9)}
        ),
    },
)
runtime = st.fixed_dictionaries(
    {},
    optional={
        "enable_cdi": flags,
        "cdi_spec_dirs": st.lists(words, max_size=2),
        "selinux_category_range": st.integers(0, 2000),
        "drain_exec_sync_io_timeout": st.sampled_from(["0s", "5s"]),
        "cni": st.fixed_dictionaries(
            {}, optional={"conf_dir": words, "max_conf_num": st.integers(0, 9)}
        ),
        "containerd": st.fixed_dictionaries(
            {}, optional={"runtimes": st.dictionaries(names, handlers, max_size=3)}
        ),
    },
)
images = st.fixed_dictionaries(
    {},
    optional={
        "snapshotter": words,
        "max_concurrent_downloads": st.integers(0, 9),
        "discard_unpacked_layers": flags,
        "registry": st.fixed_dictionaries({}, optional={"config_path": words}),
        "pinned_images": st.dictionaries(st.sampled_from(["sandbox", "other"]), words, max_size=2),
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just(3),
        "oom_score": st.integers(-9, 9),
        "debug": st.fixed_dictionaries(
            {}, optional={"level": st.sampled_from(["", "info", "warn"])}
        ),
        "proxy_plugins": st.dictionaries(
            st.sampled_from(["stargz", "nydus"]),
            st.fixed_dictionaries({"type": st.just("snapshot")}, optional={"address": words}),
            max_size=2,
        ),
        "plugins": st.fixed_dictionaries({}, optional={RUNTIME: runtime, IMAGES: images}),
    },
)
file_names = st.sampled_from(
    ["1.toml", "10.toml", "2.toml", "A.toml", "_.toml", "a.toml", ".h.toml"]
)
folders = st.dictionaries(file_names, documents, min_size=1, max_size=4)


def dump(folder: Path, main: str) -> dict[str, Any]:
    (folder / "main.toml").write_text(main)
    command = [CONTAINERDS["2.1"], "--config", folder / "main.toml", "config", "dump"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return toml.load(done.stdout.encode(), "config dump")


def lookup(document: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
@given(folder=folders)
def test_native_is_what_containerd_itself_makes_of_a_folder(folder: dict[str, Any]) -> None:
    contents = {name: toml.dump(document).encode() for name, document in folder.items()}
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        dropins = base / "d"
        dropins.mkdir()
        for file, content in contents.items():
            (dropins / file).write_bytes(content)
        main = {
            "version": 3,
            "imports": [f"{dropins}/*.toml"],
            "plugins": {IMAGES: {"pinned_images": {"sandbox": PAUSE}}},
        }
        real = dump(base, toml.dump(main))
        ours = rendered.native(str(dropins), contents, 3, PAUSE)["document"]
    for path, value in leaves(ours):
        if path[0] in ("version", "imports") or value == {}:
            continue
        found = lookup(real, path)
        # An empty list or word may come back as nothing: containerd leaves it out of its dump.
        assert found == value or (found is None and not value), (path, value, found)
    mine = set(lookup(ours, ("plugins", RUNTIME, "containerd", "runtimes")) or {}) | {"runc"}
    assert set(lookup(real, ("plugins", RUNTIME, "containerd", "runtimes"))) == mine


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
@given(folder=folders)
def test_the_merge_patch_loads_to_the_same_cri_tables(folder: dict[str, Any]) -> None:
    contents = {name: toml.dump(document).encode() for name, document in folder.items()}
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        merged = rendered.merge_patch("/d", contents, 3, PAUSE)
        for file in merged["imports"]:
            (base / file).write_bytes(contents[file])
        (base / "cri.toml").write_text(toml.dump(merged["containerd-cri.toml"]))
        imports = [*(f"{base}/{file}" for file in merged["imports"]), f"{base}/cri.toml"]
        real = dump(base, toml.dump({"version": 3, "imports": imports}))
    ours = rendered.native("/d", contents, 3, PAUSE)["effective"]
    for plugin in (RUNTIME, IMAGES):
        for path, value in leaves(ours.get(plugin, {})):
            found = lookup(real, ("plugins", plugin, *path))
            assert found == value or (found is None and not value) or value == {}, (
                path,
                value,
                found,
            )
