"""``k0sruntime verify``."""

from __future__ import annotations

from typing import Any

import click

from k0sruntime.cli.options import json_option, node_options, offline_option, request
from k0sruntime.cli.story import Stderr


@click.command(name="verify")
@node_options
@offline_option
@json_option
def command(*, as_json: bool, **options: Any) -> int:
    """Prove the running node once more, changing nothing."""
    from k0sruntime import documents, pipeline, report
    from k0sruntime.proof import to_records

    asked = request(**options)
    outcome = pipeline.verify(asked, Stderr())
    if as_json:
        proofs = report.proof_documents(to_records(outcome.proofs))
        click.echo(documents.dumps(documents.Verify(proofs=proofs, notes=list(outcome.notes))))
    else:
        click.echo("\n".join(report.handler_table(outcome.composition, outcome.proofs)))
        click.echo("\n".join(report.other_proofs(outcome.proofs)))
        for note in outcome.notes:
            click.echo(f"note: {note}")
    return 0
