"""What a person and a monitoring system see of a node, and of many: page, document, metrics.

``look`` reads the node and changes nothing; ``describe`` makes the document of it, which travels;
``read`` takes such documents in again; ``fleet`` compares them; ``page`` and ``metrics`` render.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k0sruntime.seen.document import NodeReport
    from k0sruntime.stages import Request


def this_node(asked: Request, name: str = "") -> NodeReport:
    """Look at the node of a request and return its document.

    Args:
        asked: says which node, and what it is composed from.
        name: what it is called; the host's name by default.

    Raises:
        RefusedError: a record of our own cannot be read.
    """
    from dataclasses import replace

    from k0sruntime import gate
    from k0sruntime.clock import now
    from k0sruntime.seen.describe import describe
    from k0sruntime.seen.document import fit_to_travel
    from k0sruntime.seen.look import look, refusal
    from k0sruntime.seen.name import name_of

    seen = look(asked)
    seen = replace(seen, refused=seen.refused or refusal(seen))
    findings = gate.judged(seen.prepared.composition, seen.node) if seen.prepared else ()
    return fit_to_travel(describe(seen, name or name_of(seen.node), now(), findings))
