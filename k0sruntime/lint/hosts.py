"""Hosts that containerd does not see in a hosts file, or sees in another way than it looks.

Source: containerd 2.3 and 1.7 ``core/remotes/docker/config/hosts.go``; the corpus of 2.3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime import masking
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.hosts_text import headers, split_hosts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.subject import File


def entries(file: File) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield (path, table) of the root and of every host."""
    yield (), file.document
    hosts = file.document.get("host")
    for url, table in hosts.items() if isinstance(hosts, dict) else ():
        if isinstance(table, dict):
            yield ("host", url), table


def urls(file: File) -> Iterator[tuple[Path, str]]:
    """Yield (key, URL) of the server and of every host."""
    server = file.document.get("server")
    if isinstance(server, str) and server:
        yield ("server",), server
    for path, _ in entries(file):
        if path:
            yield path, path[1]


def inline_host(case: Case) -> Iterator[Hit]:
    """Find hosts that are no ``[host."…"]`` header: containerd 2 drops them, 1.7 does not."""
    for file in case.hosts():
        headed = {path[1] for path, _ in headers(file.text)}
        for path, _ in entries(file):
            if path and path[1] not in headed:
                shown = masking.url(path[1])
                yield Hit(
                    file,
                    f"the host {shown!r} has no header of its own",
                    f'Write it as a table: [host."{shown}"]',
                    path,
                    consequence="untidy" if case.target.schema == 2 else None,
                )


def split_host(case: Case) -> Iterator[Hit]:
    """Find a host's second header behind another host: containerd 2 tries the host twice."""
    for file in case.hosts():
        for path, line in split_hosts(file.text):
            yield Hit(
                file,
                f"a table of the host {masking.url(path[1])!r} follows after another host",
                "Move it up, right behind its host's own table.",
                path,
                line=line,
            )


def trailing_slash(case: Case) -> Iterator[Hit]:
    """Find URLs that end in a slash: their path becomes ``//v2``."""
    for file in case.hosts():
        for key, url in urls(file):
            if url.endswith("/"):
                shown = masking.url(url)
                yield Hit(
                    file,
                    f"{shown!r} ends in a slash: its path becomes {shown}/v2",
                    "Take the slash away.",
                    key,
                )


def no_scheme(case: Case) -> Iterator[Hit]:
    """Find hosts without a scheme; one that starts with http gives way to the upstream."""
    for file in case.hosts():
        for key, url in urls(file):
            if "://" in url:
                continue
            lost = url.startswith("http")
            why = "containerd asks the upstream instead" if lost else "containerd takes https"
            shown = masking.url(url)
            yield Hit(
                file,
                f"the host {shown!r} has no scheme: {why}",
                f"Write https://{shown}",
                key,
                consequence=None if lost else "untidy",
            )


def capabilities_without_server(case: Case) -> Iterator[Hit]:
    """Find capabilities at the root of a file without ``server``: the upstream keeps all."""
    for file in case.hosts():
        if "capabilities" in file.document and not file.document.get("server"):
            yield Hit(
                file,
                "capabilities at the root count only beside a server",
                "Name the server as well, or move them below their host.",
                ("capabilities",),
            )


def server_in_host(case: Case) -> Iterator[Hit]:
    """Find a ``server`` behind a host's header, where it is that host's key and ignored."""
    for file in case.hosts():
        for path, table in entries(file):
            if path and "server" in table:
                yield Hit(
                    file,
                    f"server stands in the table of the host {masking.url(path[1])!r} and is not"
                    " read there",
                    "Move it to the top of the file, above every [host] header.",
                    (*path, "server"),
                )


RULES = (
    Rule(
        "K0R701",
        "inline-host-table",
        "a host that is not a [host] header",
        "silently ignored",
        inline_host,
    ),
    Rule("K0R702", "split-host", "a host's table behind another host", "untidy", split_host),
    Rule("K0R703", "trailing-slash", "a URL that ends in a slash", "untidy", trailing_slash),
    Rule("K0R704", "host-without-scheme", "a host without a scheme", "silently ignored", no_scheme),
    Rule(
        "K0R705",
        "capabilities-without-server",
        "capabilities at the root without a server",
        "silently ignored",
        capabilities_without_server,
    ),
    Rule(
        "K0R706",
        "server-in-host",
        "server behind a [host] header",
        "silently ignored",
        server_in_host,
    ),
)
"""K0R701 to K0R706: the hosts of a hosts file."""
