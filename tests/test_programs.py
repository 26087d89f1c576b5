"""Asking programs: bounded in time, and nobody is left behind."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import pytest

from k0sruntime import pipeline, programs
from k0sruntime.cli.story import Silent
from k0sruntime.errors import ProviderError
from k0sruntime.paths import Paths
from k0sruntime.records import Record
from k0sruntime.stages import Request


def script(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def written(path: Path) -> int:
    """Return the number that a program writes once it runs."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if path.exists() and path.read_text().endswith("\n"):
            return int(path.read_text())
        time.sleep(0.01)
    pytest.fail(f"{path} was never written")


def test_an_answer_is_what_the_program_said(tmp_path: Path) -> None:
    program = script(tmp_path, "a", "echo out; echo err >&2; exit 3")
    assert programs.ask([program], 10) == programs.Answer(3, "out\n", "err\n")


def test_an_answer_is_the_same_when_it_is_asked_for_again(tmp_path: Path) -> None:
    asked = programs.begin([script(tmp_path, "a", "echo $$")], 10)
    assert asked.answer() is asked.answer()


def test_a_program_that_is_not_there_says_so() -> None:
    assert programs.ask(["/none/such"], 1) == programs.Answer(-1, "", "No such file or directory")


def test_a_program_that_hangs_is_given_up_though_its_child_holds_the_pipe(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = script(tmp_path, "a", f"sleep 20 & echo $! > {pid}; wait")
    started = time.monotonic()
    answer = programs.ask([program], 0.5)
    assert time.monotonic() - started < 10
    assert (answer.status, answer.errors) == (-1, "no answer within 0.5 s")
    os.kill(written(pid), 9)


def test_a_program_whose_answer_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    asked = programs.begin([script(tmp_path, "a", f"echo $$ > {tmp_path}/pid; sleep 20")], 10)
    pid = written(tmp_path / "pid")
    assert alive(pid)
    del asked
    gc.collect()
    assert not alive(pid)


def test_a_refusal_leaves_no_program_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The versions are asked for before the providers are looked at, and one of them is broken."""
    paths = Paths.in_sandbox(str(tmp_path))
    program = script(tmp_path, "containerd", f"echo $$ > {tmp_path}/pid; sleep 20")

    def broken(*_: object) -> object:
        written(tmp_path / "pid")
        raise ProviderError(Record("acme", "acme-dist", "1.0", "broken").origin)

    monkeypatch.setattr(pipeline, "discover", broken)
    with pytest.raises(ProviderError):
        pipeline.prepare(Request(paths, containerd=program, mode="managed"), Silent())
    gc.collect()
    assert not alive(written(tmp_path / "pid"))
