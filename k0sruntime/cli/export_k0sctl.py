"""``k0sruntime export k0sctl``."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from k0sruntime.cli.story import Silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from k0sruntime.compose.k0sctl import Export, Upload
    from k0sruntime.plan import FileState
    from k0sruntime.stages import Request


def run(asked: Request, into: str | None, hosts: tuple[str, ...], files: str | None) -> int:
    """Print a host's entries, or write them into a file; tell what k0sctl cannot carry."""
    from k0sruntime import k0sctl_file, pipeline
    from k0sruntime.compose import k0sctl

    path = os.path.realpath(into) if into else ""
    before = _read(path) if path else None
    text = _decoded(before, path) if before else ""
    asked = _for_its_k0s(asked, k0sctl_file.version_of(text, path) if before else "")
    prepared = pipeline.prepare(asked, Silent())
    export = k0sctl.exported(prepared.composition, prepared.node)
    source = _source(files, path)
    if before is None:
        click.echo(_fragment(export, source), nl=False)
    else:
        profile = prepared.composition.profile
        result = k0sctl_file.merged(text, export, profile, path, hosts, source, _tell)
        _write(path, before, result)
    if files:
        _lay(export, files)
    for lost in export.lost:
        click.echo(f"k0sctl does not carry {lost}", err=True)
    return 0


def _tell(sentence: str) -> None:
    click.echo(f"note: {sentence}", err=True)


def _for_its_k0s(asked: Request, version: str) -> Request:
    """Compose for the k0s that the file installs."""
    from k0sruntime.upgrade import Upgrade

    return replace(asked, upgrade=Upgrade.to(version, None)) if version else asked


def _read(path: str) -> FileState:
    from k0sruntime.errors import Problem, RefusedError
    from k0sruntime.real_files import file_state

    found = file_state(path)
    if found is None:
        remedy = "Make it first: k0sctl init > k0sctl.yaml"
        raise RefusedError(Problem("there is no such file", path, remedy=remedy))
    return found


def _decoded(before: FileState, path: str) -> str:
    from k0sruntime.errors import Problem, RefusedError

    try:
        return before.content.decode()
    except UnicodeDecodeError as exc:
        raise RefusedError(Problem(f"not UTF-8: {exc.reason}", path)) from exc


def _source(files: str | None, path: str) -> Callable[[Upload], str] | None:
    """Return how a file's copy is named: relative to the k0sctl.yaml, as k0sctl reads it."""
    if not files:
        return None
    beside = os.path.dirname(path) if path else os.getcwd()
    folder = os.path.relpath(os.path.abspath(files), beside)
    return lambda upload: f"{folder}/{_name(upload)}"


def _name(upload: Upload) -> str:
    return upload.path.strip("/").replace("/", "__")


def _lay(export: Export, folder: str) -> None:
    """Write the copies; those with credentials are their owner's alone."""
    from k0sruntime.durable import write_atomically
    from k0sruntime.refused import refused_io

    with refused_io(folder):
        for upload in (*export.uploads, *export.manifests):
            mode = 0o600 if upload.secret else 0o644
            path = f"{os.path.abspath(folder)}/{_name(upload)}"
            write_atomically(path, upload.content.encode(), mode)
            click.echo(f"wrote {path}", err=True)


def _fragment(export: Export, source: Callable[[Upload], str] | None) -> str:
    """Return what a worker's entry of ``spec.hosts`` needs."""
    from k0sruntime import yaml_text
    from k0sruntime.compose.envsubst import escaped
    from k0sruntime.k0sctl_file import entry

    uploads = [u for u in export.uploads if source or not u.secret]
    host = {
        "files": [entry(upload, source) for upload in uploads],
        "hooks": {
            "apply": {"after": escaped(export.after)},
            "reset": {"after": escaped(export.reset)},
        },
        "installFlags": escaped(export.flags),
    }
    lines = [f"# of each worker in spec.hosts\n{yaml_text.lines(host)}"]
    if export.manifests:
        stack = {"files": [entry(upload, source) for upload in export.manifests]}
        lines.append(f"# of each controller in spec.hosts\n{yaml_text.lines(stack)}")
    return "".join(lines)


def _write(path: str, before: FileState, text: str) -> None:
    from k0sruntime.durable import write_like
    from k0sruntime.plan import Change, FileState
    from k0sruntime.refused import refused_io

    after = FileState(text.encode(), before.mode)
    if after == before:
        click.echo(f"{path} has it all already")
        return
    with refused_io(path):
        write_like(path, after.content, before)
    click.echo(Change(path, "update", "node", before, after).diff(), nl=False)
    click.echo(f"wrote {path}; now k0sctl apply")
