"""Shims and runtimes: there, executable, for this machine.

Sources: containerd ``pkg/shim/util.go`` (an absolute path as it is, else PATH, else the folder of
containerd); gVisor ``g3doc/user_guide/install.md`` (files need a+rx). CRI lists a handler whose
shim is missing; only its pods fail.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from k0sruntime.lint.case import RUNC_TYPES
from k0sruntime.lint.elf import machine_of, runs_on
from k0sruntime.lint.finding import Consequence, Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case, Handler
    from k0sruntime.lint.finding import Path


SHIM_PARTS = 2


class Wanted(NamedTuple):
    """A program that a handler names, and the key that names it."""

    handler: Handler
    key: Path
    name: str
    shim: bool


def wanted(case: Case) -> Iterator[Wanted]:
    """Yield the shims and the runtimes that the handlers name."""
    for handler in case.handlers():
        if shim := _shim(handler):
            key = "runtime_path" if "runtime_path" in handler.table else "runtime_type"
            where = handler.path if key not in handler.table else (*handler.path, key)
            # k0s unpacks its own shim at every start, so that its absence says nothing yet.
            if not (case.target.k0s and shim == "containerd-shim-runc-v2"):
                yield Wanted(handler, where, shim, shim=True)
        binary = handler.options.get("BinaryName")
        if isinstance(binary, str) and binary and handler.runtime_type in RUNC_TYPES:
            yield Wanted(handler, (*handler.path, "options", "BinaryName"), binary, shim=False)


def _shim(handler: Handler) -> str:
    path = handler.table.get("runtime_path")
    if isinstance(path, str) and path:
        return path
    parts = handler.runtime_type.split(".")
    if handler.runtime_type.startswith("/"):
        return handler.runtime_type
    if len(parts) < SHIM_PARTS or not all(parts[-SHIM_PARTS:]):
        return ""
    return f"containerd-shim-{parts[-2]}-{parts[-1]}"


def _candidates(case: Case, name: str) -> list[str]:
    """Return where a program may be, in the order in which containerd looks."""
    if name.startswith("/") or case.target.machine is None:
        return [name]
    return [posixpath.join(folder, name) for folder in case.target.machine.search_path]


def _found(case: Case, name: str) -> str:
    """Return where a program is: the first that runs, else the first that is there, else none."""
    files = case.machine_files
    paths = [path for path in _candidates(case, name) if files.exists(path)]
    return next((path for path in paths if files.is_executable(path)), paths[0] if paths else "")


def _consequence(case: Case, handler: Handler) -> Consequence | None:
    """Without its default handler a node starts no pod at all."""
    for path, _ in case.cri("runtime"):
        named = case.effective.table(*path, "containerd").get("default_runtime_name")
        if named == handler.name:
            return "stops the node"
    return None


def program_missing(case: Case, *, shim: bool) -> Iterator[Hit]:
    """Find shims, or runtimes, that are not there."""
    for want in wanted(case):
        if want.shim is shim and not _found(case, want.name):
            where = "" if want.name.startswith("/") else " in containerd's search path"
            yield Hit(
                case.setter(want.key),
                f"the handler {want.handler.name!r} needs {want.name}, which is not there{where}",
                "Install it, or take the handler out.",
                want.key,
                consequence=_consequence(case, want.handler),
            )


def shim_missing(case: Case) -> Iterator[Hit]:
    """Find shims that are not there."""
    return program_missing(case, shim=True)


def binary_missing(case: Case) -> Iterator[Hit]:
    """Find runtimes that are not there."""
    return program_missing(case, shim=False)


def not_executable(case: Case) -> Iterator[Hit]:
    """Find shims and runtimes that not everybody may execute; runsc runs itself unprivileged."""
    for want in wanted(case):
        path = _found(case, want.name)
        if path and not case.machine_files.is_executable(path):
            yield Hit(
                case.setter(want.key),
                f"{path} of the handler {want.handler.name!r} is not executable for everybody",
                f"chmod a+rx {path}",
                want.key,
                consequence=_consequence(case, want.handler),
            )


def wrong_architecture(case: Case) -> Iterator[Hit]:
    """Find shims and runtimes for another machine."""
    if case.target.machine is None:
        return
    arch = case.target.machine.arch
    for want in wanted(case):
        path = _found(case, want.name)
        data = case.machine_files.read(path) if path else None
        if data is None or runs_on(machine := machine_of(data), arch):
            continue
        what = "no program" if machine == "?" else f"for {machine}"
        yield Hit(
            case.setter(want.key),
            f"{path} of the handler {want.handler.name!r} is {what}; this machine is {arch}",
            f"Install the program for {arch}.",
            want.key,
            consequence=_consequence(case, want.handler),
        )


RULES = (
    Rule(
        "K0R801",
        "shim-missing",
        "a handler's shim that is not there",
        "breaks pods",
        shim_missing,
        machine=True,
    ),
    Rule(
        "K0R802",
        "binary-missing",
        "a handler's runtime that is not there",
        "breaks pods",
        binary_missing,
        machine=True,
    ),
    Rule(
        "K0R803",
        "not-executable",
        "a shim or runtime that not everybody may execute",
        "breaks pods",
        not_executable,
        machine=True,
    ),
    Rule(
        "K0R804",
        "wrong-architecture",
        "a shim or runtime for another machine",
        "breaks pods",
        wrong_architecture,
        machine=True,
    ),
)
"""K0R801 to K0R804: programs."""
