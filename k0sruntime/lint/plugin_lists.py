"""Lists of plugins: ``disabled_plugins``, ``required_plugins``, and what must be a plugin's URI.

Source: containerd 1.7 ``services/server/config/config.go`` (``ValidateV2``), 2.x
``cmd/containerd/server/config/config.go`` (``ValidateVersion``, ``v1MigratePluginName``) and
``cmd/containerd/server/server.go`` (``New``). ``config dump`` says nothing of a required plugin
that is not there. Seen on 1.7.24 and 2.1.9.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k0sruntime.compose.schema import CRI
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.known_plugins import (
    CRI_PLUGINS,
    NOT_ON_LINUX,
    known_plugins,
)
from k0sruntime.lint.read_as import common_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.subject import File
    from k0sruntime.lint.target import Target

ALIKE = 0.88
"""All plugin IDs begin alike, so that these have to be much alike to be the same."""
DISABLED, REQUIRED = "disabled_plugins", "required_plugins"
SHORT_CRI = "cri"
"""Its name in files of version 1, which had no plugin IDs."""


def named(file: File, key: str) -> tuple[str, ...]:
    """Return the plugins that a file's list names; other values are K0R003's."""
    value = file.document.get(key)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def is_version_1(file: File, case: Case) -> bool:
    """Tell whether short names are read in a file: 1.7 asks all files together, 2.x each.

    To 2.x a file without a version is one of version 1.
    """
    if case.target.schema == 2:
        return common_version(case.files, case.target) < 2
    return file.version == 1 or "version" not in file.document


def is_uri(text: str, target: Target) -> bool:
    """Tell whether a containerd takes a text for a plugin's URI; 2.x wants no more than a dot."""
    if target.schema > 2:
        return "." in text
    return text.startswith("io.containerd.") and text.count(".") > 2


def id_of(plugin: str) -> str:
    """Return a plugin's ID, which its URI has behind its type: ``cri``, ``diff-service``."""
    return re.sub(r"^.*?\.v\d+\.", "", plugin)


def cri_disabled(case: Case) -> Iterator[Hit]:
    """Find a CRI plugin among the disabled ones: a node without CRI is no node.

    1.7 has one CRI plugin, and in version 1 it knows that by its short name alone.
    """
    for file in case.files:
        short = (SHORT_CRI,) if is_version_1(file, case) else ()
        whole = CRI_PLUGINS if case.target.schema > 2 else () if short else (CRI,)
        for plugin in named(file, DISABLED):
            if plugin in (*whole, *short):
                yield Hit(
                    file,
                    f"disabled_plugins names {plugin!r}, without which the kubelet has no runtime",
                    "Take it out of disabled_plugins.",
                    (DISABLED,),
                )


def not_a_uri(case: Case) -> Iterator[Hit]:
    """Find entries that are no plugin's URI; 1.7 wants it of the plugins' tables as well."""
    for file in case.files:
        if is_version_1(file, case):
            continue
        listed = [(key, plugin) for key in (DISABLED, REQUIRED) for plugin in named(file, key)]
        for key, plugin in listed:
            if not is_uri(plugin, case.target):
                near = _uri_of(plugin, case)
                what = f"{key} names {plugin!r}, which is no plugin URI{near}"
                remedy = "Write the whole URI, such as io.containerd.snapshotter.v1.zfs."
                yield Hit(file, what, remedy, (key,))
        for plugin in table_at(file.document, "plugins") if case.target.schema == 2 else ():
            if not is_uri(plugin, case.target):
                what = f"the table of plugins.{plugin} names no plugin URI{_uri_of(plugin, case)}"
                remedy = f'Write the whole URI, such as [plugins."{CRI}"].'
                yield Hit(file, what, remedy, ("plugins", plugin))


def _uri_of(short: str, case: Case) -> str:
    """Return a plugin that is called so in the old way, as a question."""
    for known in known_plugins(case.target.containerd):
        if short and known.endswith(f".{short}") and known not in NOT_ON_LINUX:
            return f"; did you mean {known!r}?"
    return ""


RULES = (
    Rule(
        "K0R106",
        "cri-disabled",
        "the CRI plugin is among the disabled ones",
        "kills CRI",
        cri_disabled,
    ),
)
"""K0R106: plugins that are disabled."""
URI_RULES = (
    Rule(
        "K0R109",
        "not-a-plugin-uri",
        "a plugin that is not named by its URI",
        "stops the node",
        not_a_uri,
    ),
)
"""K0R109: names that are no plugin's."""
