"""``k0sruntime export``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import node_options, request
from k0sruntime.cli.story import Silent


@click.command(name="export")
@click.argument("what", type=click.Choice(["k0s-config", "runtimeclasses"]))
@click.option(
    "--with-example-pod",
    is_flag=True,
    envvar="K0SRUNTIME_WITH_EXAMPLE_POD",
    show_envvar=True,
    help="Add a pod to each RuntimeClass that shows whose kernel it runs on.",
)
@node_options
def command(*, what: str, with_example_pod: bool, **options: Any) -> int:
    """Print what belongs to the cluster: the worker profile of k0s.yaml, or RuntimeClasses."""
    from k0sruntime import pipeline
    from k0sruntime.compose import k0s, manifests

    if with_example_pod and what != "runtimeclasses":
        raise click.UsageError("--with-example-pod goes with runtimeclasses.")
    composition = pipeline.prepare(request(**options), Silent()).composition
    if what == "k0s-config":
        profile = composition.profile
        click.echo(k0s.profile_fragment(profile) if profile else "# no worker profile is needed")
        return 0
    text = manifests.runtime_classes(composition.handlers, example_pods=with_example_pod)
    click.echo(text or "# no provider offers a RuntimeClass")
    return 0
