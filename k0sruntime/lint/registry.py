"""The registry keys of the CRI images table.

Sources: containerd 1.7 ``pkg/cri/config/config.go`` and 2.x ``internal/cri/config/config.go``
(``ValidateImageConfig``), ``internal/cri/server/images/image_pull.go``; containerd#12415 for
several folders. Seen on 2.3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Consequence, Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path

FIRST_TRANSFER_PULLS = (2, 1)


def registries(case: Case) -> Iterator[tuple[Path, Mapping[str, object]]]:
    """Yield (path, table) of the registry tables that the files set."""
    for path, table in case.cri("images"):
        if registry := table_at(table, "registry"):
            yield (*path, "registry"), registry


def config_path(registry: Mapping[str, object]) -> str:
    """Return the folder, or folders, of hosts files; empty where none is named."""
    value = registry.get("config_path", "")
    return value if isinstance(value, str) else ""


def mirrors_beside_folder(case: Case) -> Iterator[Hit]:
    """Find ``mirrors`` beside ``config_path``."""
    for path, registry in registries(case):
        if config_path(registry) and table_at(registry, "mirrors"):
            where = (*path, "mirrors")
            yield Hit(
                case.setter(where),
                "registry.mirrors stands beside registry.config_path",
                "Move the mirrors to hosts files below config_path, and take the table out.",
                where,
            )


def tls_beside_folder(case: Case) -> Iterator[Hit]:
    """Find ``configs.*.tls``: 1.7 refuses it beside ``config_path``, 2.0 does not know it."""
    for path, registry in registries(case):
        old = case.target.schema == 2
        if old and not config_path(registry):
            continue
        for host, config in table_at(registry, "configs").items():
            where = (*path, "configs", host, "tls")
            if isinstance(config, dict) and config.get("tls"):
                consequence: Consequence = "kills CRI" if old else "silently ignored"
                why = "stands beside config_path" if old else "is gone since containerd 2.0"
                yield Hit(
                    case.setter(where),
                    f"registry.configs.{host!r}.tls {why}",
                    "Write ca, client or skip_verify into the host's hosts file.",
                    where,
                    consequence=consequence,
                )


def several_folders(case: Case) -> Iterator[Hit]:
    """Find more than one folder in ``config_path``: 2.1 and newer take it for one strange name."""
    for path, registry in registries(case):
        folders = [folder for folder in config_path(registry).split(":") if folder]
        if len(folders) > 1:
            broken = case.target.containerd >= FIRST_TRANSFER_PULLS
            why = (
                "containerd takes them for one folder, and all mirrors are lost"
                if broken
                else "a _default in an earlier one hides all later ones"
            )
            where = (*path, "config_path")
            yield Hit(
                case.setter(where),
                f"config_path names {len(folders)} folders: {why}",
                "Name exactly one folder.",
                where,
                consequence=None if broken else "untidy",
            )


def folder_missing(case: Case) -> Iterator[Hit]:
    """Find a ``config_path`` that is not there."""
    for path, registry in registries(case):
        folder = config_path(registry)
        if folder and ":" not in folder and not case.machine_files.exists(folder):
            where = (*path, "config_path")
            yield Hit(
                case.setter(where),
                f"the folder {folder} is not there",
                "Create it, or correct the path.",
                where,
            )


RULES = (
    Rule(
        "K0R401",
        "mirrors-beside-config-path",
        "registry.mirrors beside registry.config_path",
        "kills CRI",
        mirrors_beside_folder,
    ),
    Rule(
        "K0R402",
        "tls-beside-config-path",
        "registry.configs.*.tls where it is refused or not read",
        "kills CRI",
        tls_beside_folder,
    ),
    Rule(
        "K0R403",
        "several-config-paths",
        "more than one folder in config_path",
        "silently ignored",
        several_folders,
    ),
    Rule(
        "K0R404",
        "config-path-missing",
        "a config_path that is not there",
        "silently ignored",
        folder_missing,
        machine=True,
    ),
)
"""K0R4xx: registries in CRI's table."""
