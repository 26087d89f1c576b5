"""What the strings below a class's fields say: one source for screens, editors and pages."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def described(kind: Any) -> Mapping[str, str]:
    """Return what the strings below a class's fields or members say: name to text, on one line."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for one, following in itertools.pairwise(body):
            if (name := _named(one)) and (text := _string(following)):
                found[name] = text
    return found


def _named(node: ast.stmt) -> str:
    target: ast.expr | None = node.target if isinstance(node, ast.AnnAssign) else None
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def _string(node: ast.stmt) -> str:
    value = node.value if isinstance(node, ast.Expr) else None
    said = value.value if isinstance(value, ast.Constant) else None
    return " ".join(said.replace("``", "").split()) if isinstance(said, str) else ""
