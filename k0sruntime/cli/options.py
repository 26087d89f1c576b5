"""The options that commands share, and the request that they make."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

from k0sruntime.cli import complete

if TYPE_CHECKING:
    from collections.abc import Callable

    from k0sruntime.node import Paths
    from k0sruntime.stages import Request

F = TypeVar("F", bound="Callable[..., Any]")


_new_sandbox_option = click.option(
    "--sandbox",
    metavar="DIR",
    type=click.Path(file_okay=False),
    envvar="K0SRUNTIME_SANDBOX",
    show_envvar=True,
    help="Live wholly inside DIR: configuration, data and sockets.",
)


sandbox_option = click.option(
    "--sandbox",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    envvar="K0SRUNTIME_SANDBOX",
    show_envvar=True,
    help="The node is the one that lives inside DIR.",
)
"""``--sandbox`` of commands that look at a node which is there already."""


def node_options(function: F) -> F:
    """Add the options that say which node is meant and what it is composed from."""
    return place_options(
        click.option(
            "--containerd",
            metavar="BIN",
            type=click.Path(dir_okay=False),
            envvar="K0SRUNTIME_CONTAINERD",
            show_envvar=True,
            help="The containerd to use  [default: k0s's own, else the first on PATH]",
        )(function)
    )


def place_options(function: F) -> F:
    """Add those of them that do not say which containerd it has."""
    for option in reversed(
        (
            _new_sandbox_option,
            click.option(
                "--root",
                metavar="DIR",
                type=click.Path(file_okay=False, exists=True),
                envvar="K0SRUNTIME_ROOT",
                show_envvar=True,
                help="Compose for the image root in DIR; nothing is started.",
            ),
            click.option(
                "--settings",
                metavar="FILE",
                type=click.Path(dir_okay=False),
                envvar="K0SRUNTIME_SETTINGS",
                show_envvar=True,
                help="Settings file  [default: /etc/k0sruntime/config.toml]",
            ),
            click.option(
                "--cri-socket",
                metavar="TYPE:URL",
                envvar="K0SRUNTIME_CRI_SOCKET",
                show_envvar=True,
                help="CRI of another runtime, as k0s takes it, such as remote:unix:///run/x.sock.",
            ),
            click.option(
                "--mode",
                type=click.Choice(["managed", "standalone", "remote"]),
                envvar="K0SRUNTIME_MODE",
                show_envvar=True,
                help="Who runs containerd  [default: decided from what is found]",
            ),
            click.option(
                "--without",
                metavar="NAME",
                multiple=True,
                shell_complete=complete.providers,
                envvar="K0SRUNTIME_WITHOUT",
                show_envvar=True,
                help="Leave a provider out; may be given more than once.",
            ),
            click.option(
                "--no-providers",
                is_flag=True,
                envvar="K0SRUNTIME_NO_PROVIDERS",
                show_envvar=True,
                help="Import no provider but the host's own.",
            ),
        )
    ):
        function = option(function)
    return function


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        envvar="K0SRUNTIME_JSON",
        show_envvar=True,
        help="Print a JSON document instead.",
    )(function)


def change_options(function: F) -> F:
    """Add the options of commands that change the node."""
    function = click.option(
        "--lock-timeout",
        metavar="SECONDS",
        type=click.FloatRange(min=0),
        default=60.0,
        envvar="K0SRUNTIME_LOCK_TIMEOUT",
        show_default=True,
        show_envvar=True,
        help="How long to wait for another command on this node.",
    )(function)
    return click.option(
        "--force",
        is_flag=True,
        envvar="K0SRUNTIME_FORCE",
        show_envvar=True,
        help="Overwrite files of ours that somebody edited; the edited ones are kept.",
    )(function)


def fetch_options(function: F) -> F:
    """Add the options of commands that fetch programs."""
    return offline_option(_cache_option(function))


def _cache_option(function: F) -> F:
    return click.option(
        "--cache",
        metavar="DIR",
        type=click.Path(file_okay=False),
        envvar="K0SRUNTIME_CACHE",
        show_envvar=True,
        help="Folder of what was fetched  [default: the machine's own]",
    )(function)


def offline_option(function: F) -> F:
    """Add the option of commands that fetch, or ask registries."""
    return click.option(
        "--offline",
        is_flag=True,
        envvar="K0SRUNTIME_OFFLINE",
        show_envvar=True,
        help="Never open a socket: take what the cache holds, and ask no registry.",
    )(function)


def bundle_option(function: F) -> F:
    """Add the option of commands that take everything out of a bundle."""
    return click.option(
        "--bundle",
        metavar="FILE",
        type=click.Path(dir_okay=False, exists=True),
        envvar="K0SRUNTIME_BUNDLE",
        show_envvar=True,
        help="Take settings, images and programs out of this archive; see k0sruntime bundle.",
    )(function)


def paths(sandbox: str | None, root: str | None) -> Paths:
    """Return the node's paths for ``--sandbox`` or ``--root``.

    Raises:
        click.UsageError: both at once.
    """
    from k0sruntime.node import Paths

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
        settings_from=os.path.abspath(settings_from) if settings_from else "",
    )
