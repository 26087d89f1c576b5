"""Files that cannot be read at all, and values of a type that cannot be decoded.

Sources: containerd 2.3 ``cmd/containerd/server/config/config.go`` (strict decoding into structs),
seen on 1.7.24 and 2.1.9; hosts files: ``core/remotes/docker/config/hosts.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.compose.layers import leaves
from k0sruntime.lint.case import RUNC_TYPES
from k0sruntime.lint.effective import merges_by_k0s, table_at
from k0sruntime.lint.finding import Consequence, Hit, Rule
from k0sruntime.lint.known_keys import CRI_TABLES, ROOT, RUNC_OPTIONS
from k0sruntime.lint.spec import Key, find, fits, kind_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.subject import File


def not_toml(case: Case) -> Iterator[Hit]:
    """Find files that are not TOML, or not UTF-8."""
    for file in case.subject.all_files():
        if file.fault and not (file.bom and case.target.schema > 2):
            remedy = "Correct the line, or move the file away."
            remedy = remedy if file.fault.line else "Move it away."
            yield Hit(
                file,
                file.fault.message,
                remedy,
                line=file.fault.line,
                column=file.fault.column,
                consequence=_unreadable(file),
            )


def byte_order_mark(case: Case) -> Iterator[Hit]:
    """Find files that start with a byte-order mark: containerd 2 refuses it, 1.7 reads over it."""
    for file in case.subject.all_files():
        if file.bom:
            old = case.target.schema == 2
            yield Hit(
                file,
                "the file starts with a byte-order mark",
                "Save it as plain UTF-8, without a byte-order mark.",
                line=1,
                column=1,
                consequence="untidy" if old else _unreadable(file),
            )


def _unreadable(file: File) -> Consequence | None:
    """A hosts file that cannot be read is logged and passed over; any other stops containerd.

    Of a FIFO containerd reads for ever: a pull then never ends.
    """
    if file.role != "hosts":
        return None
    return "breaks pods" if file.fault and "FIFO" in file.fault.message else "silently ignored"


def wrong_type(case: Case) -> Iterator[Hit]:
    """Find values that containerd cannot decode into its own types."""
    for file in case.files:
        for path, value, key in _typed(file):
            if key.known_to(case.target.containerd) and not fits(value, key.kind):
                overridden = _overridden(case, file, path)
                yield Hit(
                    file,
                    f"{path[-1]} is {kind_of(value)}; it must be {_article(key.kind)}",
                    f"Write {_article(key.kind)}.",
                    path,
                    consequence="untidy" if overridden else None,
                )


def _typed(file: File) -> Iterator[tuple[Path, Any, Key]]:
    """Yield every key whose type is known: at the root, in the CRI tables."""
    for path, value, key, _ in walk(file.document, ROOT, ()):
        if key:
            yield path, value, key
    for plugin, value in table_at(file.document, "plugins").items():
        path = ("plugins", plugin)
        if not isinstance(value, dict):
            yield path, value, Key("table")
        elif plugin in CRI_TABLES:
            for where, inner, key, _ in walk(value, CRI_TABLES[plugin], path):
                if key:
                    yield where, inner, key


def _overridden(case: Case, file: File, path: Path) -> bool:
    """Tell whether a later file sets the key; only plugins are merged before decoding."""
    return (
        path[0] == "plugins"
        and len(path) > 2
        and (case.target.schema > 2 or merges_by_k0s(case.files, case.target))
        and case.effective.setters.get(path) is not file
    )


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "integer" else f"a {kind}"


def value_over_table(case: Case) -> Iterator[Hit]:
    """Find values that replace a table of an earlier file, at keys whose type is free.

    containerd 2.1.9 takes the later value and says nothing; where it has a type, K0R003 knows it.
    """
    if case.target.schema == 2:
        return
    tables: set[Path] = set()
    for file in case.files:
        known = {path for path, _, _ in _typed(file)}
        for path, value in leaves(table_at(file.document, "plugins"), ("plugins",)):
            tables |= {path[:length] for length in range(3, len(path))}
            if path in tables and path not in known and not isinstance(value, dict):
                yield Hit(
                    file,
                    f"{path[-1]} is {kind_of(value)} here and replaces the table of a file before",
                    "Give the key the same shape in both files.",
                    path,
                )


def wrong_option_type(case: Case) -> Iterator[Hit]:
    """Find runc options of a wrong type, which only come to light when a pod starts."""
    for handler in case.handlers():
        if handler.runtime_type not in RUNC_TYPES:
            continue
        for name, value in handler.options.items():
            key = find(RUNC_OPTIONS, name)
            path = (*handler.path, "options", name)
            if key and not fits(value, key.kind):
                yield Hit(
                    case.setter(path),
                    f"the option {name} is {kind_of(value)}; it must be {_article(key.kind)}",
                    f"Write {_article(key.kind)}.",
                    path,
                )


RULES = (
    Rule("K0R001", "not-toml", "a file that cannot be parsed", "stops the node", not_toml),
    Rule(
        "K0R002",
        "byte-order-mark",
        "a file that starts with a byte-order mark",
        "stops the node",
        byte_order_mark,
    ),
    Rule(
        "K0R003",
        "wrong-type",
        "a value of a type that containerd cannot decode",
        "stops the node",
        wrong_type,
    ),
    Rule(
        "K0R004",
        "value-over-table",
        "a value that replaces a table of an earlier file",
        "silently ignored",
        value_over_table,
    ),
    Rule(
        "K0R005",
        "wrong-option-type",
        "a runc option of a type that the shim cannot decode",
        "breaks pods",
        wrong_option_type,
    ),
)
"""K0R0xx: syntax and types."""
