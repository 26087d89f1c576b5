"""Snapshots in a vendor's own folder: a file for each line and path."""

from __future__ import annotations

import difflib
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def write(found: Mapping[str, Mapping[str, str]], folder: str) -> None:
    """Write snapshots in place of those that are there."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in _flat(found).items():
        whole = os.path.join(folder, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8") as file:
            file.write(text)


def differences(found: Mapping[str, Mapping[str, str]], folder: str) -> list[str]:
    """Return what differs between snapshots and those that are there, as unified differences."""
    wanted, there = _flat(found), _read(folder)
    lines: list[str] = []
    for path in sorted(wanted.keys() | there.keys()):
        before, after = there.get(path, ""), wanted.get(path, "")
        if before != after or (path in there) != (path in wanted):
            lines += difflib.unified_diff(
                before.splitlines(), after.splitlines(), f"kept/{path}", f"now/{path}", lineterm=""
            )
    return lines


def _flat(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {f"{line}/{path}": text for line, files in found.items() for path, text in files.items()}


def _read(folder: str) -> dict[str, str]:
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            whole = os.path.join(base, name)
            with open(whole, encoding="utf-8") as file:
                found[os.path.relpath(whole, folder)] = file.read()
    return found
