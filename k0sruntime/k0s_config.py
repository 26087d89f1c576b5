"""k0s's configuration with our worker profile in it: a file with its comments kept, or a patch.

ruamel.yaml keeps comments, quotes and order; it is imported here alone, and only for this. Source
of the format: k0s ``pkg/apis/k0s/v1beta1/workerprofile.go``. A merge patch of Kubernetes would
replace the whole list of profiles, so the patch is one of RFC 6902, built on what is there.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from k0sruntime.contributions import KubeletProfile

KIND = "ClusterConfig"


def merged(text: str, profile: KubeletProfile, place: str) -> str:
    """Return a ``k0s.yaml`` with the profile in it; the same text where it is there already.

    Raises:
        RefusedError: it is no YAML, or not k0s's configuration, or ruamel.yaml is not installed.
    """
    yaml = _yaml(text, place)
    documents = _load(yaml, text, place)
    config = _config(documents, place)
    if not _put(config, profile, place):
        return text
    out = io.StringIO()
    yaml.dump_all(documents, out)
    result = out.getvalue()
    return result.removesuffix("...\n") if not text.rstrip().endswith("...") else result


def patch(text: str, profile: KubeletProfile, place: str) -> list[dict[str, Any]]:
    """Return the JSON patch (RFC 6902) that brings the profile into a ClusterConfig as it is.

    Its ``test`` operations fail where the list has changed since.

    Raises:
        RefusedError: as for ``merged``.
    """
    config = _config(_load(_yaml(text, place), text, place), place)
    value = {"name": profile.name, "values": dict(profile.values)}
    if "spec" not in config:
        return [{"op": "add", "path": "/spec", "value": {"workerProfiles": [value]}}]
    profiles = _profiles(config, place)
    if not profiles:
        return [{"op": "add", "path": "/spec/workerProfiles", "value": [value]}]
    for index, found in enumerate(profiles):
        if found.get("name") == profile.name:
            return _patched(f"/spec/workerProfiles/{index}", found, profile)
    return [{"op": "add", "path": "/spec/workerProfiles/-", "value": value}]


def _patched(path: str, found: Any, profile: KubeletProfile) -> list[dict[str, Any]]:
    values = found.get("values") or {}
    changes: list[dict[str, Any]] = [
        {"op": "add", "path": f"{path}/values/{_escaped(key)}", "value": value}
        for key, value in sorted(profile.values.items())
        if values.get(key) != value
    ]
    if not values and changes:
        changes = [{"op": "add", "path": f"{path}/values", "value": dict(profile.values)}]
    test = {"op": "test", "path": f"{path}/name", "value": profile.name}
    return [test, *changes] if changes else []


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def patch_command(operations: list[dict[str, Any]]) -> str:
    """Return the command line that applies a patch to the cluster's configuration."""
    text = json.dumps(operations).replace("'", "'\\''")
    return f"k0s kubectl patch clusterconfig k0s -n kube-system --type=json -p '{text}'"


def _yaml(text: str, place: str) -> Any:
    """Return a reader and writer that keeps everything as it stands in the text."""
    try:
        from ruamel.yaml import YAML
    except ImportError as exc:
        raise RefusedError(
            Problem(
                "reading a k0s.yaml with its comments needs ruamel.yaml, which is not installed",
                place=place,
                remedy="Install it: pip install 'k0sruntime[yaml]'",
            )
        ) from exc
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 16
    yaml.explicit_start = text.startswith("---")
    offset = _dash_offset(text)
    yaml.indent(mapping=_mapping_indent(text), sequence=offset + 2, offset=offset)
    return yaml


def _dash_offset(text: str) -> int:
    """Return how much deeper than its key the first list of the text stands."""
    above = 0
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip(" "))
        if line.lstrip().startswith("- "):
            return max(depth - above, 0)
        if line.strip() and not line.lstrip().startswith("#"):
            above = depth
    return 0


def _mapping_indent(text: str) -> int:
    """Return how deep the first nested key stands."""
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip(" "))
        if depth and line.strip() and not line.lstrip().startswith(("#", "-")):
            return depth
    return 2


def _load(yaml: Any, text: str, place: str) -> list[Any]:
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return list(yaml.load_all(text))
    except MarkedYAMLError as exc:
        mark = exc.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise RefusedError(
            Problem(f"not YAML: {exc.problem}", f"{place}{line}", remedy="Correct the file.")
        ) from exc
    except YAMLError as exc:
        raise RefusedError(Problem(f"not YAML: {exc}", place, remedy="Correct the file.")) from exc


def _config(documents: list[Any], place: str) -> Any:
    """Return the one document that is k0s's configuration."""
    found = [d for d in documents if isinstance(d, dict) and d.get("kind", KIND) == KIND]
    if len(found) != 1 or ("kind" not in found[0] and "spec" not in found[0] and found[0]):
        raise RefusedError(
            Problem(
                f"no {KIND} of k0s is in it" if not found else f"it is not one {KIND} of k0s",
                place=place,
                remedy="Name k0s's configuration: k0s config create > k0s.yaml makes one.",
            )
        )
    return found[0]


def _profiles(config: Any, place: str) -> Any:
    """Return the list of worker profiles, or ``None``."""
    spec = config.get("spec")
    profiles = spec.get("workerProfiles") if isinstance(spec, dict) else spec
    shaped = isinstance(profiles, list) and all(isinstance(p, dict) for p in profiles)
    if profiles is not None and not shaped:
        raise RefusedError(
            Problem(
                "spec.workerProfiles must be a list of profiles, each with name and values",
                place=f"{place}: spec.workerProfiles",
                remedy="Correct the file: k0s does not start with it either.",
            )
        )
    return profiles


def _put(config: Any, profile: KubeletProfile, place: str) -> bool:
    """Bring the profile in; tell whether that changed anything."""
    from ruamel.yaml.comments import CommentedMap

    profiles = _profiles(config, place)
    if config.get("spec") is None:
        config["spec"] = CommentedMap()
    values = {key: profile.values[key] for key in sorted(profile.values)}
    for found in profiles or ():
        if found.get("name") == profile.name:
            if found.get("values") is None:
                found["values"] = CommentedMap()
            changed = {k: v for k, v in values.items() if found["values"].get(k) != v}
            found["values"].update(changed)
            return bool(changed)
    added = CommentedMap(name=profile.name, values=CommentedMap(values))
    if profiles:
        profiles.append(added)
    else:
        config["spec"]["workerProfiles"] = [added]
    return True
