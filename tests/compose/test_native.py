"""The native merge follows containerd's own rules."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k0sruntime import toml
from k0sruntime.compose import native
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME


def runtime(**keys: Any) -> dict[str, Any]:
    return {"plugins": {RUNTIME: keys}}


def test_tables_of_one_plugin_are_merged_deeply() -> None:
    one = runtime(containerd={"runtimes": {"a": {"runtime_type": "io.containerd.runc.v2"}}})
    two = runtime(containerd={"runtimes": {"b": {"runtime_type": "io.containerd.runsc.v1"}}})
    result = native.merged([one, two], 3)
    assert set(result["plugins"][RUNTIME]["containerd"]["runtimes"]) == {"a", "b"}


@pytest.mark.parametrize("value", [False, 0, 0.0, ""])
def test_a_false_or_empty_value_of_a_plugin_overrides(value: Any) -> None:
    result = native.merged([runtime(key="before"), runtime(key=value)], 3)
    assert result["plugins"][RUNTIME]["key"] == value


@pytest.mark.parametrize("value", [0, ""])
def test_a_zero_at_the_root_does_not_override(value: Any) -> None:
    assert native.merged([{"root": "/r"}, {"root": value}], 3) == {"root": "/r"}


def test_a_zero_at_the_root_stays_where_nothing_was_set() -> None:
    assert native.merged([{"oom_score": 0}], 3) == {"oom_score": 0}


@pytest.mark.parametrize("schema", [2, 3])
def test_a_zero_in_a_table_of_the_root_does_not_override(schema: Any) -> None:
    one = {"debug": {"level": "debug"}, "grpc": {"max_recv_message_size": 77}}
    two = {"debug": {"level": "", "uid": 5}, "grpc": {"max_recv_message_size": 0, "uid": 0}}
    assert native.merged([one, two], schema) == {
        "debug": {"level": "debug", "uid": 5},
        "grpc": {"max_recv_message_size": 77, "uid": 0},
    }


def test_a_later_value_at_the_root_overrides() -> None:
    assert native.merged([{"root": "/r"}, {"root": "/s"}], 3) == {"root": "/s"}


@pytest.mark.parametrize("later", [["z"], []])
def test_an_array_of_a_plugin_is_replaced_not_appended(later: list[str]) -> None:
    result = native.merged([runtime(cdi_spec_dirs=["a"]), runtime(cdi_spec_dirs=later)], 3)
    assert result["plugins"][RUNTIME]["cdi_spec_dirs"] == later


@pytest.mark.parametrize("key", native.ROOT_ARRAYS)
def test_an_array_at_the_root_is_appended_without_duplicates(key: str) -> None:
    result = native.merged([{key: ["a", "b"]}, {key: ["b", "c", "c"]}], 3)
    assert result[key] == ["a", "b", "c"]


@pytest.mark.parametrize("key", native.ROOT_ARRAYS)
def test_containerd_1_7_keeps_the_duplicates_of_a_root_array(key: str) -> None:
    assert native.merged([{key: ["a"]}, {key: ["a"]}], 2)[key] == ["a", "a"]


@pytest.mark.parametrize("schema", [2, 3])
@pytest.mark.parametrize("key", native.REPLACED_ENTRIES)
def test_an_entry_is_replaced_whole_and_its_neighbour_stays(key: str, schema: Any) -> None:
    one = {key: {"x": {"type": "snapshot", "address": "/a"}, "y": {"type": "content"}}}
    result = native.merged([one, {key: {"x": {"type": "diff"}}}], schema)
    assert result[key] == {"x": {"type": "diff"}, "y": {"type": "content"}}


def test_containerd_1_7_replaces_the_whole_table_of_a_plugin() -> None:
    one = {"plugins": {CRI: {"enable_cdi": True}, "other": {"a": 1}}}
    two = {"plugins": {CRI: {"sandbox_image": "pause"}}}
    assert native.merged([one, two], 2) == {
        "plugins": {CRI: {"sandbox_image": "pause"}, "other": {"a": 1}}
    }


def test_a_table_over_a_value_takes_its_place() -> None:
    result = native.merged([runtime(cni="oops"), runtime(cni={"max_conf_num": 1})], 3)
    assert result["plugins"][RUNTIME]["cni"] == {"max_conf_num": 1}


@pytest.mark.parametrize(
    ("documents", "path"),
    [
        ([runtime(cni={}), runtime(cni="oops")], ("plugins", RUNTIME, "cni")),
        ([runtime(cni={"a": {"b": 1}}), runtime(cni={"a": 1})], ("plugins", RUNTIME, "cni", "a")),
        ([runtime(), {"plugins": {RUNTIME: 1}}], ("plugins", RUNTIME)),
        ([{"plugins": 1}], ("plugins",)),
        ([{"debug": {"level": "info"}}, {"debug": 1}], ("debug",)),
        ([{"debug": 1}, {"debug": {"level": "info"}}], ("debug",)),
        ([{"imports": "x.toml"}], ("imports",)),
        ([{"proxy_plugins": []}], ("proxy_plugins",)),
    ],
)
def test_a_type_that_containerd_refuses_is_named_by_its_path(
    documents: list[dict[str, Any]], path: tuple[str, ...]
) -> None:
    with pytest.raises(native.MergeTypeError) as caught:
        native.merged(documents, 3)
    assert caught.value.path == path


def test_a_file_keeps_its_own_data_when_a_later_one_is_merged_over_it() -> None:
    one = {"plugins": {RUNTIME: {"cni": {"a": 1}}}, "imports": ["a"], "debug": {"level": "info"}}
    before = copy.deepcopy(one)
    native.merged([one, {"plugins": {RUNTIME: {"cni": {"a": 2}}}, "imports": ["b"]}], 3)
    assert one == before


KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"])
VALUES = SCALARS | st.lists(SCALARS, max_size=2)
# Tables and values take turns by depth, so that no key is a table here and a value there.
PLUGIN = st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), max_size=3)
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "plugins": st.dictionaries(st.sampled_from([RUNTIME, IMAGES, "x"]), PLUGIN, max_size=3),
        "imports": st.lists(KEYS, max_size=2),
        "proxy_plugins": st.dictionaries(KEYS, st.dictionaries(KEYS, SCALARS)),
        "oom_score": st.integers(-2, 2),
        "root": st.sampled_from(["", "/r", "/s"]),
    },
)


@pytest.mark.property
@given(st.lists(DOCUMENT, max_size=4))
def test_merging_the_result_once_more_changes_nothing(documents: list[dict[str, Any]]) -> None:
    result = native.merged(documents, 3)
    assert native.merged([*documents, result], 3) == result
    assert native.merged([result], 3) == result


@pytest.mark.property
@given(DOCUMENT, DOCUMENT)
def test_the_order_of_files_matters_only_for_keys_that_both_set(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    """Files that share no leaf come to the same in either order."""
    two = {"plugins": {name: {"z": table} for name, table in two.get("plugins", {}).items()}}
    assert native.merged([one, two], 3) == native.merged([two, one], 3)


@pytest.mark.property
@given(st.lists(DOCUMENT, max_size=4))
def test_no_file_is_changed_by_a_merge(documents: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(documents)
    native.merged(documents, 3)
    assert documents == before


@pytest.mark.property
@given(st.lists(DOCUMENT, max_size=4))
def test_what_comes_out_can_be_written_and_read_again(documents: list[dict[str, Any]]) -> None:
    result = native.merged(documents, 3)
    assert toml.load(toml.dump(result).encode(), "x") == result


def test_a_shims_own_options_have_no_type_so_the_later_file_wins() -> None:
    def document(value: object) -> dict[str, object]:
        options = {"hypervisor": value}
        runtimes = {"k": {"runtime_type": "io.containerd.kata.v2", "options": options}}
        return {"plugins": {RUNTIME: {"containerd": {"runtimes": runtimes}}}}

    result = native.merged([document({"path": "/q"}), document("qemu")], 3)
    handler = result["plugins"][RUNTIME]["containerd"]["runtimes"]["k"]
    assert handler["options"] == {"hypervisor": "qemu"}
