"""``k0sruntime export``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import node_options, request
from k0sruntime.cli.story import Silent


@click.command(name="export")
@click.argument("what", type=click.Choice(["k0s-config", "runtimeclasses"]))
@node_options
def command(*, what: str, **options: Any) -> int:
    """Print what belongs to the cluster: the worker profile of k0s.yaml, or RuntimeClasses."""
    from k0sruntime import pipeline
    from k0sruntime.compose import k0s

    composition = pipeline.prepare(request(**options), Silent()).composition
    if what == "k0s-config":
        profile = composition.profile
        click.echo(k0s.profile_fragment(profile) if profile else "# no worker profile is needed")
        return 0
    documents = [
        k0s.runtime_class(h.runtime_class, h.name) for h in composition.handlers if h.runtime_class
    ]
    click.echo("---\n".join(documents) or "# no provider offers a RuntimeClass")
    return 0
