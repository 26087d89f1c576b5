"""The worker profile in a ``k0sctl.yaml``: ours in, and what an earlier export put there out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k0sruntime.compose.envsubst import escaped, read
from k0sruntime.compose.k0sctl import fingerprint, left_by
from k0sruntime.k0sctl_hosts import all_hosts, list_at
from k0sruntime.yaml_lists import Edit

if TYPE_CHECKING:
    from collections.abc import Callable

    from k0sruntime.contributions import KubeletProfile
    from k0sruntime.yaml_lists import Path

PROFILES: Path = ("spec", "k0s", "config", "spec", "workerProfiles")


def edits(
    before: Any,
    config: Any,
    profile: KubeletProfile | None,
    place: str,
    tell: Callable[[str], None],
) -> list[Edit]:
    """Return what becomes of the worker profiles: ours in, and those of earlier exports out.

    Args:
        before: the cluster as it was, with the marks of the export before.
        config: the cluster with its hosts as they shall be.
        profile: the one that is wanted.
        place: the file's path, for errors.
        tell: takes a sentence about one that stays.
    """
    found = list_at(config, PROFILES, place)
    earlier = {text for host in all_hosts(before, place) for text in _marked(host)}
    gone: list[Any] = []
    for item in found:
        name = item.get("name") if isinstance(item, dict) else None
        mine = isinstance(name, str) and any(text.rpartition(":")[0] == name for text in earlier)
        if not mine or (profile is not None and name == profile.name):
            continue
        if _fingerprint(item) not in earlier:
            tell(f"the worker profile {name} of an earlier export stays: it was edited since")
        elif any(_names_profile(host, str(name)) for host in config["spec"]["hosts"]):
            tell(f"the worker profile {name} of an earlier export stays: a host still names it")
        else:
            gone.append(item)
    put = []
    if profile is not None:
        values: dict[str, Any] = escaped(dict(sorted(profile.values.items())))
        value: dict[str, Any] = {"name": profile.name, "values": values}
        known = next(
            (i for i in found if isinstance(i, dict) and i.get("name") == profile.name), None
        )
        if known is not None:
            gone.append(known)
            if _fingerprint(known) not in earlier:  # another's keys in it are kept
                value = {**known, "values": {**(known.get("values") or {}), **values}}
        put.append(value)
    return [Edit(PROFILES, put, gone.__contains__)] if gone or put else []


def _marked(host: Any) -> tuple[str, ...]:
    hooks = host.get("hooks")
    found = hooks.get("apply") if isinstance(hooks, dict) else None
    after = found.get("after") if isinstance(found, dict) else None
    return left_by(after).profiles if isinstance(after, list) else ()


def _fingerprint(item: Any) -> str:
    known = set(item) == {"name", "values"}
    return fingerprint(str(item["name"]), read(item["values"])) if known else ""


def _names_profile(host: Any, name: str) -> bool:
    flags = host.get("installFlags")
    words = " ".join(str(flag) for flag in flags).split() if isinstance(flags, list) else []
    pairs = zip(words, (*words[1:], ""), strict=False)
    return any(
        word == f"--profile={name}" or (word, after) == ("--profile", name) for word, after in pairs
    )
