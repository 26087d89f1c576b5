"""The corpus: every folder of hosts files resolves as containerd 2.3.4 resolves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k0sruntime.node import Version
from k0sruntime.pulls import resolve_registry
from k0sruntime.testing import MadeUpFiles

CASES = sorted(Path(__file__).parents[1].joinpath("cases/hosts").iterdir())
QUIET = {
    "ca-list",
    "ca-not-pem",  # a failure, not a warning
    "default-dir",
    "dial-timeout",
    "empty-file",
    "headers",
    "http-plain",
    "mirror-only",
    "no-server",
    "override-path",
    "path-appended",
    "path-v2-kept",
    "port-dir-colon",
    "port-dir-underscore",
    "seed",
    "seed-ca-missing",
    "specific-shadows-default",
}
"""Cases in which containerd does what the file seems to say."""


def made_up(case: Path) -> MadeUpFiles:
    certs = case / "certs.d"
    files = (path for path in certs.rglob("*") if path.is_file())
    return MadeUpFiles({f"/certs.d/{path.relative_to(certs)}": path.read_bytes() for path in files})


def expected(case: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((case / "expected.json").read_text())
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_resolves_as_containerd_resolves_it(case: Path) -> None:
    for entry in expected(case):
        found = resolve_registry(entry["registry"], "/certs.d", made_up(case), Version(2, 3, 4))
        assert bool(found.failures) == entry.get("error", False)
        assert [host.document() for host in found.hosts] == entry.get("hosts", [])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_where_containerd_silently_does_something_else_there_is_a_warning(case: Path) -> None:
    warned = [
        warning
        for entry in expected(case)
        for warning in resolve_registry(
            entry["registry"], "/certs.d", made_up(case), Version(2, 3, 4)
        ).warnings
    ]
    assert bool(warned) == (case.name not in QUIET)
    assert all(warning.place and warning.remedy for warning in warned)
