"""A provider's own command line ends as the host's does."""

from __future__ import annotations

import errno
import json
import sys

import click
import pytest

from k0sruntime import Problem, Refused, json_option, run_command, sandbox_option


@click.command()
@click.argument("what")
@sandbox_option
@json_option
def acme(*, what: str, sandbox: str | None, as_json: bool) -> int:
    del sandbox, as_json
    if what == "refused":
        raise Refused(Problem("no shim is installed", place="/usr/bin", remedy="Install it."))
    if what == "bug":
        raise KeyError("x")
    if what == "exit":
        sys.exit(0)
    if what == "pipe":
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    return 8


def test_a_command_returns_its_own_exit_code() -> None:
    assert run_command(acme, ["fine"], "k0sruntime-acme") == 8


def test_what_a_provider_refuses_exits_with_3_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(acme, ["refused", "--json"], "k0sruntime-acme") == 3
    out, err = capsys.readouterr()
    assert "no shim is installed" in err
    assert "Install it." in err
    assert json.loads(out)["exit_code"] == 3


def test_a_fault_is_that_of_the_named_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(acme, ["bug"], "k0sruntime-gvisor") == 1
    assert "bug: KeyError" in (said := capsys.readouterr().err)
    assert "k0sruntime-gvisor 0." in said


def test_a_wrong_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(acme, ["fine", "--nope"], "k0sruntime-acme") == 2
    assert "No such option" in capsys.readouterr().err


def test_an_exit_in_the_middle_is_a_fault_and_never_a_silent_success(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(acme, ["exit", "--json"], "k0sruntime") == 1
    said = capsys.readouterr()
    assert "bug: SystemExit: 0" in said.err
    assert json.loads(said.out)["exit_code"] == 1


def test_a_reader_that_has_gone_away_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:  # as click ends it
        run_command(acme, ["pipe"], "k0sruntime")
    assert (ended.value.code, capsys.readouterr().err) == (1, "")
