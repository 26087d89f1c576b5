"""The root command.

Commands are loaded when they are called, so that ``--help`` imports click and nothing else.
"""

from __future__ import annotations

import importlib
import sys

import click

from k0sruntime.__about__ import __version__
from k0sruntime.cli.boundary import run_command

COMMANDS = {
    "up": "Compose, check, write, start and prove the node's container runtime.",
    "down": "Stop what we started and remove what we own, nothing else.",
    "plan": "Show what up would do, and why.",
    "fetch": "Get all programs that the settings name in advance.",
    "bundle": "Pack wheels, programs, images and settings for a site without a network.",
    "status": "Show what runs, what is owned, and what the last proof said.",
    "report": "Make one page of the node, or of a whole fleet, for a browser.",
    "supervise": "Stay with the containerd that up has started.",
    "verify": "Prove the running node once more, changing nothing.",
    "providers": "List the providers: where they come from, and what they do here.",
    "schema": "Print a JSON Schema of the settings file, for editors.",
    "explain": "Show where a key of the effective configuration comes from.",
    "render": "Print what a folder of drop-ins comes to.",
    "lint": "Judge drop-ins and hosts files against a containerd or a k0s line.",
    "rehearse": "Tell what would become of this node under another k0s or containerd.",
    "migrate": "Rewrite drop-ins and main files for another config version, comments kept.",
    "adopt": "Take a foreign file over that lies under a name of ours; the original is kept.",
    "quarantine": "Move drop-ins of other hands out of containerd's way, or put them right.",
    "rollback": "Go back to an earlier generation.",
    "install-service": "Install the service that runs up --foreground at boot.",
    "new": "Write a new provider: a distribution that installs, passes its tests and conforms.",
    "completion": "Print the script with which a shell completes commands and names.",
    "man": "Write man pages into FOLDER, such as /usr/local/share/man/man1.",
    "export": "Print what belongs to the cluster: worker profile, RuntimeClasses.",
}
"""Name and help of every command; each lives in the module of its name."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a node's life."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"k0sruntime.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, with did-you-mean where there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not near:
                raise
            message = f"No such command {args[0]!r}. Did you mean {near[0]!r}?"
            raise click.UsageError(message, ctx) from exc


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "K0SRUNTIME"},
)
@click.version_option(__version__, prog_name="k0sruntime")
@click.option("--debug", is_flag=True, help="Show tracebacks.", show_envvar=True)
@click.pass_context
def cli(ctx: click.Context, *, debug: bool) -> None:
    """Put container runtimes onto a k0s node: composed, checked, proved, reversible."""
    ctx.obj = {"debug": debug}


def entry() -> None:
    """Run the command line; the console script's function."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    return run_command(cli, arguments, "k0sruntime")
