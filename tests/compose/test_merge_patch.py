"""The merge-patch scheme does what k0s up to 1.35 does with its folder."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k0sruntime.compose import dropins, merge_patch
from k0sruntime.compose.layers import Layer
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME

FOLDER = "/etc/k0s/containerd.d"


def layer(**plugins: Any) -> Layer:
    return Layer(f"{FOLDER}/x.toml", {"plugins": {RUNTIME: plugins}})


def names(files: dict[str, bytes]) -> list[str]:
    return [layer.name for layer in dropins.read(FOLDER, files, 3)]


def test_files_are_taken_byte_by_byte_and_hidden_ones_count() -> None:
    files = dict.fromkeys(
        ["a.toml", "é.toml", ".h.toml", "B.toml", "10.toml", "2.toml", "_.toml"], b""
    )
    assert names(files) == [".h.toml", "10.toml", "2.toml", "B.toml", "_.toml", "a.toml", "é.toml"]


def test_a_file_without_a_version_is_taken_as_it_is() -> None:
    text = f'[plugins."{RUNTIME}"]\nenable_cdi = true\n'.encode()
    cri, plain = merge_patch.split(dropins.read(FOLDER, {"n.toml": text}, 3), 3)
    assert [layer.name for layer in cri] == ["n.toml"]
    assert plain == ()


@pytest.mark.parametrize(
    ("plugins", "schema", "is_cri"),
    [
        ({RUNTIME: {}}, 3, True),
        ({IMAGES: {}}, 3, True),
        ({CRI: {}}, 2, True),
        ({CRI: {}}, 3, False),
        ({RUNTIME: {}}, 2, False),
        ({"io.containerd.internal.v1.opt": {}}, 3, False),
        (None, 3, False),
        ("no table", 3, False),
    ],
)
def test_a_file_is_a_cri_file_where_it_has_a_cri_table(
    plugins: Any, schema: Any, is_cri: bool
) -> None:
    assert merge_patch.is_cri({"plugins": plugins}, schema) is is_cri


def test_a_cri_file_is_applied_whole_with_its_other_tables() -> None:
    file = Layer("x.toml", {"oom_score": -5, "plugins": {RUNTIME: {}, "other": {"a": 1}}})
    result = merge_patch.merged([file], 3)
    assert result["oom_score"] == -5
    assert result["plugins"]["other"] == {"a": 1}


@pytest.mark.parametrize("value", [False, 0, "", []])
def test_a_false_or_empty_value_overrides(value: Any) -> None:
    result = merge_patch.merged([layer(key=["before"]), layer(key=value)], 3)
    assert result["plugins"][RUNTIME]["key"] == value


def test_an_array_is_replaced() -> None:
    result = merge_patch.merged([layer(key=[1, 2]), layer(key=[3])], 3)
    assert result["plugins"][RUNTIME]["key"] == [3]


def test_an_empty_table_deletes_nothing() -> None:
    result = merge_patch.merged([layer(cni={"a": 1}), layer(cni={})], 3)
    assert result["plugins"][RUNTIME]["cni"] == {"a": 1}


def test_a_table_and_a_value_take_each_others_place() -> None:
    assert merge_patch.merged([layer(cni="x"), layer(cni={"a": 1})], 3)["plugins"][RUNTIME] == {
        "cni": {"a": 1}
    }
    assert merge_patch.merged([layer(cni={"a": 1}), layer(cni="x")], 3)["plugins"][RUNTIME] == {
        "cni": "x"
    }


def test_schema_2_names_runc_which_containerd_1_7_would_lose() -> None:
    foo = {"plugins": {CRI: {"containerd": {"runtimes": {"foo": {"runtime_type": "x"}}}}}}
    result = merge_patch.merged([Layer("foo.toml", foo)], 2, "pause")
    table = result["plugins"][CRI]
    assert table["containerd"]["runtimes"]["runc"] == {"runtime_type": "io.containerd.runc.v2"}
    assert set(table["containerd"]["runtimes"]) == {"runc", "foo"}
    assert table["sandbox_image"] == "pause"


def test_without_a_pause_image_none_is_pinned() -> None:
    assert merge_patch.base(3) == {"version": 3, "plugins": {IMAGES: {}, RUNTIME: {}}}
    assert "sandbox_image" not in merge_patch.base(2)["plugins"][CRI]


KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"])
PATCH = st.dictionaries(
    KEYS,
    st.recursive(SCALARS | st.lists(SCALARS), lambda inner: st.dictionaries(KEYS, inner)),
    max_size=3,
)


def applied(target: dict[str, Any], *patches: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(target)
    for patch in patches:
        merge_patch.merge(result, patch)
    return result


@pytest.mark.property
@given(PATCH, PATCH)
def test_a_patch_that_is_applied_twice_changes_nothing_more(
    target: dict[str, Any], patch: dict[str, Any]
) -> None:
    """RFC 7396: what a patch sets is set."""
    assert applied(target, patch, patch) == applied(target, patch)


@pytest.mark.property
@given(PATCH, PATCH)
def test_patches_that_share_no_key_come_to_the_same_in_either_order(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    one, two = {"t": {"one": one}}, {"t": {"two": two}}
    assert applied({}, one, two) == applied({}, two, one)


@pytest.mark.property
@given(PATCH, PATCH, PATCH)
def test_neither_a_patch_nor_its_parts_end_up_in_the_target(
    target: dict[str, Any], patch: dict[str, Any], other: dict[str, Any]
) -> None:
    before = copy.deepcopy(patch)
    applied(target, patch, other)
    result: dict[str, Any] = {}
    merge_patch.merge(result, patch)
    merge_patch.merge(result, other)
    assert patch == before
