"""What the machine can do is tried, and what it cannot is told as a clause."""

from __future__ import annotations

from pathlib import Path

import pytest

from k0sruntime.host import kernel, kvm_problem


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("/dev/no-such-device", "is not there"),
        ("/dev/null", "makes no virtual machine"),
        ("/", "cannot be opened"),
    ],
)
def test_a_device_that_is_no_kvm_is_told(device: str, told: str) -> None:
    assert kvm_problem("/", device).startswith(device)
    assert told in kvm_problem("/", device)


def test_nobody_can_try_it_for_an_image(tmp_path: Path) -> None:
    assert kvm_problem(str(tmp_path)) == ""
    assert kernel(str(tmp_path)) is None


def test_the_kernel_is_that_which_runs() -> None:
    assert kernel("/") is not None
