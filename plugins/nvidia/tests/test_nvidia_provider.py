"""A GPU, its driver and the toolkit: all three, or a reason to rest."""

from __future__ import annotations

import pytest

from k0sruntime import DropIn, Inactive, RuntimeHandler
from k0sruntime.node import GPU
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_nvidia import provider
from k0sruntime_nvidia.provider import NvidiaSettings

H100 = GPU("0000:41:00.0", 0x10DE, 0x0302, "nvidia")
TOOLKIT = "/usr/local/nvidia/toolkit/nvidia-container-runtime"
PACKAGED = "/usr/bin/nvidia-container-runtime"


def contributed(*, gpus=(H100,), executables=(PACKAGED,), line="1.36", **settings):
    files = MadeUpFiles(executables=executables)
    node = make_node("nvidia", NvidiaSettings(**settings), files=files, gpus=gpus, line=line)
    return list(provider.contribute_dropin(node))


def test_a_gpu_with_driver_and_toolkit_gives_the_handler_and_its_runtime_class():
    (handler,) = contributed()
    assert isinstance(handler, RuntimeHandler)
    assert (handler.name, handler.runtime_class) == ("nvidia", "nvidia")
    assert handler.options == {"BinaryName": PACKAGED}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"gpus": ()}, "no NVIDIA GPU on the PCI bus"),
        ({"gpus": (GPU("0", 0x1002, 0x0300, "amdgpu"),)}, "no NVIDIA GPU on the PCI bus"),
        ({"gpus": (H100._replace(device_class=0x0403),)}, "no NVIDIA GPU on the PCI bus"),
        ({"gpus": (H100._replace(driver="vfio-pci"),)}, "bound to vfio-pci"),
        ({"gpus": (H100._replace(driver=""),)}, "bound to no driver.*: install the NVIDIA driver"),
        (
            {"executables": ()},
            "in /usr/local/nvidia/toolkit.*: install the NVIDIA container toolkit",
        ),
        ({"gpu": "no"}, 'gpu = "no"'),
    ],
)
def test_it_rests_and_says_why(facts, reason):
    with pytest.raises(Inactive, match=reason):
        contributed(**facts)


def test_the_operators_word_counts_more_than_the_bus():
    assert contributed(gpus=(), gpu="yes")


def test_a_toolkit_elsewhere_is_found_on_path_or_taken_from_the_settings():
    (handler,) = contributed(executables=("/usr/local/bin/nvidia-container-runtime",))
    assert list(handler.programs) == ["/usr/local/bin/nvidia-container-runtime"]
    (handler,) = contributed(executables=(), runtime="/opt/nvidia-container-runtime")
    assert handler.options["BinaryName"] == "/opt/nvidia-container-runtime"


def test_a_runtime_that_is_no_absolute_path_is_refused():
    with pytest.raises(ValueError, match="must be an absolute path"):
        NvidiaSettings(runtime="nvidia-container-runtime")


def test_the_cgroup_driver_is_left_to_the_host():
    (handler,) = contributed()
    assert "SystemdCgroup" not in handler.options


def test_the_gpu_operators_toolkit_comes_before_the_packages():
    (handler,) = contributed(executables=(PACKAGED, TOOLKIT))
    assert handler.options["BinaryName"] == TOOLKIT


def test_cdi_is_switched_on_only_where_it_is_off_by_default():
    assert [p.runtime for p in contributed(line="1.35") if isinstance(p, DropIn)] == [
        {"enable_cdi": True}
    ]
    assert not [p for p in contributed(line="1.36") if isinstance(p, DropIn)]
    assert not [p for p in contributed(line="1.35", cdi=False) if isinstance(p, DropIn)]


def test_it_is_never_the_default_runtime_unless_asked():
    (_, dropin) = contributed(default=True)
    assert dropin.runtime == {"containerd": {"default_runtime_name": "nvidia"}}


@pytest.mark.parametrize(
    ("contents", "verdicts"),
    [
        ({}, ["fail", "warn"]),
        (
            {"/proc/driver/nvidia/version": "NVRM version: 570", "/dev/nvidiactl": ""},
            ["pass", "pass"],
        ),
        ({"/proc/driver/nvidia/version": "NVRM", "/dev/nvidia3": ""}, ["pass", "pass"]),
        ({"/proc/driver/nvidia/version": "NVRM", "/dev/nvidia-uvm": ""}, ["pass", "warn"]),
    ],
)
def test_the_check_looks_for_the_driver_and_its_device_nodes(contents, verdicts):
    node = make_node("nvidia", NvidiaSettings(), files=MadeUpFiles(contents))
    assert [check.verdict for check in provider.post_start_check(node, None)] == verdicts
