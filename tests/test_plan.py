"""Desired against observed: changes, drift, and the bounce verdict with its reason."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from k0sruntime import RuntimeHandler, masking
from k0sruntime.compose import Composition, DesiredFile
from k0sruntime.errors import ConflictError, RefusedError
from k0sruntime.plan import (
    FileState,
    Ledger,
    Observed,
    OwnedFile,
    Running,
    digest,
    plan,
    refuse_other_hands,
)
from k0sruntime.report import plan_text
from k0sruntime.testing import compose, make_node

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
        refuse_other_hands(plan(composition(FILE), observed(b"edited\n", b"old\n")))


def test_an_edit_that_comes_to_what_is_wanted_is_no_drift() -> None:
    assert action(FILE, seen=observed(b"new\n", b"old\n")) == "unchanged"


def test_permissions_are_part_of_a_file() -> None:
    seen = Observed({FILE.path: FileState(b"new\n", 0o600)}, Ledger())
    assert action(FILE, seen=seen) == "update"


def test_a_file_that_is_gone_already_needs_no_removal() -> None:
    assert plan(composition(), observed(None, b"old\n")).changes == ()


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


def test_where_k0s_runs_containerd_the_plan_tells_what_k0s_will_do() -> None:
    dropin = DesiredFile("/etc/k0s/containerd.d/k0sruntime-acme.toml", b"version = 3\n", "acme")
    hosts = DesiredFile("/etc/k0s/containerd.d/certs.d/r/hosts.toml", b"", "acme", loaded=False)
    composed = Composition("managed", 3, "native", files=(dropin, hosts))
    text = plan_text(plan(composed, observed()), composed)
    assert "one bounce: k0s bounces containerd, for its drop-ins change" in text
    composed = Composition("managed", 3, "native", files=(hosts,))
    assert "no bounce: k0s's drop-ins stay the same" in plan_text(
        plan(composed, observed()), composed
    )


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


def test_a_file_of_another_hand_at_a_path_of_ours_is_never_planned_to_be_overwritten() -> None:
    hosts = DesiredFile("/certs.d/docker.io/hosts.toml", b"ours\n", "mirrors", loaded=False)
    seen = Observed({hosts.path: FileState(b"theirs\n", 0o644)}, Ledger(3))
    planned = plan(composition(hosts), seen, force=True)
    assert [change.action for change in planned.changes] == ["foreign"]
    with pytest.raises(ConflictError) as refused:
        refuse_other_hands(planned)
    (problem,) = refused.value.problems
    assert f"k0sruntime adopt {hosts.path}" in problem.remedy


def test_k0ss_own_main_file_is_replaced_by_ours() -> None:
    main = DesiredFile("/etc/k0s/containerd.toml", b"# k0s_managed=true\nversion = 3\n", "node")
    before = FileState(b"# k0s_managed=true\n# by k0s\n", 0o644)
    (change,) = plan(composition(main), Observed({main.path: before})).changes
    assert change.action == "update"


def test_equal_bytes_of_another_hand_are_unchanged_and_taken_over() -> None:
    seen = Observed({FILE.path: FileState(FILE.content, FILE.mode)}, Ledger())
    assert action(FILE, seen=seen) == "unchanged"


def test_every_changed_file_is_told_with_its_owner_in_the_order_of_paths() -> None:
    files = (DesiredFile("/b", b"", "beta"), DesiredFile("/a", b"", "alpha"))
    seen = Observed(
        {"/c": FileState(b"x", 0o644)}, Ledger(1, {"/c": OwnedFile(digest(b"x"), "gamma", 0o644)})
    )
    changes = plan(composition(*files), seen).changes
    assert [(c.path, c.action, c.owner) for c in changes] == [
        ("/a", "create", "alpha"),
        ("/b", "create", "beta"),
        ("/c", "remove", "gamma"),
    ]


def test_all_edited_files_are_refused_at_once_with_owner_and_remedy() -> None:
    files = {f"/{name}": FileState(b"edited", 0o644) for name in "ab"}
    known = {path: OwnedFile(digest(b"x"), "acme", 0o644) for path in files}
    with pytest.raises(RefusedError) as refused:
        refuse_other_hands(plan(composition(), Observed(files, Ledger(1, known))))
    assert [problem.place for problem in refused.value.problems] == ["/a", "/b"]
    for problem in refused.value.problems:
        assert "acme" in problem.culprit
        assert "--force" in problem.remedy


def test_force_removes_an_edited_file_that_nobody_wants_any_more() -> None:
    assert action(seen=observed(b"edited\n", b"old\n"), force=True) == "remove"


def test_what_lay_there_before_us_comes_back() -> None:
    seen = observed(b"old\n", b"old\n", displaced={FILE.path: FileState(b"theirs\n", 0o640)})
    (change,) = plan(composition(), seen).changes
    assert (change.action, change.after) == ("restore", FileState(b"theirs\n", 0o640))


def test_a_changed_hosts_file_never_bounces() -> None:
    hosts = DesiredFile("/certs.d/r/hosts.toml", b"new\n", "mirrors", 0o600, loaded=False)
    known = {hosts.path: OwnedFile(digest(b"old\n"), "mirrors", 0o600)}
    seen = Observed({hosts.path: FileState(b"old\n", 0o600)}, Ledger(3, known), running=RUNNING)
    result = plan(composition(hosts), seen)
    assert [change.action for change in result.pending()] == ["update"]
    assert (result.bounce.verdict, result.keys, result.empty) == ("none", (), False)


def test_a_file_that_comes_to_the_same_configuration_does_not_bounce() -> None:
    result = plan(
        composition(FILE), observed(b"# another comment\n", b"# another comment\n", running=RUNNING)
    )
    assert [change.action for change in result.pending()] == ["update"]
    assert result.bounce.verdict == "none"


def test_nothing_to_write_and_the_right_containerd_is_an_empty_plan() -> None:
    assert plan(composition(FILE), observed(b"new\n", b"new\n", running=RUNNING)).empty
    assert not plan(composition(FILE), observed(b"new\n", b"new\n")).empty


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {"k": 1}, "+ k = 1"),
        ({"k": 1}, {}, "- k = 1"),
        ({"k": 1}, {"k": 2}, "~ k: 1 -> 2"),
        ({"k": [1]}, {"k": [1, 2]}, "~ k: [1] -> [1, 2]"),
        ({"k": 1}, {"k": True}, "~ k: 1 -> true"),
        ({"k": 1}, {"k": 1.0}, "~ k: 1 -> 1.0"),
        ({"k": ""}, {"k": False}, '~ k: "" -> false'),
    ],
)
def test_every_change_of_a_value_or_its_kind_is_in_the_effective_difference(
    before: dict[str, Any], after: dict[str, Any], told: str
) -> None:
    running = Running(1, 1, "/c", "2.1.9", before)
    result = plan(composition(FILE, effective=after), observed(running=running))
    assert [str(key) for key in result.keys] == [told]
    assert result.bounce.verdict == "bounce"


def test_dates_compare_with_what_was_recorded_of_them() -> None:
    import datetime as dt
    import json

    effective = {"day": dt.date(2026, 1, 2), "at": dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)}
    recorded = json.loads(json.dumps(effective, default=str))
    running = Running(1, 1, "/c", "2.1.9", recorded)
    result = plan(composition(FILE, effective=effective), observed(running=running))
    assert result.bounce.verdict == "none"


def test_a_diff_of_a_new_and_of_a_removed_file_names_dev_null() -> None:
    (new,) = plan(composition(FILE), observed()).changes
    assert new.diff().splitlines()[:2] == ["--- /dev/null", "+++ /etc/a.toml (composed)"]
    (gone,) = plan(composition(), observed(b"old\n", b"old\n")).changes
    assert gone.diff().splitlines()[:2] == ["--- /etc/a.toml (on disk)", "+++ /dev/null"]
    (same,) = plan(composition(FILE), observed(b"new\n", b"new\n")).changes
    assert same.diff() == ""


def test_an_operators_hosts_file_survives_up_and_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime.cli.main import run

    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        '[node]\nmode = "managed"\nk0s = "1.36"\n[mirrors."docker.io"]\nendpoints = ["https://m.example"]\n'
    )
    theirs = tmp_path / "etc/k0s/containerd.d/certs.d/docker.io/hosts.toml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('server = "https://their.own"\n')
    assert run(["up", "--sandbox", str(tmp_path)]) in (3, 5), capsys.readouterr().err
    assert theirs.read_text() == 'server = "https://their.own"\n'
    assert str(theirs) in capsys.readouterr().err


def managed(line: str, **options: Any) -> Composition:
    node = make_node("acme", None, line=line, mode="managed")
    acme = SimpleNamespace(
        contribute_dropin=lambda node: [RuntimeHandler(name="fast", options=options)]
    )
    own = b'version = %d\n[proxy_plugins.x]\ntype = "snapshot"\n' % (2 if line == "1.35" else 3)
    return compose(acme, node, dropins={"other.toml": own})


def lying_there(composition: Composition | None) -> Observed:
    if composition is None:
        return Observed()
    files = {file.path: FileState(file.content, file.mode) for file in composition.files}
    known = {
        file.path: OwnedFile(digest(file.content), "acme", 0o644) for file in composition.files
    }
    return Observed(files, Ledger(3, known))


@pytest.mark.parametrize("line", ["1.35", "1.36"])
def test_where_k0s_runs_containerd_the_keys_are_what_changes_in_its_files(line: str) -> None:
    first, second = managed(line, A=1), managed(line, A=2)
    none = Composition("managed", first.schema, first.scheme)
    new = [str(key) for key in plan(first, lying_there(None)).keys]
    assert any("runtimes.fast.options.A = 1" in key for key in new)
    assert not any("proxy_plugins" in key for key in new), "another hand's is loaded already"
    assert plan(first, lying_there(first)).keys == ()
    (key,) = plan(second, lying_there(first)).keys
    assert str(key).endswith("runtimes.fast.options.A: 1 -> 2")
    gone = [str(key) for key in plan(none, lying_there(first)).keys]
    assert any(key.startswith("- ") and "runtimes.fast.options.A = 1" in key for key in gone)
