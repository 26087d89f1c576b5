r"""How a shell completes a command line that ``run_command`` runs: ours, or a provider's.

click makes the offers; what a shell does with them is told here, where click's own scripts do
harm. bash splits words at ``=`` and ``:`` and puts an offer into the line as it is, so that ours
joins the words, gives back the part that bash replaces, and quotes what is odd. zsh replaces a
whole word, the option before ``=`` too. What a terminal cannot show is offered to none of them:
names come out of files of other hands.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from k0sruntime.guard import one_line

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem, ShellComplete

BASH = r"""%(complete_func)s() {
    local IFS=$'\n' rest="${COMP_LINE:0:COMP_POINT}" words=() word i
    # As they were typed: words that no space parts are one.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == 0)) || [[ $rest == [[:space:]]* ]]; then words+=(""); fi
        rest=${rest#"${rest%%%%[![:space:]]*}"}
        ((i < COMP_CWORD)) || word=$rest
        words[${#words[@]}-1]+=$word
        rest=${rest#"$word"}
    done
    local typed=${words[${#words[@]}-1]} quote="" head="" breaks=${COMP_WORDBREAKS//[!=:@]/}
    [[ $typed != -*=* ]] || typed=${typed#*=}
    [[ $typed != [\"\']* ]] || quote=${typed:0:1}
    [[ ${typed:${#quote}} != *[\"\']* ]] || return 0
    # What is before the last of these stays in the line; bash replaces the rest.
    [[ -n $quote || -z $breaks ]] || head=${typed%%"${typed##*[$breaks]}"}
    local line value
    while IFS= read -r line; do
        value=${line#*,}
        case ${line%%%%,*} in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain)
            case $quote in
            \') [[ $value != *\'* ]] || continue ;;
            \")
                [[ $value != *!* ]] || continue
                value=${value//\\/\\\\} value=${value//\"/\\\"} value=${value//\$/\\\$}
                value=${value//\`/\\\`}
                ;;
            *) printf -v value %%q "$value" ;;
            esac
            [[ $value != "$head"* ]] || COMPREPLY+=("${value#"$head"}")
            ;;
        esac
    done < <(env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) \
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
ZSH_IN_PATH = "(( ! $+commands[%(prog_name)s] )) && return 1\n"
ZSH_OPTION = "    [[ $PREFIX != -*=* ]] || { IPREFIX+=${PREFIX%%%%=*}=; PREFIX=${PREFIX#*=}; }\n"
"""Folders and files are looked for by what follows ``=``."""


def variable(name: str) -> str:
    """Return the variable with which a shell asks a command, as click names it."""
    return f"_{name.replace('-', '_').replace('.', '_')}_COMPLETE".upper()


def asked(name: str) -> bool:
    """Tell whether it is a shell that calls."""
    return variable(name) in os.environ


def script(shell: str, name: str) -> str:
    """Return what a shell reads to complete a command.

    Args:
        shell: bash, zsh or fish.
        name: the command's name.
    """
    import click
    from click.shell_completion import ShellComplete

    told = _kind(shell)(click.Command(name), {}, name, variable(name))
    # Not the class's own source(): bash's starts a bash to look at its version.
    return ShellComplete.source(told)


def answer(group: click.Command, name: str) -> int:
    """Answer a shell: whatever goes wrong, its user sees no error of ours."""
    import contextlib
    import io

    import click

    shell, _, what = os.environ[variable(name)].partition("_")
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            told = _kind(shell)(group, {}, name, variable(name))
            said = script(shell, name) if what == "source" else told.complete()
        except Exception:  # noqa: BLE001 - a shell has no use for it
            return 1
    click.echo(said.encode())
    return 0


def _kind(shell: str) -> type[ShellComplete]:
    """Return click's class for a shell, mended.

    Raises:
        ValueError: there is no such shell.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(f"no shell {shell!r}")
    template = kind.source_template
    if shell == "bash":
        template = BASH
    elif shell == "zsh":
        template = template.replace(ZSH_IN_PATH, ZSH_IN_PATH + ZSH_OPTION)

    class Mended(kind):  # type: ignore[misc, valid-type]
        source_template = template

        def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
            """Return what can be shown, as this shell wants it."""
            found: list[CompletionItem] = super().get_completions(args, incomplete)
            option = f"{incomplete.partition('=')[0]}=" if incomplete[:1] == "-" else ""
            for item in found:
                item.help = one_line(item.help) if item.help else item.help
                # They take the whole word, its option included.
                if shell in ("fish", "zsh") and option in incomplete and item.type == "plain":
                    item.value = option + item.value
            return [item for item in found if item.value is None or str(item.value).isprintable()]

    return Mended
