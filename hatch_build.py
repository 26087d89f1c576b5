"""The wheel carries the man pages: written out of the commands when it is built."""

from __future__ import annotations

import os
import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface):  # type: ignore[type-arg]
    """Writes the pages into ``build/man`` and adds them to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages; an editable install has none."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from k0sruntime.cli.man import write

        for path in write(os.path.join(self.root, "build", "man")):
            build_data["shared_data"][path] = f"share/man/man1/{os.path.basename(path)}"
