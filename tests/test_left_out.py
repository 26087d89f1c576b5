"""What plain pytest says where the real parts are not at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def collect(**environment: str) -> str:
    base = {k: v for k, v in os.environ.items() if k not in ("CI", "K0SRUNTIME_REAL")}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            "tests/real",
            "tests/test_plan.py",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**base, **environment},
        check=False,
    )
    return done.stdout


def test_the_tests_of_the_real_parts_are_left_out_and_counted() -> None:
    said = collect(K0SRUNTIME_LAB="/nowhere")
    assert "tests of the real parts left out: they need root and `make lab-all`" in said
    assert "tests/real" not in said.split("left out")[0]
    assert "tests/test_plan.py" in said


def test_in_ci_they_are_never_left_out() -> None:
    said = collect(K0SRUNTIME_LAB="/nowhere", CI="true")
    assert "left out" not in said
    assert "tests/real/test_up.py" in said
