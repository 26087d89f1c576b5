"""All rules, in the order of their codes. A rule that is not named here does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint import (
    addresses,
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
    logging_keys,
    names,
    needed_plugins,
    platforms,
    plugin_lists,
    programs,
    proxy_plugins,
    registries,
    registry,
    required_plugins,
    said,
    snapshotters,
    streaming_tls,
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
    *required_plugins.RULES,
    *plugin_lists.URI_RULES,
    *addresses.RULES,
    *logging_keys.RULES,
    *versions.RULES,
    *default_handler.RULES,
    *handlers.RULES,
    *cri_checks.RULES,
    *snapshotters.RULES,
    *durations.RULES,
    *needed_plugins.RULES,
    *platforms.RULES,
    *needed_plugins.VALUE_RULES,
    *streaming_tls.RULES,
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
