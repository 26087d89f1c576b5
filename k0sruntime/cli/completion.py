"""``k0sruntime completion``."""

from __future__ import annotations

import click


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> int:
    """Print the script with which a shell completes commands, options and names on this node.

    bash: k0sruntime completion bash > /etc/bash_completion.d/k0sruntime;
    zsh: k0sruntime completion zsh > a file _k0sruntime in a folder of fpath;
    fish: k0sruntime completion fish > ~/.config/fish/completions/k0sruntime.fish.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from k0sruntime.cli.main import COMPLETE, cli

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has all three
    # Not the class's own source(): bash's starts a bash to look at its version.
    click.echo(ShellComplete.source(kind(cli, {}, "k0sruntime", COMPLETE)))
    return 0
