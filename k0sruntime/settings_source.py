"""Where the settings of a request come from: read once, and never older than what was proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import settings_file, toml
from k0sruntime.errors import RefusedError
from k0sruntime.ledger import State
from k0sruntime.observe import read_settings
from k0sruntime.settings import SettingsFile

if TYPE_CHECKING:
    from k0sruntime.paths import Paths
    from k0sruntime.stages import Request


def settings_of(request: Request) -> SettingsFile:
    """Return the settings that a request is to be composed from.

    They are those of the file that is named, or else of the node's own; but a change that is done
    counts before its settings file is written, and a supervisor keeps the node at what it has.

    Raises:
        RefusedError: unreadable, or not TOML.
    """
    data = _known(request)
    if data is None:
        return read_settings(request.paths, request.read_from)
    where = request.read_from or request.paths.settings
    return SettingsFile(where, toml.load(data, where), data)


def _known(request: Request) -> bytes | None:
    """Return the settings where they are not to be read from the file."""
    if request.given is not None:
        return request.given
    if request.settings_from:
        return None
    if not request.remember and not request.settings:
        return asked_for_last(request.paths)
    return settings_file.on_its_way(request.paths, request.settings)


def asked_for_last(paths: Paths) -> bytes | None:
    """Return the settings of the generation that the node was last proved with.

    ``None`` where that is not known.
    """
    from k0sruntime.apply import generation, way_back

    state = State(paths)
    try:
        key = generation(way_back(state), state).settings
        return state.kept(key) if key else None
    except RefusedError:
        return None
