"""Drop-ins of other hands: inputs of the composition, judged, ordered and never written."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime.compose import dropins
from k0sruntime.compose.layers import Layer, overlaps
from k0sruntime.contributions import Contribution, DropIn, Owner, RuntimeHandler
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.paths import Paths

FOLDER = "/etc/k0s/containerd.d"
RUNTIME = "io.containerd.cri.v1.runtime"
OWNER = Owner("acme", "acme-dist", "1.0", "contribute_dropin")


def read(schema: Any = 3, **files: str | bytes) -> tuple[Layer, ...]:
    contents = {
        f"{name}.toml": text.encode() if isinstance(text, str) else text
        for name, text in files.items()
    }
    return dropins.read(FOLDER, contents, schema)


def refused(schema: Any = 3, **files: str | bytes) -> list[Problem]:
    with pytest.raises(RefusedError) as found:
        read(schema, **files)
    return list(found.value.problems)


def ours(*parts: Any, schema: Any = 3) -> tuple[Layer, ...]:
    return dropins.contributed([Contribution(OWNER, part) for part in parts], schema, Paths())


def cri(line: str) -> str:
    return f'version = 3\n[plugins."{RUNTIME}"]\n{line}\n'


def test_a_foreign_drop_in_is_a_layer_with_its_text_and_no_owner() -> None:
    (layer,) = read(vendor=cri("enable_cdi = true"))
    assert layer.path == f"{FOLDER}/vendor.toml"
    assert layer.foreign
    assert layer.text == cri("enable_cdi = true")
    assert str(layer) == f"{FOLDER}/vendor.toml (a foreign file)"


def test_layers_come_in_the_byte_order_of_their_names_hidden_files_first() -> None:
    names = ["b", "a", "Z", ".hidden", "10", "9", "_", "é", "k0sruntime-x"]
    found = dropins.read(FOLDER, {f"{name}.toml": b"" for name in names}, 3)
    assert [layer.name.removesuffix(".toml") for layer in found] == [
        ".hidden",
        "10",
        "9",
        "Z",
        "_",
        "a",
        "b",
        "k0sruntime-x",
        "é",
    ]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("version = 2\n", "version = 2 where this node needs version = 3", 1),
        ("\nversion = 4\n", "version = 4 where this node needs version = 3", 2),
        ("version = '3'\n", "version = '3'", 1),
        ("version = true\n", "version = True", 1),
        ("version = 3.0\n", "version = 3.0", 1),
        ('version = 3\n[plugins."io.containerd.grpc.v1.cri"]\n', "belongs to another schema", 2),
        ("version = 3\nplugins = 1\n", "plugins must be a table", 2),
        ("[plugins]\nx = 1\n", "plugins.x must be a table", 2),
        ("oom_score = '1'\n", "oom_score must be a number", 1),
        ("imports = 'x'\n", "imports must be an array of strings", 1),
        ("debug = []\n", "debug must be a table", 1),
    ],
)
def test_what_stops_the_node_is_refused_with_file_line_and_remedy(
    text: str, message: str, line: int
) -> None:
    (problem,) = refused(bad=text)
    assert message in problem.message
    assert problem.place.startswith(f"{FOLDER}/bad.toml:{line}")
    assert problem.culprit == "a foreign file"
    assert problem.remedy


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"x =\n", "bad.toml:1"),
        (b"a = 1\nb = [\n", "bad.toml:"),
        (b"a = 1\n\xff\n", "bad.toml:2"),
        (b"\xef\xbb\xbfversion = 3\n", "bad.toml:1"),
        (b"a = 1\na = 2\n", "bad.toml:2"),
    ],
    ids=["no value", "an open array", "not UTF-8", "a byte-order mark", "a key twice"],
)
def test_what_is_not_toml_is_refused_with_file_and_line(data: bytes, place: str) -> None:
    (problem,) = refused(bad=data)
    assert place in problem.place
    assert problem.culprit == "a foreign file"


def test_all_bad_files_are_refused_at_once_and_the_good_ones_are_not_named() -> None:
    found = refused(a="version = 2\n", b=cri("x = 1"), c="x =", d="debug = 1\noom_score = 'x'\n")
    assert [p.place.split(":")[0].rpartition("/")[2] for p in found] == [
        "a.toml",
        "c.toml",
        "d.toml",
        "d.toml",
    ]


def test_a_file_for_schema_3_is_refused_below_schema_2() -> None:
    found = refused(2, a=cri("enable_cdi = true"))
    assert len(found) == 2
    assert "version = 3 where this node needs version = 2" in found[0].message


def test_a_file_without_a_version_counts_as_the_main_files() -> None:
    for schema in (2, 3):
        (layer,) = read(schema, a="[debug]\nlevel = 'info'\n")
        assert layer.document == {"debug": {"level": "info"}}


def test_an_overlap_names_the_key_both_files_and_the_winner() -> None:
    mine = ours(DropIn(runtime={"enable_cdi": False}))
    (overlap,) = overlaps((*mine, *read(z=cri("enable_cdi = true"))))
    text = str(overlap)
    assert f'plugins."{RUNTIME}".enable_cdi' in text
    assert "k0sruntime-acme.toml (acme (acme-dist 1.0), hook contribute_dropin)" in text
    assert f"{FOLDER}/z.toml (a foreign file); containerd takes the latter" in text


def test_an_equal_value_and_another_key_overlap_not() -> None:
    mine = ours(DropIn(runtime={"enable_cdi": False}))
    assert overlaps((*mine, *read(y=cri("enable_cdi = false"), z=cri("other = 1")))) == ()


def test_a_number_in_a_truths_place_overlaps() -> None:
    mine = ours(DropIn(runtime={"x": True}))
    assert len(overlaps((*mine, *read(z=cri("x = 1"))))) == 1


def test_a_zero_at_the_root_wins_nothing() -> None:
    """containerd cannot tell a zero of its own tables from a key that is not there."""
    mine = ours(DropIn(tables={"debug": {"level": "info"}}))
    for overlap in overlaps((*mine, *read(z="[debug]\nlevel = ''\n"))):
        assert not overlap.winner.foreign


def test_two_foreign_files_are_none_of_our_business() -> None:
    assert overlaps(read(y=cri("x = 1"), z=cri("x = 2"))) == ()


def test_a_provider_has_no_drop_in_for_nothing() -> None:
    assert ours(DropIn()) == ()


@pytest.mark.parametrize("schema", [2, 3])
def test_a_provider_has_at_most_two_drop_ins(schema: Any) -> None:
    parts = [
        RuntimeHandler(name="x"),
        RuntimeHandler(name="y"),
        DropIn(runtime={"a": 1}),
        DropIn(images={"b": 1}),
        DropIn(tables={"debug": {"level": "info"}}),
        DropIn(tables={"timeouts": {"x": "1s"}}),
    ]
    assert [layer.name for layer in ours(*parts, schema=schema)] == [
        "k0sruntime-acme-tables.toml",
        "k0sruntime-acme.toml",
    ]


def test_a_reason_is_told_in_the_file_and_kept_for_its_keys() -> None:
    (layer,) = ours(DropIn(runtime={"a": 1, "b": {"c": 2}}, reason="of this machine"))
    assert layer.text.splitlines()[1] == "# of this machine"
    assert dict(layer.reasons) == {
        ("plugins", RUNTIME, "a"): "of this machine",
        ("plugins", RUNTIME, "b", "c"): "of this machine",
    }
