"""Which version files are read as, together: the last one that states a version decides.

Up to 2.2 containerd merges all files first, and what comes out is of the version that the last of
them states: without any, 1.7 takes version 1 and 2.x its newest. From 2.3 on each file is migrated
on its own. Sources: containerd 1.7 ``services/server/config/config.go`` and 2.x
``cmd/containerd/server/config/config.go`` (``LoadConfig``); seen on 1.7.24 and 2.1.9.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from k0sruntime.compose.main_file import MERGED_CRI

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.lint.subject import File
    from k0sruntime.lint.target import Target

EACH_ALONE = (2, 3)
"""The first containerd that migrates each file before it merges them."""


def common_version(files: Sequence[File], target: Target) -> int:
    """Return the version that files, in their order, are read as by a containerd before 2.3.

    What the CRI drop-ins are merged into, up to k0s 1.35, comes last and states version 2. A main
    file that is not given is k0s's or ours, and states the version that is due.
    """
    main = next((file for file in files if file.role == "main"), None)
    merges = target.k0s is not None and (main is None or main.managed)
    if target.schema == 2 and (merges or (main is not None and _imports_merged(main))):
        return 2
    stated = [file.version for file in files if file.version is not None]
    if stated:
        return stated[-1]
    return 1 if main and target.schema == 2 else target.schema


def reads_old_tables(file: File, files: Sequence[File], target: Target) -> bool:
    """Tell whether a containerd 2 migrates the tables of version 2 that a file has."""
    if target.containerd >= EACH_ALONE:
        return (file.version or 0) < 3
    return common_version(files, target) < 3


def _imports_merged(main: File) -> bool:
    imports = main.document.get("imports")
    names = imports if isinstance(imports, list) else []
    return any(posixpath.basename(name) == MERGED_CRI for name in names if isinstance(name, str))
