"""k0s's configuration with our worker profile in it: a file whose text is kept, or a patch.

Source of the format: k0s ``pkg/apis/k0s/v1beta1/workerprofile.go``. A merge patch of Kubernetes
would replace the whole list of profiles, so the patch is one of RFC 6902, built on what is there.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, NoReturn

from k0sruntime import yaml_text
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.yaml_data import load

if TYPE_CHECKING:
    from k0sruntime.contributions import KubeletProfile
    from k0sruntime.yaml_text import Found, Splice

KIND = "ClusterConfig"
BOM = "\ufeff"
GONE: Any = object()
"""Stands for a key that is not there."""


def merged(text: str, profile: KubeletProfile, place: str) -> str:
    """Return a ``k0s.yaml`` with the profile in it; the same text where it is there already.

    Text is put in, and every other byte stays.

    Raises:
        RefusedError: it is no YAML, or not k0s's configuration, or ruamel.yaml is not installed, or
            the profile cannot go in without changing something else.
    """
    bare = text.removeprefix(BOM)
    documents = load(bare, place)
    number = _config(documents, place)
    wanted = copy.deepcopy(documents)
    if not _put(wanted[number], profile, place):
        return text
    try:
        result = _spliced(bare, number, documents[number], profile)
        if load(result, place) != wanted:
            raise yaml_text.OddError("its layout")  # noqa: TRY301 - told as the others are
    except (yaml_text.OddError, RefusedError, IndexError) as exc:
        why = str(exc) if isinstance(exc, yaml_text.OddError) else "its layout"
        _by_hand(why, profile, place, exc)
    return BOM * text.startswith(BOM) + result


def _by_hand(why: str, profile: KubeletProfile, place: str, cause: Exception) -> NoReturn:
    raise RefusedError(
        Problem(
            f"the profile cannot be put in without changing something else: {why}",
            place=f"{place}: spec.workerProfiles",
            remedy=f"Write it by hand: {yaml_text.flow(_value(profile))}",
        )
    ) from cause


def _spliced(text: str, number: int, config: Any, profile: KubeletProfile) -> str:
    """Put the profile into the text, as far down as something is there already."""
    root = yaml_text.parsed(text)[number]
    shared = yaml_text.aliases(root)
    splice = yaml_text.Splice(text, *yaml_text.style(root, text))
    value = _value(profile)
    spec = _own(root, shared).get("spec")
    if spec is None:
        splice.add(root, {"spec": {"workerProfiles": [value]}})
        return splice.text
    if _own(spec, shared).null:
        splice.fill(_key(root, "spec"), spec, {"workerProfiles": [value]})
        return splice.text
    profiles = spec.get("workerProfiles")
    if profiles is None:
        splice.add(spec, {"workerProfiles": [value]})
    elif _own(profiles, shared).null:
        splice.fill(_key(spec, "workerProfiles"), profiles, [value])
    else:
        names = [found.get("name") for found in config["spec"]["workerProfiles"]]
        if profile.name in names:
            index = names.index(profile.name)
            _complete(splice, profiles.children[index], shared, profile, config, index)
        else:
            splice.add(profiles, value)
    return splice.text


def _complete(
    splice: Splice,
    item: Found,
    shared: set[str],
    profile: KubeletProfile,
    config: Any,
    index: int,
) -> None:
    """Put the values into a profile of that name."""
    known = config["spec"]["workerProfiles"][index].get("values") or {}
    changed = {k: v for k, v in _value(profile)["values"].items() if known.get(k, GONE) != v}
    values = _own(item, shared).get("values")
    if values is None:
        splice.add(item, {"values": changed})
    elif values.kind == "alias":
        splice.merge(_key(item, "values"), values, changed)
    elif _own(values, shared).null:
        splice.fill(_key(item, "values"), values, changed)
    else:
        there = {key: found for key in changed if (found := values.get(key)) is not None}
        if missing := {key: value for key, value in changed.items() if key not in there}:
            splice.add(values, missing)  # below what is replaced, so that its place stays
        for key in sorted(there, key=lambda key: -there[key].start):
            if there[key].start > values.last and missing:
                raise yaml_text.OddError("its layout")
            splice.replace(there[key], changed[key])


def _own(found: Found, shared: set[str]) -> Found:
    """Return a value that nothing else shares.

    Raises:
        OddError: an alias stands for it, or others refer to it.
    """
    if found.kind == "alias":
        raise yaml_text.OddError(f"*{found.text} stands for what is written elsewhere")
    if found.anchor and found.anchor in shared:
        raise yaml_text.OddError(f"*{found.anchor} refers to it from elsewhere")
    return found


def _key(mapping: Found, name: str) -> Found:
    return next(key for key, _ in mapping.pairs() if key.text == name)


def _value(profile: KubeletProfile) -> dict[str, Any]:
    values = {key: _plain(profile.values[key]) for key in sorted(profile.values)}
    return {"name": profile.name, "values": values}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    return json.loads(json.dumps(value))


def patch(text: str, profile: KubeletProfile, place: str) -> list[dict[str, Any]]:
    """Return the JSON patch (RFC 6902) that brings the profile into a ClusterConfig as it is.

    Its first operation is a ``test`` that fails where the list has changed since.

    Raises:
        RefusedError: it is no YAML, or not k0s's configuration, or ruamel.yaml is not installed.
    """
    documents = load(text.removeprefix(BOM), place)
    config = documents[_config(documents, place)]
    value = _value(profile)
    profiles = _profiles(config, place)
    if config.get("spec") is None:
        return [_as_now(config, "spec", ""), _add("/spec", {"workerProfiles": [value]})]
    if not profiles:
        test = _as_now(config["spec"], "workerProfiles", "/spec")
        return [test, _add("/spec/workerProfiles", [value])]
    test = _as_now(config["spec"], "workerProfiles", "/spec")
    for index, found in enumerate(profiles):
        if found.get("name") == profile.name:
            changes = _changes(f"/spec/workerProfiles/{index}/values", found, value["values"])
            return [test, *changes] if changes else []
    return [test, _add("/spec/workerProfiles/-", value)]


def _as_now(table: Any, key: str, above: str) -> dict[str, Any]:
    """Return the test that a key is as it was read.

    The patches of Kubernetes take a ``test`` for null where the key is not there.
    """
    return {"op": "test", "path": f"{above}/{key}", "value": table.get(key)}


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _changes(path: str, found: Any, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    known = found.get("values") or {}
    changed = {key: value for key, value in wanted.items() if known.get(key, GONE) != value}
    if not known:
        return [_add(path, changed)] if changed else []
    return [_add(f"{path}/{_escaped(key)}", value) for key, value in changed.items()]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def patch_command(operations: list[dict[str, Any]], kubectl: str = "k0s kubectl") -> str:
    """Return the command line that applies a patch to the cluster's configuration.

    Args:
        operations: the patch.
        kubectl: how the cluster was asked; that one is patched.
    """
    text = json.dumps(operations, default=str).replace("'", "'\\''")
    return f"{kubectl} patch clusterconfig k0s -n kube-system --type=json -p '{text}'"


def _config(documents: list[Any], place: str) -> int:
    """Return which document is k0s's configuration."""
    found = [
        n for n, d in enumerate(documents) if isinstance(d, dict) and d.get("kind", KIND) == KIND
    ]
    config = documents[found[0]] if len(found) == 1 else {}
    if len(found) != 1 or ("kind" not in config and "spec" not in config and config):
        raise RefusedError(
            Problem(
                f"no {KIND} of k0s is in it" if not found else f"it is not one {KIND} of k0s",
                place=place,
                remedy="Name k0s's configuration: k0s config create > k0s.yaml makes one.",
            )
        )
    return found[0]


def _profiles(config: Any, place: str) -> Any:
    """Return the list of worker profiles, or ``None``.

    Raises:
        RefusedError: something of it has another shape than k0s reads.
    """
    spec = config.get("spec")
    if not (spec is None or isinstance(spec, dict)):
        raise _misshapen("spec must be a table", f"{place}: spec")
    profiles = spec.get("workerProfiles") if spec else None
    where = f"{place}: spec.workerProfiles"
    if profiles is None:
        return None
    if not (isinstance(profiles, list) and all(isinstance(p, dict) for p in profiles)):
        told = "spec.workerProfiles must be a list of profiles, each with name and values"
        raise _misshapen(told, where)
    for index, found in enumerate(profiles):
        if not (found.get("values") is None or isinstance(found["values"], dict)):
            told = f"values of the worker profile {found.get('name')!r} must be a table"
            raise _misshapen(told, f"{where}[{index}].values")
    names = [str(found.get("name")) for found in profiles]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _misshapen(f"two worker profiles are called {twice[0]!r}", where)
    return profiles


def _misshapen(message: str, place: str) -> RefusedError:
    remedy = "Correct it: k0s does not start with it either."
    return RefusedError(Problem(message, place, remedy=remedy))


def _put(config: Any, profile: KubeletProfile, place: str) -> bool:
    """Bring the profile into plain data; tell whether that changed anything."""
    profiles = _profiles(config, place)
    value = _value(profile)
    for found in profiles or ():
        if found.get("name") == profile.name:
            known = found.get("values") or {}
            found["values"] = {**known, **value["values"]}
            return bool(found["values"] != known)
    config["spec"] = {**(config.get("spec") or {}), "workerProfiles": [*(profiles or ()), value]}
    return True
