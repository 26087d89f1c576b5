"""Credentials go where containerd reads them: ``registry.configs."<host>".auth``.

A hosts file has no place for them. containerd looks them up by the host of the URL that it asks.
Source: containerd 2.3 ``internal/cri/config/config.go`` (``AuthConfig``) and
``internal/cri/server/images/image_pull.go``; 1.7 ``pkg/cri``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime import Problem, Refused, masked_url
from k0sruntime_mirrors.urls import UPSTREAMS, address, host_of, registry_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime_mirrors.settings import Auth, Registry


def configs(registries: Mapping[str, Registry], place: str) -> dict[str, Any]:
    """Return the table ``registry.configs``: host to ``{"auth": …}``.

    Raises:
        Refused: two registries give one host different credentials, or they are for no host.
    """
    found: dict[str, Any] = {}
    owners: dict[str, str] = {}
    problems = []
    for name, registry in sorted(registries.items()):
        if problem := _for_no_host(name, registry, place):
            problems.append(problem)
            continue
        for host, auth in _of(name, registry):
            table = {"auth": _table(auth)}
            if found.setdefault(host, table) != table:
                problems.append(
                    Problem(
                        f"{host} has other credentials under {owners[host]}",
                        place=f'{place}: [mirrors."{masked_url(name)}"]',
                        remedy="Give a host the same credentials everywhere: containerd has one.",
                    )
                )
            owners.setdefault(host, name)
    if problems:
        raise Refused(*problems)
    return found


def _for_no_host(name: str, registry: Registry, place: str) -> Problem | None:
    """Return what is wrong where a registry's own credentials would be written for no host."""
    if not registry.auth or registry.server:
        return None
    fault, remedy = registry_fault(name, server=True)
    if name == "_default":
        fault = (
            "auth of _default is for no host: containerd looks credentials up by the host's name"
        )
        remedy = "Set it in the table of the endpoint or server, or of each registry."
    if not fault:
        return None
    return Problem(fault, place=f'{place}: [mirrors."{masked_url(name)}"] auth', remedy=remedy)


def _of(name: str, registry: Registry) -> Iterator[tuple[str, Auth]]:
    for item in registry.tables:
        if item.auth:
            yield host_of(item.target), item.auth
    server = registry.server
    if server and not isinstance(server, str) and server.auth:
        yield host_of(server.target), server.auth
    if registry.auth:
        url = server if isinstance(server, str) else server.target
        upstream = url or UPSTREAMS.get(name, "")
        yield host_of(address(upstream)) if upstream else name, registry.auth


def _table(auth: Auth) -> dict[str, str]:
    given = {
        "username": auth.username,
        "password": auth.password,
        "auth": auth.auth,
        "identitytoken": auth.identity_token,
    }
    return {key: value for key, value in given.items() if value}
