"""Stands in for what k0sctl does to its file before it reads it: a8m/envsubst, by its lexer's rules.

k0sctl is no package of Debian's. Source: a8m/envsubst ``parse/lex.go`` and ``parse/parse_test.go``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PIECE = re.compile(
    r"(?P<dollar>\$\$)|\$\{(?P<inside>\w+)(?P<rest>[^}\r\n]*)\}|(?P<broken>\$\{)|\$(?P<name>\w+)"
)


def substituted(text: str, environment: Mapping[str, str]) -> str:
    """Replace variables; what nobody set is empty, and a brace without its end is refused."""

    def piece(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if found["broken"]:
            raise ValueError("closing brace expected")
        name = found["inside"] or found["name"]
        if name == "_":
            return found[0]
        default = re.sub(r"^:?[-=]", "", found["rest"] or "")
        return environment.get(name) or default

    return PIECE.sub(piece, text)
