"""Handlers of runc's shim have one cgroup driver: that of the handler that decides."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime import lint
from k0sruntime.compose import Composition, Existing
from k0sruntime.compose.schema import runtimes
from k0sruntime.contributions import DropIn, RuntimeHandler
from k0sruntime.lint.composed import subject_of, target_of
from k0sruntime.testing import MadeUpFiles, make_node
from tests.compose.test_composition import CRI, FOLDER, RUNTIME, by, composed

NVIDIA = RuntimeHandler(name="nvidia", options={"BinaryName": "/usr/bin/nvidia-container-runtime"})
DEFAULT = DropIn(runtime={"containerd": {"default_runtime_name": "nvidia"}})
RUNSC = RuntimeHandler(name="runsc", runtime_type="io.containerd.runsc.v1")


def dropin(facts: dict[str, Any], value: bool, handler: str = "runc", default: str = "") -> bytes:
    old = facts.get("line") == "1.35"
    containerd = f'plugins."{CRI if old else RUNTIME}".containerd'
    text = f"version = {2 if old else 3}\n"
    text += f'[{containerd}]\ndefault_runtime_name = "{default}"\n' if default else ""
    text += f'[{containerd}.runtimes.{handler}]\nruntime_type = "io.containerd.runc.v2"\n'
    text += f"[{containerd}.runtimes.{handler}.options]\nSystemdCgroup = {str(value).lower()}\n"
    return text.encode()


def options(composition: Composition, handler: str = "nvidia") -> Any:
    table = runtimes(composition.effective, composition.schema)[handler]
    return table.get("options", {}).get("SystemdCgroup")


@pytest.fixture(params=list(FOLDER))
def facts(request: pytest.FixtureRequest) -> dict[str, Any]:
    return FOLDER[request.param]


@pytest.mark.parametrize("value", [True, False])
def test_a_handler_that_says_nothing_follows_runc(facts: dict[str, Any], value: bool) -> None:
    existing = Existing(dropins={"10-cgroups.toml": dropin(facts, value)})
    found = composed(*by("nvidia", NVIDIA), existing=existing, **facts)
    assert options(found) is options(found, "runc") is value
    node = make_node("", None, **facts)
    target = target_of(found, node)
    assert target is not None
    findings = lint.check(subject_of(found, node.paths), target, MadeUpFiles())
    assert "K0R304" not in {finding.rule.code for finding in findings}


def test_where_nobody_says_nothing_is_written(facts: dict[str, Any]) -> None:
    assert options(composed(*by("nvidia", NVIDIA), **facts)) is None


def test_another_provider_may_decide_for_runc(facts: dict[str, Any]) -> None:
    runc = RuntimeHandler(name="runc", options={"SystemdCgroup": True})
    found = composed(*by("node", runc), *by("nvidia", NVIDIA), **facts)
    assert options(found) is True


def test_the_default_handler_decides_where_it_says_something(facts: dict[str, Any]) -> None:
    files = {
        "10-runc.toml": dropin(facts, value=False),
        "20-crun.toml": dropin(facts, value=True, handler="crun", default="crun"),
    }
    found = composed(*by("nvidia", NVIDIA), existing=Existing(dropins=files), **facts)
    assert options(found) is True


def test_as_the_default_it_follows_runc_which_was_the_default_before(facts: dict[str, Any]) -> None:
    existing = Existing(dropins={"10-cgroups.toml": dropin(facts, value=True)})
    found = composed(*by("nvidia", NVIDIA, DEFAULT), existing=existing, **facts)
    assert options(found) is True


def test_the_later_file_counts_as_it_does_for_containerd(facts: dict[str, Any]) -> None:
    files = {"zz.toml": dropin(facts, value=False), "10-a.toml": dropin(facts, value=True)}
    found = composed(*by("nvidia", NVIDIA), existing=Existing(dropins=files), **facts)
    assert options(found) is options(found, "runc") is False


def test_what_a_provider_states_itself_stays(facts: dict[str, Any]) -> None:
    existing = Existing(dropins={"10-cgroups.toml": dropin(facts, value=True)})
    stated = RuntimeHandler(name="nvidia", options={"SystemdCgroup": False})
    assert options(composed(*by("nvidia", stated), existing=existing, **facts)) is False


def test_another_shim_has_no_such_option(facts: dict[str, Any]) -> None:
    existing = Existing(dropins={"10-cgroups.toml": dropin(facts, value=True)})
    assert options(composed(*by("gvisor", RUNSC), existing=existing, **facts), "runsc") is None


def test_a_lost_ledger_takes_the_same_file_over_again(facts: dict[str, Any]) -> None:
    foreign = {"10-cgroups.toml": dropin(facts, value=True)}
    first = composed(*by("nvidia", NVIDIA), existing=Existing(dropins=foreign), **facts)
    ours = {
        file.path.rpartition("/")[2]: file.content
        for file in first.files
        if file.path.endswith("k0sruntime-nvidia.toml")
    }
    again = composed(*by("nvidia", NVIDIA), existing=Existing(dropins={**foreign, **ours}), **facts)
    assert again.files == first.files


def test_a_default_of_another_shim_does_not_decide_for_the_kubelet(facts: dict[str, Any]) -> None:
    default = DropIn(runtime={"containerd": {"default_runtime_name": "runsc"}})
    existing = Existing(dropins={"10-cgroups.toml": dropin(facts, value=True)})
    parts = (*by("gvisor", RUNSC, default), *by("nvidia", NVIDIA))
    assert options(composed(*parts, existing=existing, **facts)) is True


def test_a_handler_of_another_hand_with_options_and_without_this_one_says_cgroupfs() -> None:
    """The kubelet is told what the default handler's options come to, stated or not."""
    files = {
        "10-runc.toml": dropin({}, value=True),
        "20-crun.toml": dropin({}, value=True, handler="crun", default="crun").replace(
            b"SystemdCgroup = true", b'BinaryName = "/usr/bin/crun"'
        ),
    }
    found = composed(*by("nvidia", NVIDIA), existing=Existing(dropins=files))
    assert options(found) is False
