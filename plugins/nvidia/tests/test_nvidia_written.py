"""Drop-ins of NVIDIA's toolkit: known by their shape, left alone, and told."""

from __future__ import annotations

from pathlib import Path

import pytest
import rtoml

from k0sruntime import Check, ForeignFile, Inactive, RuntimeHandler
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_nvidia import provider
from k0sruntime_nvidia.provider import NvidiaSettings
from k0sruntime_nvidia.written import recognise
from plugins.nvidia.tests.test_nvidia_provider import ALL, BOUND

DATA = Path(__file__).parents[3] / "tests/data/nvidia-ctk"
MAIN = "/etc/k0s/containerd.toml"
DROPIN = "/etc/k0s/containerd.d/nvidia.toml"
HANDLERS = ("nvidia", "nvidia-cdi", "nvidia-legacy")
BY_HAND = """
version = 3
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.nvidia]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.nvidia.options]
BinaryName = "/usr/bin/nvidia-container-runtime"
"""


def foreign(name: str, path: str = DROPIN) -> ForeignFile:
    text = (DATA / name).read_text() if name.endswith(".toml") else name
    return ForeignFile(path, rtoml.loads(text))


def made(*files: ForeignFile, line: str = "1.36", **settings):
    programs = MadeUpFiles(executables=ALL)
    own = NvidiaSettings(**settings)
    return make_node("nvidia", own, files=programs, gpus=(BOUND,), foreign=files, line=line)


@pytest.mark.parametrize(
    ("name", "traits"),
    [
        (
            "1.20-command-version-4.toml",
            ["version 4", "a frozen copy of 18 keys of the CRI table"],
        ),
        ("1.20-file-version-3.toml", ["version 3"]),
        ("1.20-nothing-version-2.toml", ["version 2", "makes nvidia the default"]),
        ("1.19-file-without-runtime-type.toml", ["version 3"]),
    ],
)
def test_a_drop_in_of_the_toolkit_is_known_by_its_shape(name, traits):
    found = recognise(foreign(name), MAIN)
    assert found is not None
    assert found.handlers == HANDLERS
    assert found.traits() == traits


@pytest.mark.parametrize("name", ["main-of-1.36-rewritten.toml", "main-of-1.35-rewritten.toml"])
def test_a_main_file_that_the_toolkit_rewrote_is_known_by_its_import(name):
    found = recognise(foreign(name, MAIN), MAIN)
    assert found is not None
    assert "it has lost k0s's marker" in found.traits()
    assert "imports /etc/containerd/conf.d/" in found.traits()


@pytest.mark.parametrize(
    "text",
    [
        BY_HAND,
        'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\nenable_cdi = true\n',
        BY_HAND.replace("nvidia", "crun").replace("runtime_type", "runtime_engine"),
        "version = 3\nplugins = 3\n",
        "",
    ],
)
def test_files_of_others_are_not_taken_for_the_toolkits(text):
    assert recognise(foreign(text), MAIN) is None


@pytest.mark.parametrize("name", [p.name for p in sorted(DATA.glob("1.*.toml"))])
def test_while_the_toolkit_has_the_handlers_nothing_is_contributed_and_it_is_said(name):
    with pytest.raises(Inactive) as raised:
        list(provider.contribute_dropin(made(foreign(name))))
    assert f"{DROPIN} (version " in raised.value.reason
    assert "which NVIDIA's toolkit wrote" in raised.value.reason
    assert raised.value.reason.endswith(f"k0sruntime quarantine {DROPIN}")


def test_cdi_is_switched_on_for_1_35_even_where_the_toolkit_has_the_handlers():
    node = made(foreign("1.20-nothing-version-2.toml"), line="1.35")
    parts = list(provider.contribute_dropin(node))
    (told,) = [part for part in parts if isinstance(part, Check)]
    assert "which NVIDIA's toolkit wrote" in told.detail
    (cdi,) = [part for part in parts if not isinstance(part, Check)]
    assert cdi.runtime == {"enable_cdi": True}
    with pytest.raises(Inactive):
        list(provider.contribute_dropin(made(node.foreign[0], line="1.35", cdi=False)))


def test_a_file_written_by_hand_keeps_its_handler_and_the_others_are_contributed():
    node = made(foreign(BY_HAND), line="1.35", default=True)
    parts = list(provider.contribute_dropin(node))
    handlers = [part.name for part in parts if isinstance(part, RuntimeHandler)]
    assert handlers == ["nvidia-cdi", "nvidia-legacy"]
    (cdi,) = [part for part in parts if not isinstance(part, RuntimeHandler)]
    assert cdi.runtime == {"enable_cdi": True}, "and another hand's handler is made no default"
    checks = {check.name: check for check in provider.post_start_check(node, None)}
    assert "default = true is not done" in checks["default handler"].detail
    told = checks["handler nvidia"]
    assert told.verdict == "warn"
    assert DROPIN in told.detail
    assert told.remedy.endswith(f"k0sruntime quarantine {DROPIN}")


def test_all_files_that_have_a_part_are_named():
    other = BY_HAND.replace(".nvidia", ".nvidia-cdi").replace('runtime"\n', 'runtime.cdi"\n')
    third = BY_HAND.replace(".nvidia", ".nvidia-legacy")
    files = [
        ForeignFile(f"/etc/k0s/containerd.d/{n}.toml", rtoml.loads(t))
        for n, t in {"a": BY_HAND, "b": other, "c": third}.items()
    ]
    with pytest.raises(Inactive) as raised:
        list(provider.contribute_dropin(made(*files)))
    assert all(file.path in raised.value.reason for file in files)


def test_a_handler_of_another_name_is_no_concern_of_ours():
    parts = list(
        provider.contribute_dropin(made(foreign("1.20-file-version-3.toml"), handler="gpu"))
    )
    assert [p.name for p in parts] == ["gpu", "gpu-cdi", "gpu-legacy"]
