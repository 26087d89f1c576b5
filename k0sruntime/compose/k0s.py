"""What k0s itself must be told: the worker's command line and the worker profile.

Neither is written to the node: a profile is cluster-wide, and ``k0s install --force`` replaces a
service's flags as a set. Sources: k0s ``pkg/component/worker/cri_runtime.go`` and
``pkg/apis/k0s/v1beta1/workerprofile.go``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k0sruntime.compose import cri_flag, k0s_unit
from k0sruntime.compose.kubelet_fields import FIELDS
from k0sruntime.contributions import Contribution, CRISocket, KubeletProfile, conflict
from k0sruntime.errors import ConflictError
from k0sruntime.settings import nearest
from k0sruntime.values import same

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from k0sruntime.compose.k0s_unit import Service
    from k0sruntime.contributions import Owner
    from k0sruntime.node import Mode, Node

BUNDLES = (".tar", ".tar.gz", ".tgz", ".tar.zst")
"""Names of image bundles (k0s ``pkg/component/worker/ocibundle.go``)."""


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


@dataclass(frozen=True)
class Told:
    """What k0s must be told so that it runs on this composition.

    Attributes:
        words: the full command line that installs its service anew; empty where none is known.
        lines: what a person is to run, masked where it must be.
        service: how k0s is started now; ``None`` where nothing is known.
        done: k0s is started with all of it already.
        notes: what stands in the way, or changes with it.
        profile: the worker profile that it is told of and is not started with yet.
    """

    words: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    service: Service | None = None
    done: bool = False
    notes: tuple[str, ...] = ()
    profile: str = ""


def told(
    node: Node[Any],
    socket: CRISocket | None,
    profile: KubeletProfile | None,
    left: str = "",
    own: str = "",
    dropins: Collection[str] = (),
) -> Told:
    """Return what k0s must be told: the socket, or that it shall run its own containerd again.

    Args:
        node: tells how k0s is started.
        socket: the CRI that it shall use; ``None``: its own containerd.
        profile: the worker profile that it needs; ``None``: the one that it has.
        left: the worker profile that another runtime needed, which goes with it.
        own: the one that the service had before that, which comes back.
        dropins: names of the drop-ins of other hands.
    """
    service = k0s_unit.find(node)
    changes = tuple(_no_more(node, dropins)) if socket else ()
    if service is None:
        flags = worker_flags(socket, profile)
        return Told(lines=tuple(command_lines(flags)) if flags else (), notes=changes)
    name, named = k0s_unit.profile_of(service, profile, left, own), service.flag(k0s_unit.PROFILE)
    notes = (*_in_the_way(service, socket), *changes)
    wanted = cri_flag.flag(socket.url).partition("=")[2] if socket else ""
    if service.flag(cri_flag.FLAG) == wanted and named == name:
        return Told(service=service, done=True, notes=notes)
    words = k0s_unit.install_words(service, socket, name)
    lines = (k0s_unit.shown(words), service.restart)
    notes = (*_replaced(named, profile), *notes)
    return Told(
        tuple(words),
        tuple(filter(None, lines)),
        service,
        notes=notes,
        profile=name if name != named else "",
    )


def own_again(
    node: Node[Any], mode: Mode, profile: KubeletProfile | None, left: str, own: str = ""
) -> Told:
    """Return what k0s must be told where it is still started with another CRI."""
    service = k0s_unit.find(node)
    if service is None or not (said := service.flag(cri_flag.FLAG)):
        return Told()
    ours = CRISocket(url=f"unix://{node.paths.socket}")
    if mode == "standalone" and said == f"remote:{ours.url}":
        return Told()
    return told(node, ours if mode == "standalone" else None, profile, left, own)


def _replaced(named: str, profile: KubeletProfile | None) -> Iterator[str]:
    """Tell what becomes of the worker profile that the service has, where another is needed."""
    if not profile or named in ("", profile.name):
        return
    values = ", ".join(f"{key}: {value}" for key, value in sorted(profile.values.items()))
    yield (
        f"--profile={profile.name} replaces --profile={named}: what {named} sets (evictions,"
        f" maxPods and so on) counts no more, until the node leaves this CRI and gets {named} back;"
        f" to keep it, put {values} into {named}, and let the provider name that profile"
    )


def _no_more(node: Node[Any], dropins: Collection[str]) -> Iterator[str]:
    """Tell what lies on the node and counts no more once k0s runs no containerd."""
    names = node.files.names(node.paths.images)
    if bundles := [name for name in names if name.endswith(BUNDLES)]:
        more = f" and {len(bundles) - 1} more" if bundles[1:] else ""
        yield (
            f"k0s then imports no image bundles: {node.paths.images} has {bundles[0]}{more},"
            " to be imported into the other runtime"
        )
    if others := sorted(dropins):
        more = f" and {len(others) - 1} more" if others[1:] else ""
        yield f"drop-ins count for nothing then: {node.paths.dropins} has {others[0]}{more}"


def _in_the_way(service: Service, socket: CRISocket | None) -> Iterator[str]:
    said = service.flag(cri_flag.FLAG)
    head = f"{service.path or 'k0s'}: {cri_flag.FLAG}={said}"
    try:
        if said and not cri_flag.endpoint(said):
            yield f"{head}: k0s starts no containerd, and gives its kubelet no endpoint"
    except ValueError as exc:
        yield f"{head}: k0s does not start: {exc}"
    if service.overridden_by and service.added:
        yield (
            f"{service.overridden_by} adds {' '.join(service.added)} behind the service's own"
            " flags, and the last one counts: correct it there"
        )
    elif service.overridden_by:
        yield (
            f"{service.overridden_by} sets ExecStart: what k0s install writes counts for nothing"
            " until that line is taken out"
        )
    if socket and not service.runs_a_kubelet:
        yield (
            "this controller runs no kubelet, so that a CRI socket has no effect;"
            " with --enable-worker it would"
        )


def unknown_fields(profile: KubeletProfile | None) -> tuple[str, ...]:
    """Tell which values of a worker profile no kubelet that we know has.

    k0s's controllers read profiles strictly, and refuse the whole configuration for one of them.
    A newer Kubernetes may have more, so it is told and not refused.
    """
    names = [name for name in (profile.values if profile else ()) if name not in FIELDS]
    return tuple(
        f"the worker profile {profile.name!r} sets {name!r}, which no kubelet up to 1.36 has:"
        f" k0s's controllers would refuse the whole configuration. {nearest(name, FIELDS)}".rstrip(
            ". "
        )
        for name in sorted(names)
        if profile
    )


def worker_flags(socket: CRISocket | None, profile: KubeletProfile | None) -> list[str]:
    """Return the flags that a k0s worker needs for this composition."""
    flags = []
    if socket is not None:
        flags.append(cri_flag.flag(socket.url))
    if profile is not None:
        flags.append(f"--profile={profile.name}")
    return flags


def command_lines(flags: Sequence[str]) -> list[str]:
    """Return the command lines for a node whose k0s is not installed as a service yet."""
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
