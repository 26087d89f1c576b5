"""The options that commands share, and the request that they make."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

from k0sruntime.cli import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k0sruntime.paths import Paths
    from k0sruntime.stages import Request

F = TypeVar("F", bound="Callable[..., Any]")


def option(*names: str, variable: str, **words: Any) -> Callable[[F], F]:
    """Return an option that an environment variable gives as well, and that says so.

    Args:
        names: as click takes them.
        variable: what follows ``K0SRUNTIME_`` in the variable's name.
        words: as click takes them.
    """
    return click.option(*names, envvar=f"K0SRUNTIME_{variable}", show_envvar=True, **words)


def flag_option(*names: str, variable: str, **words: Any) -> Callable[[F], F]:
    """Return such an option that is there or not."""
    return option(*names, variable=variable, is_flag=True, **words)


def file_option(
    *names: str,
    variable: str,
    metavar: str = "FILE",
    exists: bool = False,
    allow_dash: bool = False,
    **words: Any,
) -> Callable[[F], F]:
    """Return such an option that takes a file; ``exists`` where it must be there already."""
    kind = click.Path(exists=exists, dir_okay=False, allow_dash=allow_dash)
    return option(*names, variable=variable, metavar=metavar, type=kind, **words)


def folder_option(
    *names: str, variable: str, metavar: str = "DIR", exists: bool = False, **words: Any
) -> Callable[[F], F]:
    """Return such an option that takes a folder; ``exists`` where it must be there already."""
    kind = click.Path(exists=exists, file_okay=False)
    return option(*names, variable=variable, metavar=metavar, type=kind, **words)


_new_sandbox_option = folder_option(
    "--sandbox",
    variable="SANDBOX",
    help="Live wholly inside DIR: configuration, data and sockets.",
)


def sandbox_option(function: F) -> F:
    """Add ``--sandbox DIR`` to a command that looks at a node which is there already."""
    return folder_option(
        "--sandbox",
        exists=True,
        variable="SANDBOX",
        help="The node is the one that lives inside DIR.",
    )(function)


def node_options(function: F) -> F:
    """Add the options that say which node is meant and what it is composed from."""
    return place_options(
        file_option(
            "--containerd",
            metavar="BIN",
            variable="CONTAINERD",
            help="The containerd to use  [default: k0s's own, else the first on PATH]",
        )(function)
    )


def place_options(function: F) -> F:
    """Add those of them that do not say which containerd it has."""
    return _added(function, (*_PLACE, *_RUNS, *_CHOICE))


def choice_options(function: F) -> F:
    """Add those of them that say which providers may be used: the node's settings do, as well."""
    return _added(function, (*_PLACE, *_CHOICE))


def _added(function: F, options: Sequence[Callable[[F], F]]) -> F:
    for option_ in reversed(options):
        function = option_(function)
    return function


_PLACE: Sequence[Callable[[Any], Any]] = (
    _new_sandbox_option,
    folder_option(
        "--root",
        exists=True,
        variable="ROOT",
        help="Compose for the image root in DIR; nothing is started.",
    ),
    file_option(
        "--settings",
        variable="SETTINGS",
        help="Settings file  [default: /etc/k0sruntime/config.toml]",
    ),
)
_RUNS: Sequence[Callable[[Any], Any]] = (
    option(
        "--cri-socket",
        metavar="TYPE:URL",
        variable="CRI_SOCKET",
        help="CRI of another runtime, as k0s takes it, such as remote:unix:///run/x.sock.",
    ),
    option(
        "--mode",
        type=click.Choice(["managed", "standalone", "remote"]),
        variable="MODE",
        help="Who runs containerd  [default: decided from what is found]",
    ),
)
_CHOICE: Sequence[Callable[[Any], Any]] = (
    option(
        "--without",
        metavar="NAME",
        multiple=True,
        shell_complete=complete.providers,
        variable="WITHOUT",
        help="Leave a provider out; may be given more than once.",
    ),
    flag_option(
        "--no-providers",
        variable="NO_PROVIDERS",
        help="Import no provider but the host's own.",
    ),
)


def json_option(function: F) -> F:
    """Add ``--json``."""
    return flag_option(
        "--json",
        "as_json",
        variable="JSON",
        help="Print a JSON document instead.",
    )(function)


def change_options(function: F) -> F:
    """Add the options of commands that change the node."""
    function = option(
        "--lock-timeout",
        metavar="SECONDS",
        type=click.FloatRange(min=0),
        default=60.0,
        variable="LOCK_TIMEOUT",
        show_default=True,
        help="How long to wait for another command on this node.",
    )(function)
    return flag_option(
        "--force",
        variable="FORCE",
        help="Overwrite files of ours that somebody edited; the edited ones are kept.",
    )(function)


def fetch_options(function: F) -> F:
    """Add the options of commands that fetch programs."""
    return offline_option(_cache_option(function))


def _cache_option(function: F) -> F:
    return folder_option(
        "--cache",
        variable="CACHE",
        help="Folder of what was fetched  [default: the machine's own]",
    )(function)


def offline_option(function: F) -> F:
    """Add the option of commands that fetch, or ask registries."""
    return flag_option(
        "--offline",
        variable="OFFLINE",
        help="Never open a socket: take what the cache holds, and ask no registry.",
    )(function)


def bundle_option(function: F) -> F:
    """Add the option of commands that take everything out of a bundle."""
    return file_option(
        "--bundle",
        exists=True,
        variable="BUNDLE",
        help="Take settings, images and programs out of this archive; see k0sruntime bundle.",
    )(function)


def paths(sandbox: str | None, root: str | None) -> Paths:
    """Return the node's paths for ``--sandbox`` or ``--root``.

    Raises:
        click.UsageError: both at once.
    """
    from k0sruntime.paths import Paths

    if sandbox and root:
        raise click.UsageError("--sandbox and --root exclude each other.")
    if sandbox:
        return Paths.in_sandbox(os.path.abspath(sandbox))
    return (
        Paths(root=os.path.abspath(root), image=True) if root else Paths(settings=_settings_file())
    )


def _settings_file() -> str:
    """Return the node's settings file, or a plain user's own where the node has none."""
    default = "/etc/k0sruntime/config.toml"
    if os.geteuid() == 0 or os.path.exists(default):
        return default
    import platformdirs

    return str(platformdirs.user_config_path("k0sruntime") / "config.toml")


def cri_flag(value: str | None) -> str:
    """Return a value of ``--cri-socket`` that k0s takes.

    Raises:
        click.UsageError: what k0s says of any other.
    """
    from k0sruntime.compose.cri_flag import endpoint
    from k0sruntime.contributions import CRISocket

    try:
        if url := endpoint(value or ""):
            CRISocket(url=url)
    except ValueError as exc:
        raise click.UsageError(f"--cri-socket={value}: {exc}") from exc
    return value or ""


def request(
    *,
    sandbox: str | None = None,
    root: str | None = None,
    settings: str | None = None,
    containerd: str | None = None,
    cri_socket: str | None = None,
    mode: Any = None,
    without: tuple[str, ...] = (),
    no_providers: bool = False,
    force: bool = False,
    lock_timeout: float = 60.0,
    offline: bool = False,
    cache: str | None = None,
    settings_from: str | None = None,
) -> Request:
    """Return the pipeline's request for the shared options."""
    from k0sruntime.stages import Request

    named = settings_from or settings or ""
    named = os.path.abspath(named) if named else ""
    return Request(
        paths(sandbox, root),
        os.path.abspath(settings) if settings else "",
        frozenset(without),
        no_providers,
        mode,
        os.path.abspath(containerd) if containerd else "",
        force,
        lock_timeout,
        offline,
        cache or "",
        cri_socket=cri_flag(cri_socket),
        start=not root,
        settings_from=named if settings_from else "",
        given=_handed_over(named),
    )


def _handed_over(path: str) -> bytes | None:
    """Return what a pipe says that the shell has opened, which says it once; else ``None``."""
    from k0sruntime import regular

    if regular.handed_over(path):
        with contextlib.suppress(OSError):  # whoever reads it next says so
            return regular.content(path, regular.ENOUGH)
    return None
