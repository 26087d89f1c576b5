"""Values for which containerd refuses a hosts file as a whole, and keys that it does not have.

What containerd cannot decode it logs and passes over: pulls then bypass the mirror and do not fail.
Source: containerd 2.3 and 1.7 ``core/remotes/docker/config/hosts.go``; the corpus of 2.3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.contributions import CAPABILITIES
from k0sruntime.lint.durations import is_duration
from k0sruntime.lint.finding import Hit, Rule
from k0sruntime.lint.hosts import entries
from k0sruntime.lint.known_keys import HOST
from k0sruntime.lint.spec import find, fits, kind_of
from k0sruntime.lint.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.lint.case import Case
    from k0sruntime.lint.finding import Path
    from k0sruntime.lint.subject import File


REFERRERS_SINCE = (2, 2)


def wrong_duration(case: Case) -> Iterator[Hit]:
    """Find a ``dial_timeout`` that is no Go duration: the whole file is refused."""
    for file, path, table in _all(case):
        value = table.get("dial_timeout")
        known = HOST["dial_timeout"].known_to(case.target.containerd)
        if value is None or not known:
            continue
        if not isinstance(value, str) or not is_duration(value):
            yield Hit(
                file,
                f"dial_timeout = {value!r} is no duration",
                'Write a number with its unit, such as "5s".',
                (*path, "dial_timeout"),
            )


def wrong_host_type(case: Case) -> Iterator[Hit]:
    """Find values of a wrong type: the whole file is refused."""
    for file, path, table in _all(case):
        for name, value in table.items():
            key = HOST.get(name)
            if not path and name in ("server", "host"):
                wanted = "string" if name == "server" else "table"
            elif (
                key is None
                or name == "dial_timeout"
                or (name in ("ca", "client") and isinstance(value, str))
            ):
                continue
            else:
                wanted = key.kind
            if not fits(value, wanted):  # type: ignore[arg-type]
                yield Hit(
                    file,
                    f"{name} is {kind_of(value)}; it must be a {wanted}",
                    f"Write a {wanted}.",
                    (*path, name),
                )


def unknown_capability(case: Case) -> Iterator[Hit]:
    """Find capabilities that containerd does not have: the whole file is refused."""
    referrers = case.target.containerd >= REFERRERS_SINCE
    known = CAPABILITIES if referrers else tuple(c for c in CAPABILITIES if c != "referrers")
    for file, path, table in _all(case):
        values = table.get("capabilities")
        for value in values if isinstance(values, list) else ():
            if isinstance(value, str) and value.lower() not in known:
                yield Hit(
                    file,
                    f"containerd {case.target.containerd} has no capability {value!r}"
                    f"{did_you_mean(value, known)}",
                    f"Write one of {', '.join(known)}.",
                    (*path, "capabilities"),
                )


def unknown_hosts_key(case: Case) -> Iterator[Hit]:
    """Find keys that a hosts file does not have, such as k3s's ``rewrite``."""
    for file, path, table in _all(case):
        for name in table:
            if name in ("server", "host") and (not path or name == "server"):
                continue  # a server in a host's table is K0R706's
            key = find(HOST, name)
            if key is None or not key.known_to(case.target.containerd):
                yield Hit(
                    file,
                    f"containerd {case.target.containerd} does not know {name!r} in a hosts file"
                    f"{did_you_mean(name, HOST) if key is None else ''}",
                    "Correct the key, or take it out.",
                    (*path, name),
                )


def _all(case: Case) -> Iterator[tuple[File, Path, Mapping[str, Any]]]:
    for file in case.hosts():
        for path, table in entries(file):
            yield file, path, table


RULES = (
    Rule(
        "K0R707",
        "wrong-duration",
        "a dial_timeout that is no duration",
        "silently ignored",
        wrong_duration,
    ),
    Rule(
        "K0R708",
        "wrong-hosts-type",
        "a value of a wrong type in a hosts file",
        "silently ignored",
        wrong_host_type,
    ),
    Rule(
        "K0R709",
        "unknown-capability",
        "a capability that containerd does not have",
        "silently ignored",
        unknown_capability,
    ),
    Rule(
        "K0R710",
        "unknown-hosts-key",
        "a key that a hosts file does not have",
        "silently ignored",
        unknown_hosts_key,
    ),
)
"""K0R707 to K0R710: values in a hosts file."""
