"""TLS of CRI's streaming server: what does not go together, or is not there, kills CRI.

Source: containerd 1.7 ``pkg/cri/streamingserver.go`` and 2.x ``internal/cri/server/streaming.go``
(``getStreamListenerMode``). Seen on 1.7.24 and 2.1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k0sruntime.compose.schema import CRI
from k0sruntime.lint.effective import table_at
from k0sruntime.lint.finding import Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k0sruntime.lint.case import Case

SWITCH, PAIR = "enable_tls_streaming", "x509_key_pair_streaming"
KEYS = ("tls_cert_file", "tls_key_file")


def bad_streaming_tls(case: Case) -> Iterator[Hit]:
    """Find a pair of files without the switch, half a pair, and files that are not there."""
    streaming = case.effective.table("plugins", CRI)
    pair = {key: table_at(streaming, PAIR).get(key) or "" for key in KEYS}
    given = [key for key in KEYS if pair[key]]
    if not given or not all(isinstance(value, str) for value in pair.values()):
        return
    path = ("plugins", CRI, PAIR, given[0])
    if streaming.get(SWITCH) is not True:
        what = f"{given[0]} is set and {SWITCH} is not"
        yield Hit(case.setter(path), what, f"Set {SWITCH} = true, or take {PAIR} out.", path)
    elif len(given) < len(KEYS):
        (other,) = set(KEYS) - set(given)
        what = f"{given[0]} is set and {other} is not"
        yield Hit(case.setter(path), what, "Name certificate and key, or neither.", path)
    for key in given if case.target.machine and streaming.get(SWITCH) is True else ():
        if pair[key].startswith("/") and not case.machine_files.exists(pair[key]):
            path = ("plugins", CRI, PAIR, key)
            what = f"{key} {pair[key]} is not there"
            yield Hit(case.setter(path), what, f"Put the file there, or take {PAIR} out.", path)


RULES = (
    Rule(
        "K0R315",
        "bad-streaming-tls",
        "TLS of CRI's streaming server that cannot be",
        "kills CRI",
        bad_streaming_tls,
    ),
)
"""K0R315: the streaming server."""
