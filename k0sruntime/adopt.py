"""Taking a foreign file over that lies under a name of ours, or the user's main file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from k0sruntime import apply as apply_
from k0sruntime.compose.dropins import PREFIX
from k0sruntime.compose.manifests import STACK
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.ledger import State
from k0sruntime.lock import locked
from k0sruntime.observe import owned

if TYPE_CHECKING:
    from k0sruntime.paths import Paths
    from k0sruntime.plan import Ledger
    from k0sruntime.stages import Request


def adopt_file(request: Request, path: str) -> Ledger:
    """Take over a foreign file that lies under a name of ours, or the user's main file.

    Raises:
        RefusedError: the file is none that we would ever write, or is ours already.
    """
    paths = request.paths
    owner = _adoptable(path, paths)
    with locked(paths, request.lock_timeout, lambda _: None):
        state = State(paths)
        if path in owned(paths).files:
            raise RefusedError(
                Problem(
                    "this file is ours already",
                    place=path,
                    remedy="Run k0sruntime plan to see whether it was edited.",
                )
            )
        return apply_.adopt(path, owner, paths, state)


def _adoptable(path: str, paths: Paths) -> str:
    """Return who owns a path once it is adopted.

    Raises:
        RefusedError: no file of ours ever lies there.
    """
    folder, _, name = path.rpartition("/")
    manifests = f"{paths.manifests}/{STACK}"
    if path == paths.main_file or folder.startswith(f"{paths.certs}/") or folder == manifests:
        return "node"
    if folder == paths.dropins and name.startswith(PREFIX) and name.endswith(".toml"):
        return name.removeprefix(PREFIX).removesuffix(".toml")
    if os.path.dirname(folder) == paths.config_files:
        return os.path.basename(folder)
    raise RefusedError(
        Problem(
            "only a file under a name that we write can be adopted",
            place=path,
            remedy=f"Adopt {paths.main_file}, {paths.dropins}/{PREFIX}*.toml, or a file below"
            f" {paths.certs} or {paths.config_files}; leave others.",
        )
    )
