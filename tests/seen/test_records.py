"""Records behind what is seen: why a generation was given up, what is counted, the last proof."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from k0sruntime import Check, counts, last_proof
from k0sruntime.counts import Counts
from k0sruntime.ledger import State, as_proved, ledger_from, ledger_json
from k0sruntime.paths import Paths
from k0sruntime.plan import Ledger
from k0sruntime.processes import start_time
from k0sruntime.proof import Proven
from k0sruntime.rolled_back import RolledBack

AT = "2026-11-25T20:00:00+00:00"
BACK = RolledBack(AT, 3, ("the proof failed: sandbox", "and another"))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.in_sandbox(str(tmp_path))


def test_a_generation_is_read_back_with_its_reason() -> None:
    ledger = Ledger(4, at=AT, rolled_back=BACK)
    found = ledger_from(json.loads(ledger_json(ledger)))
    assert (found.at, found.rolled_back) == (AT, BACK)


def test_a_record_of_an_earlier_version_has_neither_time_nor_reason() -> None:
    document = json.loads(ledger_json(Ledger(4, at=AT, rolled_back=BACK)))
    del document["at"], document["rolled_back"]
    found = ledger_from(document)
    assert (found.generation, found.at, found.rolled_back) == (4, "", None)


def test_time_and_reason_make_no_other_generation() -> None:
    assert Ledger(4, at=AT, rolled_back=BACK) == Ledger(4)


def test_a_generation_that_passes_after_all_is_not_given_up_any_more() -> None:
    assert as_proved(Ledger(4, rolled_back=BACK)).rolled_back is None


def test_recording_a_generation_leaves_the_present_one_alone(paths: Paths) -> None:
    state = State(paths)
    state.save(Ledger(3, proved=True))
    state.record_generation(replace(Ledger(4), rolled_back=BACK))
    assert state.ledger().generation == 3
    assert state.generations() == [3, 4]
    failed = state.generation(4)
    assert failed is not None
    assert failed.rolled_back == BACK


def test_counts_add_up_and_keep_the_time_of_the_last_roll_back(paths: Paths) -> None:
    assert counts.read(paths) == Counts()
    counts.add(paths, starts=1)
    counts.add(paths, bounces=1, starts=1)
    counts.add(paths, roll_backs=1, at=AT)
    counts.add(paths, bounces=1)
    assert counts.read(paths) == Counts(2, 2, 1, AT)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"starts": "x"}', '{"starts": 1}'])
def test_counts_that_cannot_be_read_begin_anew(paths: Paths, content: str) -> None:
    counts.add(paths, starts=5)
    file = Path(paths.state) / "counts.json"
    file.write_text(content)
    assert counts.read(paths) == Counts()
    counts.add(paths, starts=1)
    assert counts.read(paths) == Counts(1)


def test_counts_that_cannot_be_written_stop_nothing(paths: Paths) -> None:
    Path(paths.state).parent.mkdir(parents=True)
    Path(paths.state).touch()
    counts.add(paths, bounces=1)
    assert counts.read(paths) == Counts()


def test_the_last_proof_is_that_of_a_process(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    proofs = [Proven("node", Check(name="sandbox", verdict="fail", detail="no"), "runc", 0.1234)]
    monkeypatch.setattr(last_proof, "server_of", lambda _: os.getpid())
    last_proof.save(paths, "/no/socket", proofs)
    found = last_proof.load(paths)
    assert found is not None
    assert found.current
    assert found.pid == os.getpid()
    assert found.proofs[0].check.verdict == "fail"
    later = replace(found, start_time=(start_time(os.getpid()) or 0) + 1)
    assert not later.current, "another process took its number"


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"at": 1, "proofs": [{}]}'])
def test_a_proof_that_cannot_be_read_is_none(paths: Paths, content: str) -> None:
    file = Path(paths.own_run) / "proof.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert last_proof.load(paths) is None


def test_a_proof_that_cannot_be_recorded_stops_nothing(paths: Paths) -> None:
    Path(paths.own_run).parent.mkdir(parents=True)
    Path(paths.own_run).touch()
    last_proof.save(paths, "/no/socket", [])
