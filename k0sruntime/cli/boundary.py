"""The one error boundary of a command line, ours or a provider's: it maps errors to exit codes.

Nobody else exits or prints errors.
"""

from __future__ import annotations

import os
import sys

import click

from k0sruntime.cli import shells


def run_command(group: click.Command, arguments: list[str], name: str) -> int:
    """Run one command of ``group`` and return its exit code; errors are told in one way.

    A shell that asks for offers (``k0sruntime completion SHELL NAME``) is answered instead.

    Args:
        group: the command line.
        arguments: what follows the program's name.
        name: the program's name, which is also its distribution's.
    """
    if shells.asked(name):
        return shells.answer(group, name)
    as_json, debug = _given("json", arguments), _given("debug", arguments)
    try:
        result = group.main(arguments, prog_name=name, standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as exc:
        return _misused(exc, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, SystemExit) as exc:
        if _of_click(exc):
            raise
        return _failed(exc, name, as_json=as_json, debug=debug)
    return result if isinstance(result, int) else 0


def _of_click(exc: BaseException) -> bool:
    """Tell whether it is click that exits: its reader has gone away. Anybody else's is a fault.

    Code that we call must not end a command that has not done what it was asked for, and least of
    all with 0.
    """
    import traceback

    if not isinstance(exc, SystemExit):
        return False
    *_, (frame, _) = traceback.walk_tb(exc.__traceback__)
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "click"


def _of_output(exc: BaseException) -> bool:
    """Tell whether an error came from printing: all that we print goes through ``click.echo``."""
    import traceback

    steps = traceback.walk_tb(exc.__traceback__)
    printing = any(frame.f_code is click.echo.__code__ for frame, _ in steps)
    return isinstance(exc, OSError) and printing


def _not_written(exc: BaseException) -> int:
    from k0sruntime.errors import ExitCode

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left fails no more
    click.echo(
        f"error: the output cannot be written: {getattr(exc, 'strerror', exc)}\n"
        "  do:    Let it write elsewhere. What was done stays done: see status.\n"
        "(exit 1: no output)",
        err=True,
    )
    return int(ExitCode.BUG)  # not 3: what was asked for may have been done


def _given(flag: str, arguments: list[str]) -> bool:
    """Tell whether a flag is given, before and after click has read the command line.

    An error may come from reading it. A variable says no as it does to click.
    """
    said = os.environ.get(f"K0SRUNTIME_{flag.upper()}", "").strip().lower()
    return f"--{flag}" in arguments or said not in ("", "0", "false", "f", "no", "n", "off")


def _misused(exc: click.ClickException, *, as_json: bool) -> int:
    from k0sruntime.errors import ExitCode

    exc.show()
    if as_json:
        from k0sruntime.cli import render_error

        click.echo(render_error.document(render_error.usage(exc)))
    return int(ExitCode.USAGE)


def _failed(exc: BaseException, name: str, *, as_json: bool, debug: bool) -> int:
    from k0sruntime.cli import render_error
    from k0sruntime.errors import K0sRuntimeError, Refused, RefusedError

    if _of_output(exc):
        return _not_written(exc)
    if debug:
        import traceback

        from k0sruntime import masking

        click.echo(masking.text(traceback.format_exc()), err=True, nl=False)
    if isinstance(exc, Refused):  # a provider's own word for it
        exc = RefusedError(*exc.problems)
    if isinstance(exc, K0sRuntimeError):
        error = exc
        click.echo(render_error.text(exc), err=True)
    else:
        error = render_error.fault(exc, name)
        click.echo(render_error.bug(exc, name, debug=debug), err=True)
    if as_json:
        click.echo(render_error.document(error))
    return int(error.exit_code)
