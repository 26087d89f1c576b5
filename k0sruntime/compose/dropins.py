"""Drop-ins: reading those that lie there, and writing the providers' own.

A foreign drop-in is an input, never an output: it is read, checked and merged, and its bytes are
never touched. What would stop k0s or containerd is refused here, all bad files at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime import toml
from k0sruntime.compose import conflicts
from k0sruntime.compose import schema as schema_
from k0sruntime.compose.layers import Layer, dotted, leaves
from k0sruntime.compose.shape import misshapen
from k0sruntime.contributions import Contribution, DropIn, HandlerExtension, RuntimeHandler
from k0sruntime.errors import ConflictError, Problem, RefusedError
from k0sruntime.lines import line_of
from k0sruntime.values import same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from k0sruntime.collect import Part
    from k0sruntime.compose.layers import Path
    from k0sruntime.contributions import Owner
    from k0sruntime.node import Schema
    from k0sruntime.paths import Paths

PREFIX = "k0sruntime-"
"""Every drop-in of ours starts with this; no provider can reach another name."""


def header(owner: Owner) -> str:
    """Return the first lines of a file of ours: whose it is, and that edits do not last."""
    return (
        f"# Composed by k0sruntime for provider {owner.provider} "
        f"({owner.distribution}). Edits here are drift: change the settings instead.\n"
    )


def read(folder: str, files: Mapping[str, bytes], schema: Schema) -> tuple[Layer, ...]:
    """Parse and check foreign drop-ins; ``files`` maps base names to contents.

    Returns the layers in containerd's order: byte-wise by name, hidden files included.

    Raises:
        RefusedError: every file that k0s or containerd would refuse, all at once.
    """
    layers: list[Layer] = []
    problems: list[Problem] = []
    for name in sorted(files, key=lambda name: name.encode()):
        path = f"{folder}/{name}"
        try:
            document = toml.load(files[name], path)
        except toml.TOMLError as exc:
            problems.append(_foreign(exc.problem))
            continue
        text = files[name].decode()
        found = refusals(path, document, text, schema)
        problems += found
        layers.append(Layer(path, document, text=text))
    if problems:
        raise RefusedError(*problems)
    return tuple(layers)


def refusals(path: str, document: Mapping[str, Any], text: str, schema: Schema) -> list[Problem]:
    """Return why a drop-in cannot stand under a main file of ``schema``: version, plugin IDs.

    Sources: k0s 1.36 ``ValidateConfigFile``; containerd 1.7 and 2.3 ``config.go``.
    """
    problems = []
    version = document.get("version", schema)
    if isinstance(version, bool) or version != schema or not isinstance(version, int):
        problems.append(
            Problem(
                f"version = {version!r} where this node needs version = {schema}",
                place=f"{path}:{line_of(text, ('version',))}: version",
                culprit="a foreign file",
                remedy=_version_remedy(version, schema, path),
            )
        )
    problems += [
        Problem(
            f"{dotted(key)} must be {wanted}",
            place=f"{path}:{line_of(text, key)}: {dotted(key)}",
            culprit="a foreign file",
            remedy="Correct the value, or move the file away: containerd would not start.",
        )
        for key, wanted in misshapen(document)
    ]
    plugins = document.get("plugins")
    names = (schema_.CRI,) if schema == 3 else (schema_.RUNTIME, schema_.IMAGES)
    for name in names:
        if isinstance(plugins, dict) and name in plugins:
            key = ("plugins", name)
            problems.append(
                Problem(
                    f"the table {dotted(key)} belongs to another schema than {schema}",
                    place=f"{path}:{line_of(text, key)}: {dotted(key)}",
                    culprit="a foreign file",
                    remedy=f"Rewrite it for version {schema}, or: {_quarantine(path)}",
                )
            )
    return problems


def _version_remedy(version: object, schema: Schema, path: str) -> str:
    first = f"Rewrite the file for version {schema}"
    if version == 4:
        why = "k0s refuses 4, and so does containerd 2.3 under a main file of 3"
        first = f"Write version = 3 ({why})"
    return f"{first}, or let it be put right or moved away: {_quarantine(path)}"


def _quarantine(path: str) -> str:
    return f"k0sruntime quarantine [--repair] {path}"


def _foreign(problem: Problem) -> Problem:
    return Problem(problem.message, problem.place, "a foreign file", problem.remedy)


def contributed(
    parts: Iterable[Contribution[Part]], schema: Schema, paths: Paths
) -> tuple[Layer, ...]:
    """Return the providers' drop-ins as layers, by file name.

    A provider has at most two: its CRI keys, and its other tables, which k0s up to 1.35 imports
    instead of merging.

    Raises:
        ConflictError: two providers want one handler, or set one key to two values.
        RefusedError: keys that the node's containerd has no place for.
    """
    builders: dict[str, _Builder] = {}
    for part in parts:
        if isinstance(part.value, DropIn | RuntimeHandler | HandlerExtension):
            builder = builders.setdefault(part.owner.provider, _Builder(part.owner))
            builder.add(part.value)
    layers = _built(builders.values(), schema, paths)
    conflicts.refuse(layers, schema)
    return tuple(sorted(layers, key=lambda layer: layer.name.encode()))


def _built(builders: Iterable[_Builder], schema: Schema, paths: Paths) -> list[Layer]:
    layers: list[Layer] = []
    problems = []
    for builder in builders:
        try:
            layers += builder.layers(schema, paths)
        except schema_.NotInSchemaError as exc:
            problems.append(
                Problem(
                    str(exc),
                    place=f"provider {builder.owner.provider}",
                    culprit=str(builder.owner),
                    remedy="Take it out of the provider's settings, or go on with --without"
                    f" {builder.owner.provider}.",
                )
            )
    if problems:
        raise RefusedError(*problems)
    return layers


class _Builder:
    """Gathers what one provider contributes to containerd's configuration."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.runtime: dict[str, Any] = {}
        self.images: dict[str, Any] = {}
        self.tables: dict[str, Any] = {}
        self.handlers: dict[str, RuntimeHandler] = {}
        self.extended: dict[str, dict[str, Any]] = {}
        self.reasoned: list[DropIn] = []

    def add(self, part: DropIn | RuntimeHandler | HandlerExtension) -> None:
        if isinstance(part, HandlerExtension):
            _merge_own(self.extended.setdefault(part.handler, {}), part.table(), self.owner)
            return
        if isinstance(part, RuntimeHandler):
            if part.name in self.handlers:
                raise ConflictError(_twice(f"handler {part.name!r}", self.owner))
            self.handlers[part.name] = part
            return
        for mine, theirs in (
            (self.runtime, part.runtime),
            (self.images, part.images),
            (self.tables, part.tables),
        ):
            _merge_own(mine, theirs, self.owner)
        if part.reason:
            self.reasoned.append(part)

    def layers(self, schema: Schema, paths: Paths) -> list[Layer]:
        runtime, images = dict(self.runtime), dict(self.images)
        if self.handlers or self.extended:
            tables = {
                name: schema_.handler_table(handler, schema)
                for name, handler in self.handlers.items()
            }
            for name, keys in self.extended.items():
                _merge_own(tables.setdefault(name, {}), keys, self.owner)
            here = schema_.table_in(runtime, "containerd")
            runtime["containerd"] = {**here, "runtimes": tables}
            if platforms := schema_.runtime_platforms(tables, schema):
                own = dict(schema_.table_in(images, "runtime_platforms"))
                _merge_own(own, platforms, self.owner)
                images["runtime_platforms"] = own
        found = []
        if plugins := schema_.placed(runtime, images, schema):
            document = {"version": schema, "plugins": plugins}
            reasons = self._reasons(
                lambda part: {"plugins": schema_.placed(part.runtime, part.images, schema)}
            )
            found.append(self._layer(paths, "", document, reasons))
        if self.tables:
            document = {"version": schema, **self.tables}
            reasons = self._reasons(lambda part: part.tables)
            found.append(self._layer(paths, "-tables", document, reasons))
        return found

    def _reasons(self, placed: Callable[[DropIn], Mapping[str, Any]]) -> dict[Path, str]:
        return {
            path: part.reason
            for part in self.reasoned
            for path, value in leaves(placed(part))
            if value != {}
        }

    def _layer(
        self, paths: Paths, suffix: str, document: dict[str, Any], reasons: dict[Path, str]
    ) -> Layer:
        path = f"{paths.dropins}/{PREFIX}{self.owner.provider}{suffix}.toml"
        told = "".join(f"# {reason}\n" for reason in dict.fromkeys(reasons.values()))
        text = header(self.owner) + told + toml.dump(document)
        return Layer(path, document, self.owner, text, reasons)


def _merge_own(mine: dict[str, Any], theirs: Mapping[str, Any], owner: Owner) -> None:
    for key, value in theirs.items():
        if isinstance(value, dict) and isinstance(mine.setdefault(key, {}), dict):
            _merge_own(mine[key], value, owner)
        elif key in mine and not same(mine[key], value):
            raise ConflictError(_twice(f"key {key!r}", owner))
        else:
            mine[key] = value


def _twice(what: str, owner: Owner) -> Problem:
    return Problem(
        f"provider {owner.provider!r} contributes the {what} twice, with different values",
        culprit=str(owner),
        remedy=f"Report it to the authors of {owner.distribution}.",
    )
