"""Reading and writing TOML in bulk, with errors that name file, row and column.

rtoml (a binding of the Rust crate ``toml``) reads and writes: in ``bench/`` it is about ten times
as fast as ``tomllib`` and twelve times as fast as ``tomli-w``. Files whose style must survive are
edited with tomlkit instead, never with this module.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

Document = dict[str, Any]

BOM = b"\xef\xbb\xbf"
LARGEST = 16 << 20
"""Bytes. No configuration file is larger; one that is would be read whole by containerd alone."""


class TOMLError(RefusedError):
    """A file that is not TOML; ``problem`` names file, row and column."""

    @property
    def problem(self) -> Problem:
        """The one problem of this error."""
        return self.problems[0]


def load(data: bytes, place: str) -> Document:
    """Parse TOML; ``place`` is the file's name in errors.

    Raises:
        TOMLError: too large to be read whole, not UTF-8, a byte-order mark, or not TOML.
    """
    import rtoml

    if len(data) > LARGEST:
        raise TOMLError(
            Problem(
                f"the file is larger than {LARGEST >> 20} MiB, so that nobody here reads it whole",
                place=place,
                remedy="Make it smaller, or move it away.",
            )
        )
    if data.startswith(BOM):
        raise TOMLError(
            Problem(
                "the file starts with a byte-order mark, which containerd refuses",
                place=f"{place}:1:1",
                remedy="Save it as plain UTF-8, without a byte-order mark.",
            )
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise TOMLError(
            Problem("the file is not UTF-8", place=f"{place}:{line}", remedy="Save it as UTF-8.")
        ) from exc
    try:
        return rtoml.loads(text)
    except rtoml.TomlParsingError as exc:
        raise TOMLError(_parse_problem(str(exc), place)) from exc


def _parse_problem(message: str, place: str) -> Problem:
    found = re.search(
        r"^(?P<what>.*?)(?: at| in)? line (?P<row>\d+) column (?P<column>\d+)", message, re.DOTALL
    )
    if found:
        place = f"{place}:{found['row']}:{found['column']}"
        message = found["what"]
    return Problem(
        f"not TOML: {message.strip()}",
        place=place,
        remedy="Correct the line, or move the file away.",
    )


def dump(document: Mapping[str, Any]) -> str:
    """Write a document: ``version`` first, then the keys in order; the same bytes every time.

    ``1.0`` stays a float, dates and times keep their kind.
    """
    import rtoml

    return rtoml.dumps(_sorted(document, first="version"), pretty=True)


def _sorted(value: Any, first: str = "") -> Any:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (key != first, key))
        return {key: _sorted(value[key]) for key in keys}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value
