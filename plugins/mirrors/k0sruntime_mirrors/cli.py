"""``k0sruntime-mirrors``: settings out of what is there, and what containerd does for an image."""

from __future__ import annotations

import json
import os
import sys

import click

from k0sruntime_mirrors import cli_import, cli_resolve, told

REPORT = "This is a fault of ours, not yours. Please report it with the command line and this text."


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "K0SRUNTIME_MIRRORS",
    }
)
@click.version_option(package_name="k0sruntime-mirrors", prog_name="k0sruntime-mirrors")
def cli() -> None:
    """Registry mirrors of a k0s node: take them over, and see what containerd makes of them."""


cli.add_command(cli_import.command)
cli.add_command(cli_resolve.command)


def entry() -> None:
    """Run the command line; the console script's function."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Nobody else exits or prints errors."""
    try:
        result = cli.main(arguments, prog_name="k0sruntime-mirrors", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return told.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as exc:  # noqa: BLE001 - the one boundary
        as_json = "--json" in arguments or bool(os.environ.get("K0SRUNTIME_JSON"))
        return _failed(exc, as_json=as_json)
    return result if isinstance(result, int) else 0


def _failed(exc: Exception, *, as_json: bool) -> int:
    from k0sruntime import K0sRuntimeError, Refused

    if isinstance(exc, click.ClickException):
        exc.show()
        return told.REFUSED if isinstance(exc, click.FileError) else exc.exit_code
    if not isinstance(exc, (K0sRuntimeError, Refused)):
        click.echo(f"bug: {type(exc).__name__}: {exc}\n  {REPORT}", err=True)
        return told.BUG
    told.tell(exc.problems, "error")
    code = int(exc.exit_code) if isinstance(exc, K0sRuntimeError) else told.REFUSED
    if as_json:
        click.echo(json.dumps(told.document(code, exc.problems), indent=2))
    return code
