"""Our own record: written whole or not at all, read back as it was, refused when it is spoilt."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import ledger as ledger_
from k0sruntime.durable import write_atomically
from k0sruntime.errors import RefusedError
from k0sruntime.ledger import State, as_proved, ledger_from, ledger_json
from k0sruntime.paths import Paths
from k0sruntime.plan import Ledger, OwnedFile, Running, digest

OWNED = OwnedFile(digest(b"x"), "acme", 0o600, digest(b"theirs"), 0o640)
LEDGER = Ledger(7, {"/etc/a": OWNED}, ("/etc/k0s", "/etc/k0s/containerd.d"), proved=True)


def untouched(path: Path) -> tuple[int, int, int]:
    """Return what a write would change; a read may change the time of access."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(Paths.in_sandbox(str(tmp_path)))


def test_a_node_without_a_record_has_an_empty_ledger(state: State) -> None:
    assert state.ledger() == Ledger()
    assert state.generations() == []
    assert state.generation(1) is None
    assert state.running() is None


def test_a_ledger_is_read_back_as_it_was(state: State) -> None:
    state.save(LEDGER)
    assert state.ledger() == LEDGER
    assert state.generation(7) == LEDGER
    assert ledger_from(json.loads(ledger_json(LEDGER))) == LEDGER


def test_a_record_says_what_it_is(state: State) -> None:
    document = json.loads(ledger_json(LEDGER))
    assert (document["kind"], document["schema"]) == ("Ledger", 1)


def test_generations_are_numbers_in_order(state: State) -> None:
    for number in (10, 9, 2):
        state.save(Ledger(number))
    Path(state.folder, "generations", "3.json.new").write_text("{")
    assert state.generations() == [2, 9, 10]


def test_a_proof_changes_nothing_but_the_verdict() -> None:
    assert as_proved(Ledger(3, {"/a": OWNED})) == Ledger(3, {"/a": OWNED}, proved=True)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", '{"files": 3}', '{"generation": 1, "files": {"/a": {"x": 1}}}'],
)
@pytest.mark.parametrize("name", ["ledger.json", "generations/1.json"])
def test_a_spoilt_record_is_refused_with_its_file_and_what_to_do(
    state: State, name: str, text: str
) -> None:
    path = Path(state.folder, name)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(RefusedError) as refused:
        state.ledger() if name == "ledger.json" else state.generation(1)
    (problem,) = refused.value.problems
    assert problem.place == str(path)
    assert "Move it away" in problem.remedy


def test_a_spoilt_record_of_what_runs_is_refused_with_its_file(state: State) -> None:
    path = Path(state.run, "containerd.json")
    path.parent.mkdir(parents=True)
    path.write_text('{"pid": 1}')
    with pytest.raises(RefusedError) as refused:
        state.running()
    assert refused.value.problems[0].place == str(path)


def test_a_content_is_kept_once_under_its_digest_and_for_its_owner_alone(state: State) -> None:
    key = state.keep(b"hush")
    path = Path(state.folder, "objects", key)
    before = untouched(path)
    assert state.keep(b"hush") == key == digest(b"hush")
    assert untouched(path) == before
    assert oct(path.stat().st_mode & 0o7777) == oct(0o600)
    assert state.kept(key) == b"hush"


def test_a_content_that_is_lost_is_refused_with_its_digest(state: State) -> None:
    with pytest.raises(RefusedError) as refused:
        state.kept("abc")
    assert refused.value.problems[0].place == "abc"
    assert refused.value.problems[0].remedy


def test_a_spoilt_content_is_never_put_back(state: State) -> None:
    key = state.keep(b"version = 3")
    Path(state.folder, "objects", key).write_bytes(b"vers")
    with pytest.raises(RefusedError):
        state.kept(key)


def test_what_runs_is_read_back_as_it_was_and_forgotten(state: State) -> None:
    running = Running(
        12,
        345,
        "/bin/containerd 1 2",
        "2.1.9",
        {"plugins": {"p": {"k": 1.0}}},
        ({"name": "x", "verdict": "pass"},),
        ("/usr/bin",),
    )
    state.record_running(running)
    assert state.running() == running
    state.record_running(None)
    state.record_running(None)
    assert state.running() is None


def test_a_written_file_has_exactly_its_mode(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(f"{tmp_path}/new/a", b"x", 0o644)
    finally:
        os.umask(before)
    assert oct((tmp_path / "new/a").stat().st_mode & 0o7777) == oct(0o644)


def test_a_write_that_fails_leaves_the_old_record(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.save(LEDGER)

    def full(*_: Any) -> None:
        raise OSError("full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        state.save(Ledger(8))
    assert state.ledger() == LEDGER
    assert state.generation(7) == LEDGER


def test_a_file_is_on_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, real=real, name=name: (calls.append(name), real(*a))[1]
        )
    ledger_.write_atomically(f"{tmp_path}/a", b"x")
    assert calls == ["fsync", "replace", "fsync"]


def test_the_record_of_an_image_root_lies_in_the_image(tmp_path: Path) -> None:
    state = State(Paths(root=str(tmp_path)))
    state.save(LEDGER)
    assert (tmp_path / "var/lib/k0sruntime/ledger.json").exists()


def test_old_generations_go_and_those_that_may_be_needed_stay(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_, "KEPT_GENERATIONS", 3)
    for number in range(1, 11):
        key = state.keep(f"content {number}".encode())
        files = {"/a": OwnedFile(key, "a", 0o644)}
        state.save(Ledger(number, files, proved=number == 2))
    edited = state.keep(b"somebody edited this")
    state.prune()
    assert state.generations() == [2, 8, 9, 10]
    assert state.kept(edited), "it may be wanted yet"
    assert state.kept(digest(b"content 2"))

    monkeypatch.setattr(ledger_, "KEPT_SECONDS", -1.0)
    state.prune()
    for number in (2, 8, 9, 10):
        assert state.kept(digest(f"content {number}".encode()))
    for gone in (edited, digest(b"content 5")):
        with pytest.raises(RefusedError):
            state.kept(gone)
