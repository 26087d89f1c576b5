"""Who must still read a file again that we changed.

Noted down before the file changes and forgotten when it was told: killed in between, the next
command tells it. Below ``/var/lib/k0sruntime`` in ``reload.json``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k0sruntime import regular
from k0sruntime.durable import remove, write_atomically
from k0sruntime.ledger import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k0sruntime.paths import Paths


def owe(paths: Paths, reloads: Iterable[str]) -> None:
    """Note down who must read a file again, ``program:pid-file`` each; empty ones are nobody.

    In an image nobody runs who could.
    """
    owed_now = sorted({*owed(paths), *filter(None, reloads)})
    if owed_now and paths.root == "/":
        write_atomically(_file(paths), json.dumps({"owed": owed_now}).encode())


def owed(paths: Paths) -> tuple[str, ...]:
    """Return who has still to read a file again.

    A record that is spoilt says nobody: the proof finds who missed it.
    """
    try:
        with regular.opened(_file(paths)) as file:
            return tuple(str(spec) for spec in json.load(file)["owed"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def paid(paths: Paths) -> None:
    """Forget it: all have been told."""
    remove(_file(paths))


def _file(paths: Paths) -> str:
    return f"{State(paths).folder}/reload.json"
