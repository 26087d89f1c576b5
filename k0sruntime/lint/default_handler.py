"""The default handler: where it is not defined CRI does not load, though containerd stays up.

Source: containerd 2.3 ``internal/cri/config/config.go`` (``ValidateRuntimeConfig``); that 1.7 loses
its own ``runc`` was seen on 1.7.24.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.effective import merges_by_k0s, table_at
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path


def _default_name(case: Case) -> Iterator[tuple[Path, object]]:
    for path, table in case.cri("runtime"):
        where = (*path, "containerd", "default_runtime_name")
        containerd = table_at(table, "containerd")
        if "default_runtime_name" in containerd:
            yield where, containerd["default_runtime_name"]


def defined_names(case: Case) -> set[str]:
    """Return the names of all handlers, containerd's own ``runc`` among them where it stays.

    containerd 1.7 loses its ``runc`` once a file names any other handler and k0s does not merge.
    """
    names = {handler.name for handler in case.handlers()}
    keeps = case.target.schema > 2 or merges_by_k0s(case.files, case.target) or not names
    return names | {"runc"} if keeps else names


def undefined_default(case: Case) -> Iterator[Hit]:
    """Find a default handler that no file defines."""
    names = defined_names(case)
    named = list(_default_name(case))
    for path, name in named:
        if isinstance(name, str) and name and name not in names:
            yield Hit(
                case.setter(path),
                f"the default handler {name!r} is not defined{did_you_mean(name, names)}",
                f"Define it under containerd.runtimes, or name one of {', '.join(sorted(names))}.",
                path,
            )
    if not named and "runc" not in names:
        handler = next(case.handlers())
        yield Hit(
            handler.file,
            "the default handler 'runc' is lost: containerd 1.7 forgets its own once a file names"
            " another",
            "Define runc beside it.",
            handler.path[:-1],
        )


def empty_default(case: Case) -> Iterator[Hit]:
    """Find an empty name of the default handler."""
    for path, name in _default_name(case):
        if name == "":
            yield Hit(
                case.setter(path),
                "default_runtime_name is empty",
                'Write "runc", or take the line out.',
                path,
            )


RULES = (
    Rule(
        "K0R301",
        "undefined-default-runtime",
        "the default handler is not defined",
        "kills CRI",
        undefined_default,
    ),
    Rule(
        "K0R302",
        "empty-default-runtime",
        "the name of the default handler is empty",
        "kills CRI",
        empty_default,
    ),
)
"""K0R301 and K0R302: the default handler."""
