"""``k0sruntime export``."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from k0sruntime.cli.options import (
    file_option,
    flag_option,
    folder_option,
    node_options,
    option,
    request,
)
from k0sruntime.cli.story import Silent

if TYPE_CHECKING:
    from k0sruntime.contributions import KubeletProfile
    from k0sruntime.plan import FileState
    from k0sruntime.stages import Prepared


@click.command(name="export")
@click.argument("what", type=click.Choice(["k0s-config", "k0sctl", "runtimeclasses"]))
@flag_option(
    "--with-example-pod",
    variable="WITH_EXAMPLE_POD",
    help="Add a pod to each RuntimeClass that shows whose kernel it runs on.",
)
@file_option(
    "--into",
    variable="INTO",
    help="Write into this k0s.yaml or k0sctl.yaml; all else in it is kept.",
)
@option(
    "--host",
    metavar="HOST",
    multiple=True,
    variable="HOSTS",
    help="A host of the k0sctl.yaml by address or name; may be repeated  [default: all]",
)
@folder_option(
    "--files",
    variable="FILES",
    help="Write the hosts' files here and name them in the k0sctl.yaml  [default: contents in it]",
)
@flag_option(
    "--patch",
    variable="PATCH",
    help="Print a patch of the cluster's configuration, where dynamic configuration is on.",
)
@file_option(
    "--current",
    allow_dash=True,
    exists=True,
    variable="CURRENT",
    help="The cluster's configuration as it is, for --patch  [default: asked with kubectl]",
)
@node_options
def command(
    *,
    what: str,
    with_example_pod: bool,
    into: str | None,
    patch: bool,
    current: str | None,
    host: tuple[str, ...],
    files: str | None,
    **options: Any,
) -> int:
    """Print what belongs to the cluster: the worker profile of k0s.yaml, or RuntimeClasses.

    For k0sctl: the files, hooks and flags of its hosts.
    """
    from k0sruntime import pipeline
    from k0sruntime.compose import k0s, manifests

    _check(what, with_example_pod, into, current, files, patch=patch, hosts=bool(host))
    if what == "k0sctl":
        from k0sruntime.cli import export_k0sctl

        return export_k0sctl.run(request(**options), into, host, files)
    prepared = pipeline.prepare(request(**options), Silent())
    composition = prepared.composition
    if what == "runtimeclasses":
        text = manifests.runtime_classes(composition.handlers, example_pods=with_example_pod)
        click.echo(text or "# no provider offers a RuntimeClass")
        return 0
    profile = composition.profile
    if profile is None:
        click.echo("# no worker profile is needed")
    elif into:
        _merge(os.path.realpath(into), profile)
    elif patch:
        _patch(prepared, profile, current)
    else:
        click.echo(k0s.profile_fragment(profile))
    return 0


def _check(
    what: str,
    with_example_pod: bool,
    into: str | None,
    current: str | None,
    files: str | None,
    *,
    patch: bool,
    hosts: bool,
) -> None:
    """Refuse options that do not go together."""
    if with_example_pod and what != "runtimeclasses":
        raise click.UsageError("--with-example-pod goes with runtimeclasses.")
    if (patch or current) and what != "k0s-config":
        raise click.UsageError("--patch and --current go with k0s-config.")
    if (hosts or files) and what != "k0sctl":
        raise click.UsageError("--host and --files go with k0sctl.")
    if into and what == "runtimeclasses":
        raise click.UsageError("--into goes with k0s-config and k0sctl.")
    if hosts and not into:
        raise click.UsageError("--host goes with --into: it names hosts of that file.")
    if (into and patch) or (current and not patch):
        raise click.UsageError(
            "--into and --patch exclude each other; --current goes with --patch."
        )


def _merge(path: str, profile: KubeletProfile) -> None:
    """Write the profile into a file, and show what changes."""
    from k0sruntime import k0s_config
    from k0sruntime.durable import write_like
    from k0sruntime.errors import Problem, RefusedError
    from k0sruntime.plan import Change
    from k0sruntime.plan import FileState as State
    from k0sruntime.real_files import file_state
    from k0sruntime.refused import refused_io

    before = file_state(path)
    if before is None:
        remedy = "Make it first: k0s config create > k0s.yaml"
        raise RefusedError(Problem("there is no such file", path, remedy=remedy))
    text = k0s_config.merged(_text(before.content, path), profile, path)
    after = State(text.encode(), before.mode)
    if after == before:
        click.echo(f"{path} has the worker profile {profile.name} already")
        return
    with refused_io(path):
        kept = _keep(path, before)
        write_like(path, after.content, before)
    shown = Change(path, "update", "node", before, after).diff().splitlines()
    click.echo("\n".join(line for line in shown if not line.startswith(" ")))  # ours alone
    click.echo(f"wrote {path}, and kept what was there as {kept}")
    click.echo("restart the controllers, then this worker")


def _keep(path: str, before: FileState) -> str:
    """Keep what a file holds under a name of its own beside it; return that.

    What was kept before is never overwritten.
    """
    from k0sruntime.durable import write_synced

    names = (f"{path}.before" + (f".{number}" if number else "") for number in range(1000))
    kept = next(name for name in names if not os.path.lexists(name))
    write_synced(kept, before.content, before.mode, before.owner)
    return kept


def _patch(prepared: Prepared, profile: KubeletProfile, current: str | None) -> None:
    from k0sruntime import k0s_config

    text, program = _current(prepared, current)
    operations = k0s_config.patch(text, profile, current or "ClusterConfig")
    if operations:
        click.echo(k0s_config.patch_command(operations, shlex.join(program)))
    else:
        click.echo(f"# the cluster has the worker profile {profile.name} already")


def _given(path: str) -> bytes:
    """Return what is in a named file, or on standard input.

    Raises:
        RefusedError: it cannot be read.
    """
    from k0sruntime import regular
    from k0sruntime.refused import refused_io

    if path == "-":
        with click.open_file(path, "rb") as file:
            given: bytes = file.read()
        return given
    with refused_io(path):
        return regular.content(path)


def _current(prepared: Prepared, current: str | None) -> tuple[str, list[str]]:
    """Return the cluster's configuration as it is, and how kubectl is called for that cluster."""
    from k0sruntime import kubectl
    from k0sruntime.errors import Problem, RefusedError

    if current:
        return _text(_given(current), current), ["k0s", "kubectl"]
    program = kubectl.command(prepared.node, asked=True)
    found, why = kubectl.get(program, "clusterconfig", "k0s", "--namespace=kube-system")
    if found is None:
        raise RefusedError(
            Problem(
                f"the cluster's configuration cannot be asked for: {why or 'no kubeconfig here'}",
                place="clusterconfig k0s in kube-system",
                remedy="On a controller: k0s kubectl get clusterconfig k0s -n kube-system -o yaml"
                " > now.yaml, then export k0s-config --patch --current now.yaml",
            )
        )
    return json.dumps(found), program


def _text(content: bytes, path: str) -> str:
    """Return a file's text with its line ends as they are."""
    from k0sruntime.errors import Problem, RefusedError

    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise RefusedError(Problem(f"not UTF-8: {exc.reason}", path)) from exc
