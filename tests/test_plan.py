"""Desired against observed: changes, drift, and the bounce verdict with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime import masking
from k0sruntime.compose import Composition, DesiredFile
from k0sruntime.errors import RefusedError
from k0sruntime.plan import (
    FileState,
    Ledger,
    Observed,
    OwnedFile,
    Running,
    digest,
    plan,
    refuse_drift,
)
from k0sruntime.report import plan_text

FILE = DesiredFile("/etc/a.toml", b"new\n", "acme")
EFFECTIVE = {"plugins": {"p": {"k": 1}}}
RUNNING = Running(1, 1, "/c", "2.1.9", EFFECTIVE)


def composition(*files: DesiredFile, **fields: Any) -> Composition:
    return Composition("standalone", 3, "native", files, **({"effective": EFFECTIVE} | fields))


def observed(content: bytes | None = None, owned: bytes | None = None, **fields: Any) -> Observed:
    files = {} if content is None else {FILE.path: FileState(content, 0o644)}
    known = {} if owned is None else {FILE.path: OwnedFile(digest(owned), "acme", 0o644)}
    return Observed(files, Ledger(3, known), **fields)


def action(*desired: DesiredFile, seen: Observed, force: bool = False) -> str:
    (change,) = plan(composition(*desired), seen, force=force).changes
    return change.action


def test_what_happens_to_a_file() -> None:
    assert action(FILE, seen=observed()) == "create"
    assert action(FILE, seen=observed(b"new\n", b"new\n")) == "unchanged"
    assert action(FILE, seen=observed(b"old\n", b"old\n")) == "update"
    assert action(seen=observed(b"old\n", b"old\n")) == "remove"


def test_an_edited_file_is_drift_until_force_is_given() -> None:
    assert action(FILE, seen=observed(b"edited\n", b"old\n")) == "drift"
    assert action(seen=observed(b"edited\n", b"old\n")) == "drift"
    assert action(FILE, seen=observed(b"edited\n", b"old\n"), force=True) == "update"
    with pytest.raises(RefusedError, match="somebody edited it"):
        refuse_drift(plan(composition(FILE), observed(b"edited\n", b"old\n")))


def test_an_edit_that_comes_to_what_is_wanted_is_no_drift() -> None:
    assert action(FILE, seen=observed(b"new\n", b"old\n")) == "unchanged"


def test_permissions_are_part_of_a_file() -> None:
    seen = Observed({FILE.path: FileState(b"new\n", 0o600)}, Ledger())
    assert action(FILE, seen=seen) == "update"


def test_a_file_that_is_gone_already_needs_no_removal() -> None:
    assert plan(composition(), observed(None, b"old\n")).changes == ()


def test_a_released_file_is_left_alone() -> None:
    assert plan(composition(released=(FILE.path,)), observed(b"x", b"y")).changes == ()


@pytest.mark.parametrize(
    ("running", "effective", "verdict", "reason"),
    [
        (None, EFFECTIVE, "start", "no containerd of ours"),
        (RUNNING, EFFECTIVE, "none", "stays the same"),
        (RUNNING, {"plugins": {"p": {"k": 2}}}, "bounce", "changes: plugins.p.k"),
        (RUNNING, {"plugins": {"p": {"k": 1, "l": 2, "m": 3}}}, "bounce", "plugins.p.l and 1 more"),
        (RUNNING, {**EFFECTIVE, "imports": ["/elsewhere"]}, "none", "stays the same"),
    ],
)
def test_only_a_change_of_what_containerd_loads_bounces(
    running: Running | None, effective: dict[str, Any], verdict: str, reason: str
) -> None:
    result = plan(composition(FILE, effective=effective), observed(running=running))
    assert result.bounce.verdict == verdict
    assert reason in result.bounce.reason


@pytest.mark.parametrize(("running", "verdict"), [(None, "none"), (RUNNING, "stop")])
@pytest.mark.parametrize("mode", ["remote", "managed"])
def test_what_others_run_we_do_not_start(mode: Any, running: Any, verdict: str) -> None:
    result = plan(Composition(mode, 3, "native"), observed(running=running))
    assert result.bounce.verdict == verdict


def test_generations_count_up_even_after_a_roll_back() -> None:
    assert plan(composition(FILE), observed(newest=7)).generation == 8
    assert plan(composition(FILE), observed(b"new\n", b"new\n", newest=7)).generation == 3


def test_the_effective_difference_stands_beside_the_files() -> None:
    effective = {"plugins": {"p": {"k": 2, "new": "x"}}}
    result = plan(composition(FILE, effective=effective), observed(running=RUNNING))
    text = plan_text(result, composition(FILE, effective=effective))
    assert "~ plugins.p.k: 1 -> 2" in text
    assert '+ plugins.p.new = "x"' in text
    assert "+new" in text
    assert "one bounce: the effective configuration changes" in text


def test_secrets_are_masked_in_differences() -> None:
    diff = '--- /dev/null\n+++ /a\n@@ -0,0 +1 @@\n+"Authorization" = ["Bearer hush"]\n+[host]\n'
    shown = masking.diff(diff, whole=True)
    assert "hush" not in shown
    assert '"Authorization"' in shown
    assert masking.diff(diff, whole=False) == diff


def test_the_secret_file_of_a_plan_shows_no_secret() -> None:
    secret = DesiredFile("/certs.d/r/hosts.toml", b'"X" = ["hush"]\n', "a", 0o600, loaded=False)
    result = plan(composition(secret), Observed(running=RUNNING))
    assert "hush" not in plan_text(result, composition(secret))


def test_credentials_of_foreign_drop_ins_are_masked_wherever_keys_are_shown() -> None:
    auth = {"auth": {"username": "me", "password": "hush", "identitytoken": "hush"}}
    effective = {
        "plugins": {"p": {"registry": {"configs": {"r": auth}, "headers": {"X": ["hush"]}}}}
    }
    merged = DesiredFile(
        "/run/k0s/containerd-cri.toml", b'[auth]\npassword = "hush"\nauth = "hush"\n', "node"
    )
    wanted = composition(merged, effective=effective)
    text = plan_text(plan(wanted, observed()), wanted)
    assert "hush" not in text
    assert "password = ****" in text
    assert '"me"' in text
