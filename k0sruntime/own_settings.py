"""The host's own settings as a request has them, and the node without its providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.choice import Choice
from k0sruntime.errors import K0sRuntimeError
from k0sruntime.facts import ask_programs, observe_node
from k0sruntime.node_provider import NodeSettings
from k0sruntime.settings import SettingsFile, convert
from k0sruntime.settings_source import settings_of
from k0sruntime.stages import Request

if TYPE_CHECKING:
    from k0sruntime.node import Mode, Node
    from k0sruntime.paths import Paths


def chosen(request: Request, own: NodeSettings) -> Choice:
    """Return which providers may be used: what the command line says, and ``[node]``."""
    return Choice(request.without, request.no_providers, own.providers, own.without, own.prefer)


def bare_node(request: Request) -> tuple[Node[Any], NodeSettings]:
    """Return the node and the host's settings, asking no provider, whatever the settings say."""
    own = bare_settings(request)
    programs = ask_programs(request.paths, own)
    return observe_node(request.paths, own, programs, request.mode), own


def last_settings(paths: Paths) -> NodeSettings:
    """Return the host's settings as they were when ``up`` was last asked for."""
    return bare_settings(Request(paths, remember=False))


def bare_settings(request: Request) -> NodeSettings:
    """Return the host's settings; the defaults where the settings file is refused."""
    try:
        return node_settings(settings_of(request), request)
    except K0sRuntimeError:
        return NodeSettings()


def node_settings(file: SettingsFile, request: Request) -> NodeSettings:
    """Return the host's own settings, with what the command line says about them.

    Raises:
        RefusedError: an unknown key or a wrong type in ``[node]``.
    """
    own: NodeSettings = convert(file, "node", NodeSettings)
    said = {"containerd": request.containerd, "cri_socket": request.cri_socket}
    said = {key: value for key, value in said.items() if value}
    if said or request.offline:
        from msgspec.structs import replace as with_

        downloads = with_(own.downloads, offline=own.downloads.offline or request.offline)
        own = with_(own, downloads=downloads, **said)
    return own


def asked_mode(request: Request, own: NodeSettings) -> Mode | None:
    """Return the mode that the operator asks for; ``None`` where it is left to the node."""
    return request.mode or (None if own.mode == "auto" else own.mode)
