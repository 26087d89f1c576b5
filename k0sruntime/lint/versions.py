"""Config versions, and CRI tables of the other schema.

Sources: containerd RELEASES.md and 1.7/2.x ``config.go``; k0s 1.36 ``ValidateConfigFile``, which
refuses any version but 3 and any ``io.containerd.grpc.v1.cri`` before containerd sees the file;
the check of a drop-in against its main file: containerd 2.3.0 to 2.3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Consequence, Hit, Rule
from k0sruntime.lint.known_keys import STREAMING
from k0sruntime.lint.read_as import common_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.subject import File

LAST_WITH_ROOT_CHECK = (2, 3, 4)


def version_too_high(case: Case) -> Iterator[Hit]:
    """Find a version above what containerd, k0s or the main file allows."""
    for file in case.files:
        why = _too_high(case, file)
        if why:
            right = min(case.target.schema, _root_version(case) or case.target.schema)
            yield Hit(
                file,
                f"version = {file.version}, but {why}",
                f"Write version = {right}, and the tables of that version.",
                ("version",),
            )


def _too_high(case: Case, file: File) -> str:
    target, version = case.target, file.version or 0
    if version > target.newest_version:
        return f"containerd {target.containerd} reads at most {target.newest_version}"
    if file.role == "main":
        return ""
    if target.strict_k0s and version > 3:
        return "k0s takes drop-ins of version 3 only"
    root = _root_version(case)
    if root and version > root and (2, 3) <= target.containerd <= LAST_WITH_ROOT_CHECK:
        return f"the main file has {root}, and no import may have more"
    if version > 3 and root is None and (2, 3) <= target.containerd <= LAST_WITH_ROOT_CHECK:
        return "no import may have more than the main file, and k0s writes 3 there"
    return ""


def _root_version(case: Case) -> int | None:
    main = case.subject.main
    return main.version if main else None


def version_too_low(case: Case) -> Iterator[Hit]:
    """Find a version below the target's schema."""
    for file in case.files:
        schema = case.target.schema
        if file.version is None or file.version >= schema:
            continue
        found = _too_low(case, file)
        if found:
            why, consequence = found
            yield Hit(
                file,
                f"version = {file.version}, but {why}",
                f"Rewrite it for version {schema}: k0sruntime migrate {file.path}",
                ("version",),
                consequence=consequence,
            )


def _too_low(case: Case, file: File) -> tuple[str, Consequence] | None:
    target = case.target
    if target.schema == 2:
        return _too_low_for_1_7(case) if file.role != "main" else None
    if target.strict_k0s and file.role != "main":
        return "k0s takes drop-ins of version 3 only", "stops the node"
    if target.containerd < (2, 3):
        if all(other.version in (None, file.version) for other in case.files):
            return "containerd 2 has to migrate it at every start", "untidy"
        return "next to files of version 3 its CRI tables are lost", "silently ignored"
    return "containerd 2 has to migrate it at every start", "untidy"


def _too_low_for_1_7(case: Case) -> tuple[str, Consequence]:
    if common_version(case.files, case.target) < 2:
        mixed = "containerd 1.7 reads all files as of version 1 then, and no table of version 2"
        return mixed, "silently ignored"
    return "containerd 1.7 reads it as of version 2, as the others say", "untidy"


def old_cri_table(case: Case) -> Iterator[Hit]:
    """Find schema 2's CRI table in a file of schema 3; k0s 1.36 refuses even its legal keys."""
    if case.target.schema == 2:
        return
    for file in case.files:
        table = table_at(file.document, "plugins", CRI)
        if (file.version or 3) < 3 or CRI not in table_at(file.document, "plugins"):
            continue
        moved = sorted(set(table) - set(STREAMING))
        refused = case.target.strict_k0s and file.role != "main"
        if file.version is None and case.target.containerd >= (2, 3) and not refused:
            continue  # 2.3 migrates what states no version
        if refused or moved:
            what = f"its key {moved[0]!r} belongs into another table" if moved else "k0s refuses it"
            yield Hit(
                file,
                f"the table {CRI!r} in a file of version 3: {what}",
                f"Move handlers and CNI to {RUNTIME!r}, and registries to {IMAGES!r}.",
                ("plugins", CRI),
                consequence="stops the node" if refused else "silently ignored",
            )


def new_cri_table(case: Case) -> Iterator[Hit]:
    """Find schema 3's CRI tables under containerd 1.7, which says nothing and reads past them."""
    if case.target.schema > 2:
        return
    for file in case.files:
        if (file.version or 2) > 2:
            continue  # that it cannot be loaded at all is K0R201's
        for plugin in (RUNTIME, IMAGES):
            if plugin in table_at(file.document, "plugins"):
                yield Hit(
                    file,
                    f"containerd {case.target.containerd} has no plugin {plugin!r}",
                    f"Move its keys to {CRI!r}: k0sruntime migrate --to 2 {file.path}",
                    ("plugins", plugin),
                )


RULES = (
    Rule(
        "K0R201",
        "version-too-high",
        "a config version above what containerd, k0s or the main file allows",
        "stops the node",
        version_too_high,
    ),
    Rule(
        "K0R202",
        "version-too-low",
        "a config version below the one that is due",
        "stops the node",
        version_too_low,
    ),
    Rule(
        "K0R203",
        "old-cri-table",
        "the CRI table of version 2 in a file of version 3",
        "stops the node",
        old_cri_table,
    ),
    Rule(
        "K0R204",
        "new-cri-table",
        "the CRI tables of version 3 under containerd 1.7",
        "silently ignored",
        new_cri_table,
    ),
)
"""K0R2xx: versions and schemas."""
