"""Every set of ``tests/cases/merge`` comes to what k0s and containerd made of it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from k0sruntime.compose import dropins, merge_patch, native
from k0sruntime.compose.layers import Layer
from k0sruntime.errors import RefusedError

CASES = Path(__file__).parents[1] / "cases" / "merge"
FOLDER = "/etc/k0s/containerd.d"
PAUSE = "registry.k8s.io/pause:3.10"
NATIVE = ("native 2.1.9", "native 2.3.4")

# The one bad file of a set that is refused.
CULPRITS = {
    "one-bad-among-good-rejected": "b.toml",
    "syntax-error-rejected": "bad.toml",
    "v2-table-under-3-rejected": "old.toml",
    "version-2-rejected": "old.toml",
    "version-4-rejected": "n.toml",
    "version-string-rejected": "n.toml",
}


def names() -> list[str]:
    return sorted(case.name for case in CASES.iterdir())


def refused(name: str) -> bool:
    return name.endswith("-rejected")


ACCEPTED = [name for name in names() if not refused(name)]
REFUSED = [name for name in names() if refused(name)]


def layers(name: str) -> tuple[Layer, ...]:
    files = {
        file.name: file.read_bytes() for file in (CASES / name / "containerd.d").glob("*.toml")
    }
    return dropins.read(FOLDER, files, 3)


def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / name / "expected.json").read_text())
    return found


def main_document() -> dict[str, Any]:
    images = {"pinned_images": {"sandbox": PAUSE}}
    return {"version": 3, "plugins": {"io.containerd.cri.v1.images": images}}


def plain(value: Any) -> Any:
    """Return a value as JSON has it: dates and times in their ISO form."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value


def differences(ours: Any, theirs: Any, path: tuple[str, ...] = ()) -> list[str]:
    """Return the keys that we hold and that containerd holds otherwise or not at all."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = []
        for key, value in ours.items():
            found += differences(value, theirs.get(key, "missing"), (*path, key))
        return found
    # Go has no difference between a list that is empty and one that is not there.
    if ours in ([], {}) and theirs is None:
        return []
    return [] if ours == theirs else [f"{'.'.join(path)}: {ours!r} is {theirs!r}"]


def loaded(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what an expectation does not hold: it has the loaded tables only."""
    return {key: value for key, value in document.items() if key not in ("version", "imports")}


def test_the_corpus_is_there() -> None:
    assert len(ACCEPTED) > 15
    assert set(CULPRITS) == set(REFUSED)


@pytest.mark.parametrize("name", ACCEPTED)
def test_merge_patch_writes_the_cri_file_that_k0s_wrote(name: str) -> None:
    cri, imports = merge_patch.split(layers(name), 3)
    result = {
        "containerd-cri.toml": plain(merge_patch.merged(cri, 3, PAUSE)),
        "imports": [layer.name for layer in imports],
    }
    assert result == expected(name)["merge_patch"]


@pytest.mark.parametrize("version", NATIVE)
@pytest.mark.parametrize("name", ACCEPTED)
def test_native_holds_no_key_otherwise_than_containerd_does(name: str, version: str) -> None:
    theirs = expected(name)[version]
    documents = [main_document(), *(layer.document for layer in layers(name))]
    if theirs.get("rejected"):
        with pytest.raises(native.MergeTypeError):
            native.merged(documents, 3)
        return
    found = differences(plain(loaded(native.merged(documents, 3))), theirs)
    assert len(found) <= theirs["unknown_keys"], found


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_set_is_refused_in_both_schemes_and_names_its_bad_file(name: str) -> None:
    assert expected(name)["merge_patch"] == {"rejected": True}
    with pytest.raises(RefusedError) as caught:
        layers(name)
    places = {problem.place.split(":")[0] for problem in caught.value.problems}
    assert places == {f"{FOLDER}/{CULPRITS[name]}"}
    assert all(problem.remedy for problem in caught.value.problems)


def test_a_value_over_a_table_is_refused_natively_and_merged_by_k0s() -> None:
    """Containerd's merge stops at it; RFC 7396 replaces the table."""
    name = "type-conflict-scalar-over-table"
    with pytest.raises(native.MergeTypeError) as caught:
        native.merged([main_document(), *(layer.document for layer in layers(name))], 3)
    assert caught.value.path == ("plugins", "io.containerd.cri.v1.runtime", "cni")
    merged = merge_patch.merged(layers(name), 3, PAUSE)
    assert merged["plugins"]["io.containerd.cri.v1.runtime"]["cni"] == "oops"


def test_all_bad_files_of_a_folder_are_named_at_once() -> None:
    files = {"a.toml": b"version = 2\n", "b.toml": b"version = 3\n", "c.toml": b"x = [\n"}
    with pytest.raises(RefusedError) as caught:
        dropins.read(FOLDER, files, 3)
    places = [problem.place for problem in caught.value.problems]
    assert [place.split(":")[0] for place in places] == [f"{FOLDER}/a.toml", f"{FOLDER}/c.toml"]
