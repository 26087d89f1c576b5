"""The corpus: what must be refused has an error, what is right has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from k0sruntime.lint import check, errors
from k0sruntime.lint.gather import gather
from k0sruntime.lint.target import Machine, for_k0s
from k0sruntime.testing import MadeUpFiles

CASES = Path(__file__).parents[1] / "cases"
MERGE = sorted(path for path in (CASES / "merge").iterdir() if path.is_dir())
HOSTS = sorted(path for path in (CASES / "hosts").iterdir() if path.is_dir())

# What a real containerd 2.3.4 refuses, though no k0s does.
ALSO_REFUSED = {
    "type-conflict-scalar-over-table",
    "false-and-zero-override",  # the empty snapshotter: containerd runs, and its CRI does not load
}

TRAPS = {
    "bare-name": "K0R704",
    "bare-name-http-prefix": "K0R704",
    "ca-not-pem": "K0R717",
    "dial-timeout-bare": "K0R707",
    "duplicate-host-table": "K0R001",
    "header-after-other-host": "K0R702",
    "http-with-tls-key": "K0R715",
    "inline-host-table": "K0R701",
    "port-dir-both": "K0R712",
    "root-capabilities-without-server": "K0R705",
    "root-keys-after-host": "K0R706",
    "seed-ca-missing": "K0R716",
    "skip-verify-string": "K0R708",
    "trailing-slash": "K0R703",
    "unknown-capability": "K0R709",
}


def made_up(folder: Path, base: str) -> MadeUpFiles:
    files = (path for path in folder.rglob("*") if path.is_file())
    return MadeUpFiles({f"{base}/{path.relative_to(folder)}": path.read_bytes() for path in files})


def codes(case: Path, line: str) -> tuple[set[str], set[str]]:
    files = made_up(case, "/etc/k0s")
    findings = check(gather(["/etc/k0s/containerd.d"], files), for_k0s(line), files)
    return {f.rule.code for f in errors(findings)}, {f.rule.code for f in findings}


@pytest.mark.parametrize("case", MERGE, ids=lambda case: case.name)
def test_what_must_be_refused_has_an_error(case: Path) -> None:
    bad, _ = codes(case, "1.36")
    assert bool(bad) == (case.name.endswith("-rejected") or case.name in ALSO_REFUSED)


@pytest.mark.parametrize("case", MERGE, ids=lambda case: case.name)
def test_version_3_is_fatal_to_1_35(case: Path) -> None:
    texts = [path.read_text() for path in case.glob("containerd.d/*.toml")]
    stated = any("version = 3" in text or "version = 4" in text for text in texts)
    bad, _ = codes(case, "1.35")
    assert ("K0R201" in bad) == (stated and case.name != "syntax-error-rejected")


def test_version_2_is_right_on_1_35() -> None:
    assert codes(CASES / "merge" / "version-2-rejected", "1.35") == (set(), set())


@pytest.mark.parametrize("case", HOSTS, ids=lambda case: case.name)
def test_a_trap_in_a_hosts_file_is_found_and_nothing_else(case: Path) -> None:
    files = made_up(case / "certs.d", "/etc/certs.d")
    target = for_k0s("1.36")
    on_the_node = type(target)(target.containerd, target.k0s, Machine("x86_64", ()))
    findings = check(gather(["/etc/certs.d"], files), on_the_node, files)
    expected = {TRAPS[case.name]} if case.name in TRAPS else set()
    assert {finding.rule.code for finding in findings} == expected
    assert not errors(findings)
