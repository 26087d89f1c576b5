"""What k0s itself must be told: the worker's command line and the worker profile.

Neither is written to the node: a profile is cluster-wide, and ``k0s install --force`` replaces a
service's flags as a set. Sources: k0s ``pkg/component/worker/cri_runtime.go`` and
``pkg/apis/k0s/v1beta1/workerprofile.go``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from k0sruntime.contributions import Contribution, CRISocket, KubeletProfile, conflict
from k0sruntime.errors import ConflictError
from k0sruntime.values import same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.contributions import Owner


def one_socket(sockets: Sequence[Contribution[CRISocket]]) -> Contribution[CRISocket] | None:
    """Return the one CRI socket that the providers want, or none.

    Raises:
        ConflictError: two providers want different ones.
    """
    for other in sockets[1:]:
        if other.value != sockets[0].value:
            message = f"two CRI sockets: {sockets[0].value.url} and {other.value.url}"
            raise ConflictError(conflict(message, sockets[0].owner, other.owner))
    return sockets[0] if sockets else None


def one_profile(profiles: Sequence[Contribution[KubeletProfile]]) -> KubeletProfile | None:
    """Return the one kubelet profile that the providers want, merged, or none.

    Raises:
        ConflictError: two names, or two values for one key.
    """
    if not profiles:
        return None
    first = profiles[0]
    values: dict[str, Any] = {}
    setters: dict[str, Owner] = {}
    for profile in profiles:
        if profile.value.name != first.value.name:
            message = f"two kubelet profiles: {first.value.name!r} and {profile.value.name!r}"
            raise ConflictError(conflict(message, first.owner, profile.owner))
        for key, value in profile.value.values.items():
            if key in values and not same(values[key], value):
                message = f"profile {first.value.name!r}: {key!r} is {values[key]!r} and {value!r}"
                raise ConflictError(conflict(message, setters[key], profile.owner))
            values[key] = value
            setters[key] = profile.owner
    return KubeletProfile(name=first.value.name, values=values)


def worker_flags(socket: CRISocket | None, profile: KubeletProfile | None) -> list[str]:
    """Return the flags that a k0s worker needs for this composition."""
    flags = []
    if socket is not None:
        flags.append(f"--cri-socket=remote:{socket.url}")
    if profile is not None:
        flags.append(f"--profile={profile.name}")
    return flags


def command_lines(flags: Sequence[str]) -> list[str]:
    """Return the command lines, one for each way in which a k0s worker is started."""
    text = " ".join(flags)
    return [
        f"k0s install --force worker {text} --token-file <FILE>",
        f"k0s install --force controller --enable-worker {text}",
    ]


def profile_fragment(profile: KubeletProfile) -> str:
    """Return the fragment of ``k0s.yaml`` that defines a worker profile."""
    lines = ["spec:", "  workerProfiles:", f"    - name: {profile.name}", "      values:"]
    lines += [
        f"        {key}: {json.dumps(value)}" for key, value in sorted(profile.values.items())
    ]
    return "\n".join(lines) + "\n"
