"""Hosts files that mean something else than they seem to say.

Source: containerd 2.3 and 1.7 ``core/remotes/docker/config/hosts.go``; each seen on 2.1.9 and
1.7.24 (``tests/real/test_resolution.py``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k0sruntime import masking
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.hosts import entries, urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case

_USER = re.compile(r"([^/]*//)?[^?#]*@")


def no_host_table(case: Case) -> Iterator[Hit]:
    """Find files without a ``host`` table: containerd 1.7 refuses them as a whole."""
    for file in case.hosts():
        if case.target.schema == 2 and file.document and "host" not in file.document:
            yield Hit(
                file,
                "there is no host table, and containerd 1.7 refuses a file without any",
                "Add an empty one at the end: [host]",
                line=1,
            )


def part_not_sent(case: Case) -> Iterator[Hit]:
    """Find users, passwords and queries in URLs: containerd leaves them out."""
    for file in case.hosts():
        for key, url in urls(file):
            if _USER.match(url):
                yield Hit(
                    file,
                    f"user and password of {masking.url(url)!r} are not sent",
                    "Take them out: credentials go to registry.configs, or to the pod.",
                    key,
                )
            elif "?" in url or "#" in url:
                yield Hit(
                    file, f"the query of {masking.url(url)!r} is not sent", "Take it out.", key
                )


def empty_capabilities(case: Case) -> Iterator[Hit]:
    """Find empty lists of capabilities, which stand for all of them."""
    for file in case.hosts():
        for path, table in entries(file):
            if table.get("capabilities") == []:
                yield Hit(
                    file,
                    "an empty list of capabilities stands for all of them",
                    "Name those that it shall have.",
                    (*path, "capabilities"),
                )


def empty_client_key(case: Case) -> Iterator[Hit]:
    """Find pairs with an empty key, which is read as the folder itself."""
    for file in case.hosts():
        for path, table in entries(file):
            pairs = table.get("client")
            for pair in pairs if isinstance(pairs, list) else ():
                if isinstance(pair, list) and "" in pair:
                    yield Hit(
                        file,
                        "an empty name in a pair of certificate and key is read as the folder,"
                        " which fails every pull",
                        "Name the file twice where it has both.",
                        (*path, "client"),
                    )


RULES = (
    Rule(
        "K0R718",
        "no-host-table",
        "a hosts file without a host table",
        "silently ignored",
        no_host_table,
    ),
    Rule(
        "K0R719",
        "url-part-not-sent",
        "a user, a password or a query in a URL",
        "silently ignored",
        part_not_sent,
    ),
    Rule(
        "K0R720",
        "empty-capabilities",
        "an empty list of capabilities",
        "untidy",
        empty_capabilities,
    ),
    Rule(
        "K0R721",
        "empty-client-key",
        "an empty key beside a client certificate",
        "breaks pods",
        empty_client_key,
    ),
)
"""K0R718 to K0R721: what a hosts file means."""
