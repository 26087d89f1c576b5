"""The examples for vendors: typed, and made of nothing that a vendor could not use."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import k0sruntime
import k0sruntime.testing

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples/vendors").iterdir())


def imported(path: Path) -> set[str]:
    """Return what a file imports from the host, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "k0sruntime":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == "k0sruntime"}
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_it_uses_nothing_but_the_public_names(example: Path) -> None:
    public = {f"k0sruntime.{name}" for name in k0sruntime.__all__}
    for_tests = {f"k0sruntime.testing.{name}" for name in k0sruntime.testing.__all__}
    for path in example.rglob("*.py"):
        allowed = public | for_tests if path.parent.name == "tests" else public
        assert imported(path) <= allowed, path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_it_is_typed(example: Path, tmp_path: Path) -> None:
    (package,) = (path.parent.name for path in example.glob("*/py.typed"))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}", package],
        cwd=example,
        env={**os.environ, "PYTHONPATH": str(example)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_docs_name_every_example() -> None:
    text = (ROOT / "docs/vendors.md").read_text()
    assert [example.name for example in EXAMPLES if example.name not in text] == []
