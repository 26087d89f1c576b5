"""Keys of another program's JSON file: in, out, and everything else as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k0sruntime.contributions import Contribution, Owner
from k0sruntime.errors import ConflictError, RefusedError
from k0sruntime.json_keys import Before, Edited, JSONKeys, edit, put_back, without

PATH = "/etc/docker/daemon.json"


def keys(provider: str = "dockerd", **wanted: Any) -> Contribution[JSONKeys]:
    owner = Owner(provider, f"k0sruntime-{provider}", "1.0", "contribute_dropin")
    return Contribution(owner, JSONKeys(path=PATH, keys=wanted))


CRUN = keys(runtimes={"crun": {"path": "/usr/bin/crun"}})


def test_ours_is_added_and_everything_else_stays_in_its_order() -> None:
    found = b'{\n  "z": 1.0,\n  "runtimes": {"a": {"path": "/a"}},\n  "b": null\n}\n'
    edited = edit(PATH, found, None, [CRUN])
    assert edited is not None
    assert edited.base == found
    document = json.loads(edited.content)
    assert list(document) == ["z", "runtimes", "b"]
    assert document["runtimes"] == {"a": {"path": "/a"}, "crun": {"path": "/usr/bin/crun"}}
    assert b'  "z": 1.0,' in edited.content, "indented as it was"


@pytest.mark.parametrize("found", [None, b"", b"  \n", b"{}"])
def test_a_file_that_says_nothing_gets_ours_alone(found: bytes | None) -> None:
    edited = edit(PATH, found, None, [CRUN])
    assert edited is not None
    assert json.loads(edited.content) == {"runtimes": {"crun": {"path": "/usr/bin/crun"}}}
    assert edited.base == found


def test_a_file_that_has_it_all_by_itself_is_not_ours() -> None:
    found = b'{"runtimes": {"crun": {"path": "/usr/bin/crun"}}}'
    assert edit(PATH, found, None, [CRUN]) is None


def test_a_second_time_changes_no_byte() -> None:
    original = b'{"a": 1}'
    first = edit(PATH, original, None, [CRUN])
    assert first is not None
    again = edit(PATH, first.content, Before(first.content, original), [CRUN])
    assert again == first


def test_keys_that_are_wanted_no_more_go() -> None:
    original = b'{"a": 1}'
    two = keys(runtimes={"crun": {"path": "/c"}, "youki": {"path": "/y"}})
    first = edit(PATH, original, None, [two])
    assert first is not None
    less = edit(PATH, first.content, Before(first.content, original), [CRUN])
    assert less is not None
    assert json.loads(less.content)["runtimes"] == {"crun": {"path": "/usr/bin/crun"}}


def test_what_is_left_behind_is_the_original_to_the_byte() -> None:
    original = b'{"a":   1}'
    first = edit(PATH, original, None, [CRUN])
    assert first is not None
    assert without(PATH, first.content, Before(first.content, original)) == original
    assert without(PATH, first.content, Before(first.content, None)) is None


def test_what_others_changed_since_stays() -> None:
    original = b'{"debug": true, "runtimes": {"a": {"path": "/a"}}}'
    first = edit(PATH, original, None, [CRUN])
    assert first is not None
    theirs = json.loads(first.content)
    theirs["debug"] = False
    theirs["runtimes"]["nvidia"] = {"path": "/n"}
    found = json.dumps(theirs).encode()
    left = without(PATH, found, Before(first.content, original))
    assert left is not None
    assert json.loads(left) == {
        "debug": False,
        "runtimes": {"a": {"path": "/a"}, "nvidia": {"path": "/n"}},
    }


def test_what_others_made_of_our_own_entry_stays_as_well() -> None:
    first = edit(PATH, None, None, [CRUN])
    assert first is not None
    found = b'{"runtimes": {"crun": {"path": "/opt/crun"}}}'
    left = without(PATH, found, Before(first.content, None))
    assert left is not None
    assert json.loads(left) == json.loads(found)


def test_an_entry_of_another_hand_under_our_name_is_refused_with_its_place() -> None:
    with pytest.raises(ConflictError, match=r"runtimes\.crun is there already"):
        edit(PATH, b'{"runtimes": {"crun": {"path": "/other"}}}', None, [CRUN])


def test_two_providers_may_add_to_one_file_and_not_disagree() -> None:
    other = keys("acme", runtimes={"youki": {"path": "/y"}})
    edited = edit(PATH, None, None, [CRUN, other])
    assert edited is not None
    assert set(json.loads(edited.content)["runtimes"]) == {"crun", "youki"}
    clash = keys("acme", runtimes={"crun": {"path": "/y"}})
    with pytest.raises(ConflictError, match=r"two values for runtimes\.crun\.path") as refused:
        edit(PATH, None, None, [keys("first", a=1), CRUN, clash])
    (problem,) = refused.value.problems
    assert problem.place == PATH
    assert "dockerd (k0sruntime-dockerd 1.0)" in problem.culprit
    assert "acme (k0sruntime-acme 1.0)" in problem.culprit
    assert "first" not in problem.culprit
    assert "--without acme" in problem.remedy


def test_a_foreign_hand_is_named_with_the_provider_that_it_is_against() -> None:
    found = b'{"runtimes": {"crun": {"path": "/foreign"}}}'
    with pytest.raises(ConflictError) as refused:
        edit(PATH, found, None, [keys("first", a=1), CRUN])
    assert refused.value.problems[0].culprit == "a foreign hand, and provider dockerd"


@pytest.mark.parametrize("found", [b"{", b"[1]", b"\xff", b"nonsense"])
def test_what_is_no_json_object_is_refused(found: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        edit(PATH, found, None, [CRUN])
    assert caught.value.problems[0].place.startswith(PATH)


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "daemon.json", "keys": {"a": 1}},
        {"path": PATH, "keys": {}},
        {"path": PATH, "keys": {"a": 1}, "daemon": "dockerd"},
        {"path": PATH, "keys": {"a": 1}, "daemon": "dockerd", "pid_file": "x"},
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"absolute|keys|together"):
        JSONKeys(**wrong)


DOCUMENTS = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), DOCUMENTS, max_size=4)


def test_an_earlier_generations_keys_come_back_with_what_others_wrote_since() -> None:
    first = Before(b'{"a": 1, "runtimes": {"crun": {"path": "/usr/bin/crun"}}}', b'{"a": 1}')
    second = Before(b'{"a": 1, "runtimes": {"youki": {"path": "/usr/bin/youki"}}}', b'{"a": 1}')
    found = b'{"a": 2, "debug": true, "runtimes": {"youki": {"path": "/usr/bin/youki"}}}'
    back = put_back(PATH, found, second, first)
    assert json.loads(back.content) == {
        "a": 2,
        "debug": True,
        "runtimes": {"crun": {"path": "/usr/bin/crun"}},
    }
    assert back.base is not None
    assert json.loads(back.base) == {"a": 2, "debug": True}


def test_an_earlier_generations_file_comes_back_to_the_byte_where_nobody_else_wrote() -> None:
    first = Before(b'{ "a":1,"b": 2}', b'{ "a":1}')
    second = Before(b'{ "a":1,"c": 2}', b'{ "a":1}')
    assert put_back(PATH, second.written, second, first) == Edited(first.written, first.original)


@given(OBJECTS, st.dictionaries(st.sampled_from("xyz"), DOCUMENTS, min_size=1, max_size=3), OBJECTS)
def test_out_again_leaves_what_others_have_made_of_it_since(
    original: dict[str, Any], ours: dict[str, Any], later: dict[str, Any]
) -> None:
    """Whatever is there before and is changed after, taking ours out leaves exactly the others'."""
    edited = edit(PATH, json.dumps(original).encode(), None, [keys(**ours)])
    assert edited is not None
    mine = {key: value for key, value in json.loads(edited.content).items() if key in ours}
    found = json.dumps({**later, **mine}).encode()
    left = without(PATH, found, Before(edited.content, edited.base))
    assert left is not None
    # Keys that we never wrote are the others'; what we wrote over is put back only where it was.
    assert json.loads(left) == later
