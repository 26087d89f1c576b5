"""``k0sruntime-mirrors``: settings out of what is there, and what containerd does for an image."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime import Files, Problem, Resolution, Version
    from k0sruntime_mirrors.imported import Imported

REFUSED = 3
"""Exit code of what is refused, as ``k0sruntime`` has it."""
INTERRUPTED = 130
BUG = "This is a fault of ours, not yours. Please report it with the command line and this text."
NEWEST = "2.3"


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "K0SRUNTIME_MIRRORS",
    }
)
@click.version_option(package_name="k0sruntime-mirrors", prog_name="k0sruntime-mirrors")
def cli() -> None:
    """Registry mirrors of a k0s node: take them over, and see what containerd makes of them."""


@cli.command(name="import")
@click.argument("source", metavar="FILE", type=click.Path(exists=True))
@click.option(
    "--disable-default-registry-endpoint",
    "mirror_only",
    is_flag=True,
    show_envvar=True,
    help="k3s runs with this option: the registries themselves are never asked.",
)
@click.option(
    "--leave-out",
    is_flag=True,
    show_envvar=True,
    help="Leave out what containerd cannot do, say so, and print the rest.",
)
@click.option(
    "--output",
    metavar="PATH",
    type=click.Path(dir_okay=False),
    show_envvar=True,
    help="Write the settings to a new file that only its owner reads, secrets included.",
)
def import_(*, source: str, mirror_only: bool, leave_out: bool, output: str | None) -> int:
    """Print the settings that FILE comes to.

    FILE is k3s's registries.yaml, or a folder of hosts files such as /etc/containerd/certs.d.
    Passwords, tokens and headers are masked in what is printed; --output keeps them.
    """
    from k0sruntime_mirrors import write

    found = _imported(source, mirror_only=mirror_only)
    if found.refused:
        _tell(found.refused, "left out" if leave_out else "error")
        if not leave_out:
            hint = "nothing is printed; --leave-out goes on without it"
            click.echo(f"(exit {REFUSED}: {hint})", err=True)
            return REFUSED
    for note in dict.fromkeys(found.notes):
        click.echo(f"note: {note}", err=True)
    head = f"# From {source}. These tables belong into /etc/k0sruntime/config.toml.\n\n"
    if not found.tables:
        click.echo("note: no registry is left to be set", err=True)
    click.echo(head + write.text(write.masked(found.tables)), nl=False)
    if output:
        _write(output, head + write.text(found.tables))
        click.echo(f"written to {output}", err=True)
    elif write.masked(found.tables) != found.tables:
        click.echo("note: secrets are masked here; --output PATH writes them", err=True)
    return 0


def _imported(source: str, *, mirror_only: bool) -> Imported:
    from k0sruntime_mirrors import k3s, tree

    if os.path.isdir(source):
        return tree.read(os.path.abspath(source), _files())
    try:
        with open(source, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise click.FileError(source, str(exc)) from exc
    return k3s.read(text, source, mirror_only=mirror_only)


def _write(path: str, text: str) -> None:
    """Write a new file; one that is there is left alone."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as exc:
        raise click.FileError(path, exc.strerror) from exc


@cli.command()
@click.argument("image")
@click.option(
    "--certs-d",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    envvar="K0SRUNTIME_CERTS_D",
    show_envvar=True,
    help="The folder of hosts files, read as containerd 2.3 reads it  [default: the node's, as its"
    " own containerd reads it]",
)
@click.option(
    "--containerd",
    metavar="VERSION",
    envvar="K0SRUNTIME_CONTAINERD_VERSION",
    show_envvar=True,
    help="As this one reads it, such as 1.7.",
)
@click.option(
    "--sandbox",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    envvar="K0SRUNTIME_SANDBOX",
    show_envvar=True,
    help="The node is the one that lives inside DIR.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="K0SRUNTIME_JSON",
    show_envvar=True,
    help="Print a JSON document instead.",
)
def resolve(
    *, image: str, certs_d: str | None, containerd: str | None, sandbox: str | None, as_json: bool
) -> int:
    """Show what containerd does for IMAGE: which hosts it asks, in which order, and how.

    Exits with 3 where every pull would fail. What containerd silently does in another way than
    the files seem to say is a warning. Nothing is asked over the network.
    """
    from k0sruntime import resolve_image
    from k0sruntime_mirrors import show

    if certs_d and sandbox:
        raise click.UsageError("--certs-d and --sandbox exclude each other.")
    certs, version = _node(certs_d, containerd, sandbox or "")
    found = _with_pairs(resolve_image(image, certs, _files(), version))
    if as_json:
        click.echo(json.dumps(show.document(found, str(version)), indent=2))
    else:
        click.echo(show.text(found, certs, containerd or str(version)))
    return REFUSED if found.failures else 0


def _node(certs_d: str | None, containerd: str | None, sandbox: str) -> tuple[str, Version]:
    """Return the folder of hosts files, and the containerd that reads it.

    Raises:
        click.UsageError: no version.
    """
    from k0sruntime import Version, this_node
    from k0sruntime_mirrors.provider import provider

    version = Version.parse(containerd or NEWEST)
    if version is None:
        raise click.UsageError(f"--containerd {containerd!r} is no version such as {NEWEST}.")
    if certs_d:
        return os.path.abspath(certs_d), version
    node = this_node("mirrors", provider, sandbox=sandbox)
    if node.containerd and not containerd:
        version = node.containerd.version
    return node.paths.certs, version


def _files() -> Files:
    from k0sruntime import files_here

    return files_here()


def _with_pairs(found: Resolution) -> Resolution:
    """Add client certificates that do not fit their keys: they fail every pull as well."""
    from dataclasses import replace

    from k0sruntime_mirrors.endpoint import pair_fault

    pairs = dict.fromkeys(pair for host in found.hosts for pair in host.client)
    faults = tuple(fault for pair in pairs if (fault := pair_fault(*pair)))
    if not faults:
        return found
    return replace(found, hosts=(), asked=(), failures=(*found.failures, *faults))


def _tell(problems: Sequence[Problem], kind: str) -> None:
    for problem in problems:
        first, *rest = problem.lines()
        click.echo("\n".join([f"{kind}: {first}", *rest]), err=True)


def entry() -> None:
    """Run the command line; the console script's function."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Nobody else exits or prints errors."""
    try:
        result = cli.main(arguments, prog_name="k0sruntime-mirrors", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
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
        return REFUSED if isinstance(exc, click.FileError) else exc.exit_code
    if not isinstance(exc, (K0sRuntimeError, Refused)):
        click.echo(f"bug: {type(exc).__name__}: {exc}\n  {BUG}", err=True)
        return 1
    _tell(exc.problems, "error")
    code = int(exc.exit_code) if isinstance(exc, K0sRuntimeError) else REFUSED
    if as_json:
        click.echo(json.dumps(_error(code, exc.problems), indent=2))
    return code


def _error(code: int, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "kind": "Error",
        "schema": 1,
        "exit_code": code,
        "problems": [asdict(problem) for problem in problems],
    }
