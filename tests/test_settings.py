"""Settings: every mistake is named with file, table and key, all at once."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime import Settings
from k0sruntime.errors import Problem, RefusedError
from k0sruntime.settings import SettingsFile, convert, refuse_unknown_tables


class Inner(Settings, frozen=True):
    url: str
    port: int = 5000


class Acme(Settings, frozen=True):
    handler: str = "acme"
    count: int = 1
    hosts: list[str | Inner] = []
    table: dict[str, Inner] = {}


def problems(kind: Any, **table: Any) -> list[Problem]:
    with pytest.raises(RefusedError) as refused:
        convert(SettingsFile("/etc/c.toml", {"acme": table}), "acme", kind)
    return list(refused.value.problems)


def test_a_table_that_is_not_there_gives_the_defaults() -> None:
    assert convert(SettingsFile("/c", {}), "acme", Acme) == Acme()


def test_values_are_converted_strictly() -> None:
    file = SettingsFile("/c", {"acme": {"hosts": ["a", {"url": "b"}], "count": 3}})
    assert convert(file, "acme", Acme) == Acme(hosts=["a", Inner(url="b")], count=3)


def test_an_unknown_key_names_file_table_and_key_and_the_nearest() -> None:
    (problem,) = problems(Acme, handlr="x")
    assert problem.message == "unknown key 'handlr' in [acme]"
    assert problem.place == "/etc/c.toml: [acme] handlr"
    assert problem.remedy == 'Did you mean "handler"?'


def test_a_wrong_type_names_what_was_expected() -> None:
    (problem,) = problems(Acme, count="5")
    assert problem.place == "/etc/c.toml: [acme] count"
    assert problem.message == "expected int, got str"


def test_the_path_grows_into_nested_tables() -> None:
    (problem,) = problems(Acme, hosts=["a", {"url": "b", "prt": 1}])
    assert "unknown field prt" in problem.message
    assert problem.place == "/etc/c.toml: [acme] hosts[1]"
    assert problem.remedy == 'Did you mean "port"?'


def test_all_mistakes_are_told_at_once() -> None:
    assert len(problems(Acme, handlr="x", count="5", hosts=3)) == 3


def test_settings_may_be_a_table_of_tables() -> None:
    kind = dict[str, Inner]
    file = SettingsFile("/c", {"acme": {"docker.io": {"url": "x"}}})
    assert convert(file, "acme", kind) == {"docker.io": Inner(url="x")}
    (problem,) = problems(kind, **{"docker.io": {"url": "x", "prt": 3}})
    assert problem.place == '/etc/c.toml: [acme."docker.io"] prt'
    (problem,) = problems(kind, a={})
    assert problem.message == "[acme.a] lacks the key 'url'"
    (problem,) = problems(kind, a=3)
    assert problem.place == "/etc/c.toml: [acme.a]"


def test_tables_of_nobody_are_refused_with_the_nearest() -> None:
    with pytest.raises(RefusedError) as refused:
        refuse_unknown_tables(SettingsFile("/c", {"mirors": {}, "x": 1}), ["mirrors", "node"])
    first, second = refused.value.problems
    assert first.remedy == 'Did you mean "mirrors"?'
    assert "outside of any table" in second.message


def test_a_value_in_a_tables_place_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"\[node\] must be a table, not a number"):
        refuse_unknown_tables(SettingsFile("/c", {"node": 1}), ["node"])


class Needs(Settings, frozen=True):
    url: str
    name: str
    inner: Inner = Inner(url="x")


class Checked(Settings, frozen=True):
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def test_every_required_key_that_is_missing_is_named() -> None:
    found = problems(Needs)
    assert [problem.message for problem in found] == [
        "[acme] lacks the key 'url'",
        "[acme] lacks the key 'name'",
    ]
    assert {problem.place for problem in found} == {"/etc/c.toml: [acme]"}


def test_a_required_key_deep_down_is_named_with_its_table() -> None:
    (problem,) = problems(Needs, url="u", name="n", inner={})
    assert "url" in problem.message
    assert "inner" in problem.place


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"inner": {"url": 3}}, "inner.url"),
        ({"inner": {"url": "u", "port": "x"}}, "inner.port"),
        ({"inner": {"url": "u", "prt": 1}}, "prt"),
        ({"inner": 3}, "inner"),
    ],
)
def test_a_mistake_in_a_nested_table_names_file_table_and_key(
    table: dict[str, Any], key: str
) -> None:
    (problem,) = problems(Needs, url="u", name="n", **table)
    assert problem.place.startswith("/etc/c.toml: [acme] inner")
    assert key in f"{problem.place} {problem.message}"


def test_the_name_of_a_table_among_tables_is_told() -> None:
    (problem,) = problems(Acme, table={"one": {"url": "u"}, "other": {"url": "u", "prt": 1}})
    assert "other" in problem.place
    assert "prt" in f"{problem.place} {problem.message}"
    assert problem.remedy == 'Did you mean "port"?'


def test_all_mistakes_of_one_nested_table_are_told_at_once() -> None:
    assert len(problems(Needs, url="u", name="n", inner={"url": 3, "prt": 1, "x": 2})) == 3


def test_all_mistakes_of_all_tables_in_a_table_are_told_at_once() -> None:
    table = {"a": {"url": 3}, "b": {"url": "u", "prt": 1}}
    assert len(problems(Acme, table=table)) == 2
    assert len(problems(dict[str, Inner], **table)) == 2


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("count", "5", "expected int, got str"),
        ("count", True, "expected int, got bool"),
        ("count", 1.5, "expected int, got float"),
        ("handler", 5, "expected str, got int"),
        ("hosts", "a", "expected array, got str"),
        ("table", [], "expected table, got array"),
    ],
)
def test_no_value_is_bent_into_another_type(key: str, value: Any, told: str) -> None:
    (problem,) = problems(Acme, **{key: value})
    assert problem.message == told
    assert problem.place == f"/etc/c.toml: [acme] {key}"
    assert problem.remedy


@pytest.mark.parametrize("kind", [Acme, dict[str, Inner]])
def test_a_value_where_the_whole_table_should_be_is_refused(kind: Any) -> None:
    with pytest.raises(RefusedError, match="table"):
        convert(SettingsFile("/etc/c.toml", {"acme": 3}), "acme", kind)


def test_an_unknown_key_without_a_near_one_is_told_with_all_that_there_are() -> None:
    (problem,) = problems(Acme, zzzzzz=1)
    for key in ("handler", "count", "hosts", "table"):
        assert key in problem.remedy


def test_what_a_settings_class_checks_itself_is_refused_with_its_table() -> None:
    (problem,) = problems(Checked, low=3, high=2)
    assert problem == Problem("low is above high", place="/etc/c.toml: [acme]")


def test_plain_values_may_be_settings_by_name() -> None:
    kind = dict[str, int]
    file = SettingsFile("/c", {"acme": {"a": 1}})
    assert convert(file, "acme", kind) == {"a": 1}
    (problem,) = problems(kind, a="x")
    assert (problem.message, problem.place) == ("expected int, got str", "/etc/c.toml: [acme.a]")


def test_a_provider_without_settings_has_no_keys() -> None:
    (problem,) = problems(Settings, x=1)
    assert problem.remedy == "Keys of [acme] are none."


def test_every_unknown_table_is_told_at_once_with_the_file() -> None:
    file = SettingsFile("/etc/c.toml", {"gvsor": {}, "nvida": {}, "gvisor": {}})
    with pytest.raises(RefusedError) as refused:
        refuse_unknown_tables(file, ["gvisor", "nvidia"])
    assert [(p.place, p.remedy) for p in refused.value.problems] == [
        ("/etc/c.toml: gvsor", 'Did you mean "gvisor"?'),
        ("/etc/c.toml: nvida", 'Did you mean "nvidia"?'),
    ]


class Wide(Settings, frozen=True):
    servers: list[Inner] = []
    one: Inner | None = None
    pair: tuple[int, str] = (1, "a")
    ports: tuple[int, ...] = ()


def test_all_mistakes_of_an_array_of_tables_are_told_with_their_index() -> None:
    found = problems(Wide, servers=[{"url": "u"}, {"url": 3}, {"prt": 1}])
    assert [(p.place, p.message) for p in found] == [
        ("/etc/c.toml: [acme] servers[1].url", "expected str, got int"),
        ("/etc/c.toml: [acme] servers[2].prt", "unknown key 'prt' in [acme.servers[2]]"),
        ("/etc/c.toml: [acme] servers[2]", "[acme.servers[2]] lacks the key 'url'"),
    ]


def test_all_mistakes_of_a_table_that_may_be_left_out_are_told() -> None:
    assert len(problems(Wide, one={"url": 3, "prt": 1})) == 2


def test_mistakes_in_arrays_of_plain_values_are_told_with_their_index() -> None:
    assert [p.place for p in problems(Wide, ports=["a", 1, "b"], pair=[1, 2])] == [
        "/etc/c.toml: [acme] ports[0]",
        "/etc/c.toml: [acme] ports[2]",
        "/etc/c.toml: [acme] pair[1]",
    ]


def test_what_a_nested_class_checks_itself_is_refused_with_its_table() -> None:
    (problem,) = problems(dict[str, dict[str, Checked]], a={"b.c": {"low": 3}})
    assert problem == Problem("low is above high", place='/etc/c.toml: [acme.a."b.c"]')
