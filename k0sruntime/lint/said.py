"""The two rules of what a real containerd says; ``config_dump`` finds, and nothing else does.

They are rules like all others, so that they have a code, a page and a place in reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.finding import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Hit


def nothing(case: Case) -> Iterable[Hit]:
    """Find nothing: only a real containerd can."""
    del case
    return ()


REFUSED = Rule(
    "K0R901",
    "containerd-refuses",
    "containerd itself refuses the configuration",
    "stops the node",
    nothing,
)
WARNED = Rule(
    "K0R902",
    "containerd-warns",
    "containerd itself warns of the configuration",
    "silently ignored",
    nothing,
)

RULES = (REFUSED, WARNED)
"""K0R9xx: containerd's own words."""
