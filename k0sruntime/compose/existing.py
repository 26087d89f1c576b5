"""What other hands have written on the node: the inputs of a composition."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k0sruntime.json_keys import Before
    from k0sruntime.paths import Paths


@dataclass(frozen=True)
class Existing:
    """What other hands have written on the node: the inputs of a composition.

    Attributes:
        main: the main file, or ``None`` where there is none.
        dropins: foreign drop-ins, base name to content.
        imports: other files that a user-managed main file imports, path to content, in
            containerd's order.
        profile: the worker profile that another runtime needed when the node last ran on one.
        edited: what we wrote into files of other programs, and what was there before.
        own_profile: the worker profile that the service had before ``profile``.
    """

    main: bytes | None = None
    dropins: Mapping[str, bytes] = field(default_factory=dict)
    imports: Mapping[str, bytes] = field(default_factory=dict)
    profile: str = ""
    edited: Mapping[str, Before] = field(default_factory=dict)
    own_profile: str = ""

    def instead(self, paths: Paths, files: Mapping[str, bytes | None]) -> Existing:
        """Return the same where files of other hands are others, or gone (``None``)."""
        dropins = dict(self.dropins)
        for path, content in files.items():
            folder, name = posixpath.split(path)
            if folder == paths.dropins and content is not None:
                dropins[name] = content
            elif folder == paths.dropins:
                dropins.pop(name, None)
        main = files.get(paths.main_file, self.main)
        imports = {path: files.get(path, content) for path, content in self.imports.items()}
        left = {path: content for path, content in imports.items() if content is not None}
        return replace(self, main=main, dropins=dropins, imports=left)
