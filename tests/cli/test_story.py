"""The story: live on a terminal, plain in a log."""

from __future__ import annotations

import pytest

from k0sruntime.cli.story import Stderr


def test_progress_is_shown_on_a_terminal_and_replaced_by_the_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    story = Stderr()
    with story.stage("fetch") as tell:
        story.progress("runsc [##--] 50 % of 2.1 MB")
        tell("runsc 1")
    told = capsys.readouterr().err
    assert "50 % of 2.1 MB" in told
    assert told.rpartition("\r")[2].startswith("\x1b[2K\x1b[1mfetch")


def test_a_log_holds_no_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    Stderr().progress("runsc 50 %")
    assert capsys.readouterr().err == ""
