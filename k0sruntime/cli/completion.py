"""``k0sruntime completion``."""

from __future__ import annotations

import click

from k0sruntime.cli import complete


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.argument("name", metavar="[COMMAND]", default="", shell_complete=complete.commands)
def command(*, shell: str, name: str) -> int:
    """Print the script with which a shell completes commands, options and names on this node.

    COMMAND is one that a provider brings, such as k0sruntime-nvidia; without it, k0sruntime.

    bash: k0sruntime completion bash > /etc/bash_completion.d/k0sruntime;
    zsh: k0sruntime completion zsh > a file _k0sruntime in a folder of fpath;
    fish: k0sruntime completion fish > ~/.config/fish/completions/k0sruntime.fish.
    """
    from k0sruntime import provider_commands
    from k0sruntime.cli.shells import script

    if name not in ("", "k0sruntime"):
        provider_commands.refuse_unknown(name)
    click.echo(script(shell, name or "k0sruntime"))
    return 0
