"""``--cri-socket`` as k0s reads it: ``<type>:<url>``, its errors in its own words.

Source: k0s ``pkg/component/worker/cri_runtime.go``. The flag's own help still names ``docker``,
and k0s takes ``remote`` alone.
"""

from __future__ import annotations

import json

FLAG = "--cri-socket"


def endpoint(value: str) -> str:
    """Return the URL that k0s hands to the kubelet; empty for an empty value (k0s's own).

    Raises:
        ValueError: what k0s says before it stops.
    """
    if not value:
        return ""
    kind, colon, url = value.partition(":")
    if not colon:
        raise ValueError("CRI socket flag must be of the form <type>:<url>")
    if kind != "remote":
        quoted = json.dumps(kind, ensure_ascii=False)
        raise ValueError(f'unknown runtime type {quoted}, only "remote" is supported')
    from k0sruntime.pulls import go_url  # seldom needed, and not free

    if go_url.parse(url) is None:
        quoted = json.dumps(url, ensure_ascii=False)
        raise ValueError(f"failed to parse container runtime endpoint {quoted}")
    return url


def flag(url: str) -> str:
    """Return the flag that points k0s at a socket."""
    return f"{FLAG}=remote:{url}"
