"""What a vendor gives the kit beside the provider: a settings file, and a file of made-up nodes.

A mistake in one of them is no fault of the provider's: it is told before anything is judged, as a
wrong use of pytest. ``python -m k0sruntime.testing.given NODES`` says what is wrong with the nodes:
that file is code, and belongs into a process of its own like all that is judged.
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import TYPE_CHECKING, Any

from k0sruntime import toml
from k0sruntime.errors import K0sRuntimeError
from k0sruntime.guard import cause
from k0sruntime.settings import SettingsFile, refuse_unknown_tables
from k0sruntime.testing.nodes import make_node

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from k0sruntime.node import Node

HOST = "node"
"""The table of the host's own settings; the run with a containerd may need no other."""
MARK = "\n--- what is wrong with the nodes: "
"""Stands before it on standard output."""


class GivenError(Exception):
    """What is given cannot be used; the message says what, where and what to do."""


def settings_table(path: str, provider: str) -> dict[str, Any]:
    """Return a provider's table of a settings file, by its name; nothing where it has none.

    Args:
        path: the file; empty: there is none.
        provider: its name.

    Raises:
        GivenError: it cannot be read, or is no TOML.
    """
    return {key: value for key, value in _tables(path).items() if key == provider}


def refuse_settings(
    path: str, wanted: Collection[str], known: Collection[str], *, named: bool
) -> None:
    """Refuse a settings file that would leave a provider unseen that it is meant for.

    One that has the host's table alone is for the run with a containerd, and fine.

    Args:
        path: the file; empty: there is none.
        wanted: the providers that are judged.
        known: all that are installed.
        named: they were asked for by name: each must have its table.

    Raises:
        GivenError: it cannot be read, has a table of nobody, or none of those that are judged.
    """
    tables = _tables(path)
    try:
        refuse_unknown_tables(SettingsFile(path, tables), {*known, HOST})
    except K0sRuntimeError as exc:
        problem = exc.problems[0]
        raise GivenError(f"{problem.place}: {problem.message}\n  do: {problem.remedy}") from exc
    lacking = sorted(set(wanted) - set(tables))
    if path and set(tables) != {HOST} and lacking and (named or len(lacking) == len(wanted)):
        raise GivenError(
            f"{path} has no table [{lacking[0]}]: the provider would be judged without settings\n"
            f"  do: Give it one, or leave the file out; {_words(tables)}."
        )


def refuse_images(path: str) -> None:
    """Refuse an image bundle that is not there.

    Raises:
        GivenError: there is no such file.
    """
    if path and not os.path.isfile(path):
        raise GivenError(
            f"the image bundle {path} is not there\n  do: Correct --k0sruntime-images, or"
            " k0sruntime_images in the configuration of pytest."
        )


def _words(tables: Collection[str]) -> str:
    return f"there are {', '.join(f'[{name}]' for name in tables)}" if tables else "it is empty"


def _tables(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        with open(path, "rb") as file:
            return dict(toml.load(file.read(), path))
    except OSError as exc:
        raise GivenError(
            f"the settings file {path} cannot be read: {exc.strerror}\n"
            "  do: Correct --k0sruntime-settings, or k0sruntime_settings in the configuration of"
            " pytest."
        ) from exc
    except K0sRuntimeError as exc:
        problem = exc.problems[0]
        raise GivenError(f"{problem.place}: {problem.message}\n  do: {problem.remedy}") from exc


def nodes(path: str, **more: Any) -> Iterator[tuple[str, Node[Any]]]:
    """Yield the vendor's own made-up nodes with their labels.

    Args:
        path: a Python file whose ``NODES`` are arguments of ``make_node``, by label; empty: none.
        more: arguments that all nodes get.

    Raises:
        GivenError: the file does not run, has no such ``NODES``, or one that is no node.
    """
    if not path:
        return
    advice = "  do: Write NODES = {'with a socket': {'files': MadeUpFiles(…)}}, see docs/vendors.md"
    try:
        found = runpy.run_path(path).get("NODES")
    except OSError as exc:
        raise GivenError(
            f"the file of nodes {path} cannot be read: {exc.strerror}\n"
            "  do: Correct --k0sruntime-nodes, or k0sruntime_nodes in the configuration of pytest."
        ) from exc
    except BaseException as exc:
        raise GivenError(f"the file of nodes {path} does not run: {cause(exc)}\n{advice}") from exc
    if not isinstance(found, dict):
        raise GivenError(f"the file of nodes {path} has no table NODES\n{advice}")
    for label, facts in found.items():
        try:
            yield str(label), make_node("", None, **{"mode": "managed", **facts, **more})
        except Exception as exc:
            said = f"{path}: the node {label!r} cannot be made: {cause(exc)}"
            raise GivenError(f"{said}\n{advice}") from exc


def main(path: str) -> None:
    """Say what is wrong with a file of nodes, behind all that the file itself may print."""
    try:
        for _ in nodes(path):
            pass
    except GivenError as exc:
        sys.stdout.write(f"{MARK}{exc}")


if __name__ == "__main__":
    main(sys.argv[1])
