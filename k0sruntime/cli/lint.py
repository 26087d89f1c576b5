"""``k0sruntime lint``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from k0sruntime.cli import complete
from k0sruntime.cli.options import sandbox_option

if TYPE_CHECKING:
    from k0sruntime.lint import Finding, Subject, Target
    from k0sruntime.node import Files, Node
    from k0sruntime.paths import Paths


@click.command(name="lint")
@click.argument("path", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--containerd",
    metavar="BIN",
    type=click.Path(exists=True, dir_okay=False),
    envvar="K0SRUNTIME_CONTAINERD",
    show_envvar=True,
    help="Judge against this containerd, and ask it too  [default: the node's]",
)
@click.option(
    "--k0s",
    metavar="1.35|1.36",
    shell_complete=complete.k0s_lines,
    envvar="K0SRUNTIME_K0S",
    show_envvar=True,
    help="Judge against what this k0s line brings, without asking the machine.",
)
@click.option(
    "--host",
    is_flag=True,
    envvar="K0SRUNTIME_HOST",
    show_envvar=True,
    help="Judge binaries, folders and certificates of this machine as well.",
)
@sandbox_option
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    envvar="K0SRUNTIME_FORMAT",
    show_default=True,
    show_envvar=True,
    help="text for people, json for scripts, sarif for code hosts and editors.",
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    path: tuple[str, ...],
    containerd: str | None,
    k0s: str | None,
    host: bool,
    sandbox: str | None,
    style: str,
) -> int:
    """Judge drop-ins and hosts files against a containerd or a k0s line.

    PATH is a drop-in, a folder of drop-ins, a main file (containerd.toml, config.toml, or one with
    imports), a certs.d folder or a hosts file. Without PATH the node itself is judged, its
    machine included. Exits with 3 where something would leave the node without a runtime.
    """
    from k0sruntime.cli import options
    from k0sruntime.errors import ExitCode
    from k0sruntime.lint import check, errors

    if k0s and containerd:
        if _from_environment(ctx, "k0s") == _from_environment(ctx, "containerd"):
            raise click.UsageError("--containerd and --k0s exclude each other.")
        if _from_environment(ctx, "containerd"):
            containerd = None
        else:
            k0s = None
    paths = options.paths(sandbox, None)
    target, binary = _target(paths, containerd, k0s, machine=host or not path)
    files, subject = _subject(paths, path, target)
    findings = check(subject, target, files)
    if binary:
        from k0sruntime.lint.config_dump import with_containerd

        findings = with_containerd(findings, subject, target, binary)
    click.echo(_rendered(style, findings, subject, target, path))
    return int(ExitCode.REFUSED) if errors(findings) else int(ExitCode.DONE)


def _from_environment(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.ENVIRONMENT


def _target(
    paths: Paths, containerd: str | None, k0s: str | None, *, machine: bool
) -> tuple[Target, str]:
    """Return what is judged against, and the containerd to ask; none with a k0s line alone.

    Raises:
        UsageError: neither was given, and the machine has neither.
    """
    from dataclasses import replace

    from k0sruntime.errors import Problem, UsageError
    from k0sruntime.lint.target import Target, for_k0s, for_node, machine_of

    if k0s and not machine:
        return for_k0s(k0s), ""
    node = _node(paths, containerd)
    if k0s:
        return replace(for_k0s(k0s), machine=machine_of(node)), ""
    target: Target | None
    if containerd and node.containerd:
        target = Target(node.containerd.version, None, machine_of(node))
    else:
        target = for_node(node)
    if target is None:
        raise UsageError(
            Problem(
                "nothing to judge against: this machine has neither k0s nor containerd",
                place=", ".join(node.search_path),
                remedy="Pass --k0s 1.36, --k0s 1.35, or --containerd BIN.",
            )
        )
    binary = node.containerd.path if node.containerd else ""
    return (target if machine else replace(target, machine=None)), binary


def _node(paths: Paths, containerd: str | None) -> Node[None]:
    import msgspec

    from k0sruntime.facts import ask_programs, observe_node
    from k0sruntime.node_provider import NodeSettings
    from k0sruntime.observe import read_settings
    from k0sruntime.settings import convert

    settings: NodeSettings = convert(read_settings(paths), "node", NodeSettings)
    if containerd:
        settings = msgspec.structs.replace(settings, containerd=os.path.abspath(containerd))
    return observe_node(paths, settings, ask_programs(paths, settings))


def _subject(paths: Paths, path: tuple[str, ...], target: Target) -> tuple[Files, Subject]:
    from k0sruntime.lint.gather import gather
    from k0sruntime.real_files import RealFiles

    files = RealFiles(paths)
    wanted = [os.path.abspath(item) for item in path] or [paths.main_file, paths.dropins]
    return files, gather(wanted, files, follow=target.machine is not None)


def _rendered(
    style: str,
    findings: tuple[Finding, ...],
    subject: Subject,
    target: Target,
    path: tuple[str, ...],
) -> str:
    from k0sruntime.lint import RULES, report

    if path and not any(item.startswith("/") for item in path):
        findings, subject = _relative(findings, subject)
    if style == "sarif":
        from k0sruntime.lint.sarif import sarif

        return sarif(findings, RULES)
    return (report.document if style == "json" else report.text)(findings, subject, target)


def _relative(
    findings: tuple[Finding, ...], subject: Subject
) -> tuple[tuple[Finding, ...], Subject]:
    """Show paths as they were typed: relative to the working folder."""
    from dataclasses import replace

    def short(path: str) -> str:
        relative = os.path.relpath(path)
        return path if relative.startswith("..") else relative

    files = tuple(replace(file, path=short(file.path)) for file in subject.files)
    hosts = tuple(
        replace(f, file=f.file and replace(f.file, path=short(f.file.path))) for f in subject.hosts
    )
    shown = tuple(replace(finding, path=short(finding.path)) for finding in findings)
    return shown, replace(subject, files=files, hosts=hosts)
