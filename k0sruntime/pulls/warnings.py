"""Where containerd does something else than a registry's files seem to say.

Most of it lint knows; what is added here only shows once a registry is asked for.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from k0sruntime.errors import Problem
from k0sruntime.lint import check
from k0sruntime.lint.registries import HUB_NAMES
from k0sruntime.lint.subject import HostsFolder, Subject, parse
from k0sruntime.lint.target import Target
from k0sruntime.pulls.go_url import is_loopback, split_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k0sruntime.node import Files, Version
    from k0sruntime.pulls.hosts_file import Entry

FOLDER_RULES = ("K0R711", "K0R712", "K0R713")
"""Rules about a folder's name, which matter where another folder is read instead."""


def of_folders(
    registry: str, certs: str, read: str, files: Files, containerd: Version
) -> tuple[Problem, ...]:
    """Return lint's findings on the folder that is read, and on those that look as if they were."""
    names = [name for name in (files.names(certs) if certs else ()) if _meant(name, registry)]
    folders = tuple(_folder(f"{certs}/{name}", files) for name in names)
    findings = check(Subject(hosts=folders), Target(containerd), files)
    return tuple(
        Problem(
            f"{finding.rule.code} {finding.rule.name}: {finding.message}",
            place=finding.place,
            remedy=finding.remedy,
        )
        for finding in findings
        if finding.rule.code in FOLDER_RULES or (read and finding.path.startswith(f"{read}/"))
    )


def _meant(name: str, registry: str) -> bool:
    """Tell whether somebody may have meant a folder's name for a registry."""
    if name == "_default" or (registry == "docker.io" and name in HUB_NAMES):
        return True
    return name.rstrip("_").replace("_", ":").lower() == registry.replace("_", ":").lower()


def _folder(path: str, files: Files) -> HostsFolder:
    file = f"{path}/hosts.toml"
    data = files.read(file)
    parsed = None if data is None else parse(file, data, "hosts")
    return HostsFolder(path, files.names(path), parsed)


def of_refused(path: str, error: Exception) -> Problem:
    """Return what follows where containerd cannot decode a hosts file."""
    return Problem(
        f"containerd refuses the whole file ({error}), logs it, and asks the upstream alone",
        place=path,
        remedy="Correct the file: until then no mirror in it is asked.",
    )


def of_docker(entry: Entry, folder: str) -> Iterator[Problem]:
    """Tell of certificates that count although no hosts file names them."""
    found = [*(entry.ca or ()), *(path for pair in entry.client for path in pair if path)]
    if found:
        names = ", ".join(posixpath.basename(path) for path in found)
        yield Problem(
            f"no hosts file counts here, so that {names} are used for the upstream, as Docker does",
            place=folder,
            remedy="Write a hosts file that names them, or take them away.",
        )


def of_entries(registry: str, entries: Sequence[Entry], path: str) -> Iterator[Problem]:
    """Tell of URLs that containerd cannot ask, or asks somewhere else than they say."""
    for entry in entries:
        url = entry.url
        if url is None:
            continue
        shown = f"{url.scheme}://{url.host}{url.path}"
        if url.host and url.scheme not in ("http", "https"):
            yield Problem(
                f"{shown} cannot be asked: {url.scheme} is no scheme of a registry",
                place=path,
                remedy="Write https:// or http://.",
            )
        if "resolve" in entry.capabilities and "pull" not in entry.capabilities:
            yield Problem(
                f"{shown} may resolve, and is not asked to: only one that may pull as well is",
                place=path,
                remedy='Write capabilities = ["pull", "resolve"].',
            )
        if "/v2/" in url.path and entry.path.endswith("/v2") and not url.path.endswith("/v2"):
            yield Problem(
                f"{shown} is asked at {entry.path}",
                place=path,
                remedy="Set override_path = true where its path is whole.",
            )
    yield from _of_loopback(registry, entries[-1], path)


def _of_loopback(registry: str, root: Entry, path: str) -> Iterator[Problem]:
    port = split_port(registry)[1]
    if not is_loopback(registry) or port == "80" or (root.url is not None and root.url.host):
        return
    plain = "" if port in ("", "443") else ", and where TLS fails it is asked over plain HTTP"
    yield Problem(
        f"{registry} is on this machine: its certificate is not verified{plain}",
        place=path,
        remedy="Name it as server, with its scheme.",
    )
