"""What containerd loads, as files that can be laid into a folder of their own.

The node's containerd reads such a copy before anything is switched, and starts from one where the
files in place are not to be trusted. A main file and numbered imports, in containerd's order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime import toml

if TYPE_CHECKING:
    from k0sruntime.compose import Composition

MAIN = "main.toml"


def copy_of(composition: Composition) -> tuple[dict[str, str], dict[str, str]]:
    """Return what containerd would load as a main file and numbered imports.

    The first result maps a copy's name to its text, the second to the real path.
    """
    loaded = _loaded(composition)
    main_path, main_text = loaded[0]
    texts, names = {}, {MAIN: main_path}
    for number, (path, text) in enumerate(loaded[1:]):
        name = f"{number:06d}.toml"
        texts[name], names[name] = text, path
    document = toml.load(main_text.encode(), main_path)
    document["imports"] = list(texts)  # relative to the importing file
    return {MAIN: toml.dump(document), **texts}, names


def _loaded(composition: Composition) -> list[tuple[str, str]]:
    """Return (path, text) of what containerd loads: the merged CRI file stands for its parts."""
    texts = [(layer.path, layer.text) for layer in composition.layers]
    merged = composition.merged
    if merged is None:
        return texts
    imported = set(toml.load(texts[0][1].encode(), texts[0][0]).get("imports", []))
    plain = [(path, text) for path, text in texts[1:] if path in imported]
    return [texts[0], *plain, (merged.path, merged.text)]
