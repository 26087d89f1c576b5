"""All rules, in the order of their codes. A rule that is not named here does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint import (
    cri_checks,
    default_handler,
    durations,
    folder,
    handler_files,
    handlers,
    hosts,
    hosts_meaning,
    hosts_values,
    imports,
    names,
    plugin_lists,
    programs,
    proxy_plugins,
    registries,
    registry,
    said,
    snapshotters,
    syntax,
    versions,
)

if TYPE_CHECKING:
    from k0sruntime.lint.finding import Rule

RULES: tuple[Rule, ...] = (
    *syntax.RULES,
    *names.RULES,
    *plugin_lists.RULES,
    *proxy_plugins.RULES,
    *plugin_lists.URI_RULES,
    *versions.RULES,
    *default_handler.RULES,
    *handlers.RULES,
    *cri_checks.RULES,
    *snapshotters.RULES,
    *durations.RULES,
    *registry.RULES,
    *imports.RULES,
    *folder.RULES,
    *hosts.RULES,
    *hosts_values.RULES,
    *registries.RULES,
    *hosts_meaning.RULES,
    *programs.RULES,
    *handler_files.RULES,
    *said.RULES,
)
