"""The wheel carries the man pages: written out of the commands when it is built."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface):  # type: ignore[type-arg]
    """Writes the pages into a folder of its own and adds them to the wheel."""

    folder = ""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages; an editable install has none."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from k0sruntime.cli.man import write

        self.folder = tempfile.mkdtemp(prefix="k0sruntime-man-")
        for path in write(self.folder):
            build_data["shared_data"][path] = f"share/man/man1/{os.path.basename(path)}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder again."""
        del version, build_data, artifact_path
        if self.folder:
            shutil.rmtree(self.folder)
