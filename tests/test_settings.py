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
