"""Names that containerd does not know: plugins, keys of the root, of CRI tables, of handlers.

containerd 2 warns of unknown keys in its log and goes on; 1.7 says nothing; neither says a word
about an unknown plugin ID or an unknown runc option. Source: containerd 2.3
``cmd/containerd/server/config/config.go`` and ``plugins/cri/*/plugin.go``; seen on 1.7.24, 2.1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.lint.case import RUNC_TYPES
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.known_keys import CRI_TABLES, ROOT, RUNC_OPTIONS
from k0sruntime.lint.known_plugins import CRI_PLUGINS, is_known, known_plugins
from k0sruntime.lint.plugin_lists import ALIKE, id_of, is_uri, is_version_1
from k0sruntime.lint.spec import find, walk
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.spec import Key
    from k0sruntime.lint.subject import File


def unknown_plugin(case: Case) -> Iterator[Hit]:
    """Find tables of plugins that the target does not have; containerd does not even warn."""
    containerd = case.target.containerd
    for file in case.files:
        for plugin in table_at(file.document, "plugins"):
            if case.target.schema == 2 and is_version_1(file, case):
                if id_of(plugin) == plugin:
                    continue  # the plugin's ID, which may be any
                yield Hit(
                    file,
                    f"the files are read as version 1, which knows no plugin {plugin!r}",
                    "Write version = 2 into the main file.",
                    ("plugins", plugin),
                )
                continue
            # The CRI plugins of the other schema are a matter of versions: K0R203 and K0R204.
            # To 1.7 a name that is no plugin's URI is worse than unknown: K0R109.
            if plugin in CRI_PLUGINS or is_known(plugin, containerd):
                continue
            if case.target.schema == 2 and not is_uri(plugin, case.target):
                continue
            near = did_you_mean(plugin, known_plugins(containerd), ALIKE)
            yield Hit(
                file,
                f"containerd {containerd} has no plugin {plugin!r}{near}",
                "Correct the plugin ID, or take the table out.",
                ("plugins", plugin),
            )


def unknown_root_key(case: Case) -> Iterator[Hit]:
    """Find keys of the root that containerd does not have."""
    for file in case.files:
        for name in file.document:
            key = find(ROOT, name)
            if key is None or not key.known_to(case.target.containerd):
                yield Hit(
                    file,
                    _unknown(f"the key {name!r}", name, key, ROOT),
                    "Correct the key, or take it out.",
                    (name,),
                )


def unknown_key(case: Case) -> Iterator[Hit]:
    """Find unknown keys in containerd's own tables and in the CRI tables, but for handlers."""
    for file in case.files:
        for path, key, spec in _keys(case, file):
            if "runtimes" not in path[:-1]:
                yield Hit(
                    file,
                    _unknown(f"the key {path[-1]!r}", path[-1], key, spec),
                    "Correct the key, or take it out.",
                    path,
                )


def unknown_handler_key(case: Case) -> Iterator[Hit]:
    """Find unknown keys in a handler's table."""
    for file in case.files:
        for path, key, spec in _keys(case, file):
            if "runtimes" in path[:-1]:
                what = f"the key {path[-1]!r} of the handler {path[-2]!r}"
                yield Hit(
                    file,
                    _unknown(what, path[-1], key, spec),
                    "Correct the key, or take it out.",
                    path,
                )


def _keys(case: Case, file: File) -> Iterator[tuple[Path, Key | None, Mapping[str, Key]]]:
    """Yield the keys below the root that the target does not know."""
    for path, _, key, spec in walk(file.document, ROOT, ()):
        if len(path) > 1 and not (key and key.known_to(case.target.containerd)):
            yield path, key, spec
    names = (CRI,) if _speaks_2(case, file) else (RUNTIME, IMAGES)
    for plugin in names:
        table = table_at(file.document, "plugins", plugin)
        for path, _, key, spec in walk(table, CRI_TABLES[plugin], ("plugins", plugin)):
            if key is None or not key.known_to(case.target.containerd):
                yield path, key, spec


def _speaks_2(case: Case, file: File) -> bool:
    """Tell whether the one CRI table of schema 2 is meant; its keys in schema 3 are K0R203's."""
    return case.target.schema == 2 or (file.version or 3) < 3


def _unknown(what: str, name: str, key: Key | None, spec: Mapping[str, Key]) -> str:
    if key is None:
        return f"{what} is not known{did_you_mean(name, spec)}"
    if key.since > (0,) and key.until > (2,):
        return f"{what} is known only from containerd {'.'.join(map(str, key.since))} on"
    return f"{what} is gone since containerd {'.'.join(map(str, key.until))}.0"


def unknown_runc_option(case: Case) -> Iterator[Hit]:
    """Find options that the runc shim does not have; containerd is silent about them."""
    for handler in case.handlers():
        if handler.runtime_type not in RUNC_TYPES:
            continue
        for name in handler.options:
            key = find(RUNC_OPTIONS, name)
            if key and key.known_to(case.target.containerd):
                continue
            path = (*handler.path, "options", name)
            what = f"the option {name!r} of the handler {handler.name!r}"
            yield Hit(
                case.setter(path),
                _unknown(what, name, key, RUNC_OPTIONS),
                "Correct the option, or take it out.",
                path,
            )


RULES = (
    Rule(
        "K0R101",
        "unknown-plugin-id",
        "a table for a plugin that this containerd does not have",
        "silently ignored",
        unknown_plugin,
    ),
    Rule(
        "K0R102",
        "unknown-top-level-key",
        "a key at the root that containerd does not have",
        "silently ignored",
        unknown_root_key,
    ),
    Rule(
        "K0R103",
        "unknown-key",
        "a key that containerd's or CRI's table does not have",
        "silently ignored",
        unknown_key,
    ),
    Rule(
        "K0R104",
        "unknown-handler-key",
        "a key that a runtime handler does not have",
        "silently ignored",
        unknown_handler_key,
    ),
    Rule(
        "K0R105",
        "unknown-runc-option",
        "an option that the runc shim does not have",
        "silently ignored",
        unknown_runc_option,
    ),
)
"""K0R101 to K0R105: names."""
