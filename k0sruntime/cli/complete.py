"""What a shell is offered: names that are on this node. Reads files; writes and starts nothing.

No provider is imported and no program asked: somebody waits with a finger on the key. What cannot
be read is not offered, and never told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click
    from click.shell_completion import CompletionItem

    from k0sruntime.paths import Paths

K0S_LINES = {"1.35": "containerd 1.7, version = 2", "1.36": "containerd 2.3, version = 3"}


def providers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the providers that are installed, the host's own included."""
    del ctx, param
    from k0sruntime.__about__ import __version__
    from k0sruntime.discovery import installed

    found = {"node": f"k0sruntime {__version__}"}
    found |= {record.name: f"{record.distribution} {record.version}" for record in installed()}
    return _offered(found, incomplete)


def handlers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the handlers that a file on this node defines."""
    del param
    found = {
        path[4]: file
        for path, file in _keys(_paths(ctx))
        if path[2:4] == ("containerd", "runtimes") and len(path) > 4
    }
    return _offered(found, incomplete)


def keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the keys that a file on this node sets, and their tables, as ``explain`` takes them.

    Keys that a shell would want in quotes, those of other plugins than CRI, are left out.
    """
    del param
    from k0sruntime.explain import short

    found = {
        short(path[:end]): file
        for path, file in _keys(_paths(ctx))
        for end in range(3 if path[0] == "plugins" else 1, len(path) + 1)
    }
    return _offered({key: file for key, file in found.items() if '"' not in key}, incomplete)


def generations(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the generations that can be gone back to, the newest first."""
    del param
    from k0sruntime.ledger import State

    known = reversed(State(_paths(ctx)).generations())
    return _offered({str(number): "" for number in known}, incomplete)


def k0s_lines(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the k0s lines that can be judged for."""
    del ctx, param
    return _offered(K0S_LINES, incomplete)


def commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the commands that installed providers bring."""
    del ctx, param
    from k0sruntime import provider_commands

    return _offered(dict.fromkeys(provider_commands.names(), ""), incomplete)


def _offered(found: dict[str, str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(name, help=words or None)
        for name, words in found.items()
        if name.startswith(incomplete)
    ]


def _paths(ctx: click.Context) -> Paths:
    from k0sruntime.cli import options

    return options.paths(ctx.params.get("sandbox"), ctx.params.get("root"))


def _keys(paths: Paths) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (key, file) of the main file and of all drop-ins that can be read."""
    from k0sruntime import toml
    from k0sruntime.compose.layers import leaves
    from k0sruntime.real_files import RealFiles

    files = RealFiles(paths)
    names = sorted(name for name in files.names(paths.dropins) if name.endswith(".toml"))
    for path in (paths.main_file, *(f"{paths.dropins}/{name}" for name in names)):
        try:
            document = toml.load(files.read(path) or b"", path)
        except toml.TOMLError:
            continue
        yield from ((key, path) for key, _ in leaves(document))
