"""Values of plugins that CRI leans on, which those plugins refuse when they load.

Sources: containerd ``plugins/metadata/plugin.go`` (``content_sharing_policy``),
``plugins/services/diff/local.go`` (``needed differ not loaded``), ``plugins/transfer/plugin.go``;
CRI's store of snapshots, whose period goes to Go's ``NewTicker``: it panics where that is not above
zero, or does not fit. Seen on 1.7.24 and 2.1.9; ``config dump`` says nothing of any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.known_plugins import known_plugins
from k0sruntime.lint.platforms import TRANSFER
from k0sruntime.lint.proxy_plugins import TYPES
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path

BOLT = "io.containerd.metadata.v1.bolt"
POLICIES = ("shared", "isolated")
DIFF = "io.containerd.service.v1.diff-service"
PERIOD = "stats_collect_period"
LONGEST_PERIOD = (2**63 - 1) // 10**9
"""In seconds: a Go duration counts nanoseconds in 64 bits."""


def unknown_differ(case: Case) -> Iterator[Hit]:
    """Find differs that are neither containerd's own nor a proxy plugin of these files."""
    if case.target.schema == 2 and any("plugin_dir" in file.document for file in case.files):
        return  # it may load more than what it was built with
    known = sorted(_differs(case))
    for path, name in _wanted(case):
        if name not in known:
            yield Hit(
                case.setter(path),
                f"{path[-1]} names the differ {name!r}, which nothing provides"
                f"{did_you_mean(name, known)}",
                'Write "walking", or declare it: [proxy_plugins.NAME] with type = "diff".',
                path,
            )


def _wanted(case: Case) -> Iterator[tuple[Path, str]]:
    """Yield the differs without which CRI does not load, and where they are named."""
    names = case.effective.table("plugins", DIFF).get("default")
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str):
            yield ("plugins", DIFF, "default"), name
    unpack = case.effective.table("plugins", TRANSFER).get("unpack_config")
    for table in unpack if isinstance(unpack, list) and case.target.schema > 2 else ():
        name = table.get("differ") if isinstance(table, dict) else None
        if isinstance(name, str) and name:
            yield ("plugins", TRANSFER, "unpack_config"), name


def _differs(case: Case) -> Iterator[str]:
    kind = TYPES["diff"]
    for plugin in known_plugins(case.target.containerd):
        if plugin.startswith(f"{kind}."):
            yield plugin.removeprefix(f"{kind}.")
    for name, entry in case.effective.table("proxy_plugins").items():
        if isinstance(entry, dict) and entry.get("type") in ("diff", kind):
            yield name


def refused_value(case: Case) -> Iterator[Hit]:
    """Find values that a plugin refuses; those of a wrong type are K0R003's or containerd's."""
    path: Path = ("plugins", BOLT, "content_sharing_policy")
    policy = case.effective.table("plugins", BOLT).get(path[-1], "")
    if isinstance(policy, str) and policy and policy not in POLICIES:
        yield Hit(
            case.setter(path),
            f"content_sharing_policy = {policy!r} is no policy{did_you_mean(policy, POLICIES)}",
            "Write shared or isolated.",
            path,
        )
    for where, table in case.cri("images"):
        period = table.get(PERIOD)
        if isinstance(period, bool) or not isinstance(period, int):
            continue
        if not 1 <= period <= LONGEST_PERIOD:
            path = (*where, PERIOD)
            yield Hit(
                case.setter(path),
                f"{PERIOD} = {period} seconds is no period, and containerd panics",
                "Write 1 or more; containerd's own is 10.",
                path,
                consequence="stops the node",
            )


RULES = (
    Rule(
        "K0R312",
        "unknown-differ",
        "a differ that nothing provides",
        "kills CRI",
        unknown_differ,
    ),
)
"""K0R312: differs."""
VALUE_RULES = (
    Rule(
        "K0R314",
        "refused-value",
        "a value that a plugin of containerd refuses",
        "kills CRI",
        refused_value,
    ),
)
"""K0R314: values of plugins."""
