"""Hooks asked one provider at a time: attribution, containment, deadlines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from k0sruntime import hooks as hooks_
from k0sruntime.collect import Collected, collect
from k0sruntime.contributions import HostsFile, RuntimeHandler
from k0sruntime.discovery import Discovered, Record
from k0sruntime.errors import Inactive, ProviderError
from k0sruntime.hooks import Hooks
from k0sruntime.testing import make_node


def asked(settings: dict[str, Any] | None = None, **providers: Any) -> Collected:
    """Register providers by name and collect what they contribute."""
    hooks = Hooks()
    records = []
    for name, plugin in providers.items():
        record = Record(name, f"{name}-dist", "1.2", "active", hooks=hooks_.implemented(plugin))
        hooks.register(record, plugin)
        records.append(record)
    return collect(Discovered(tuple(records), hooks), make_node("", None), settings or {})


def dropin(function: Callable[[Any], Any]) -> Any:
    return SimpleNamespace(contribute_dropin=function)


def handler(name: str) -> RuntimeHandler:
    return RuntimeHandler(name=name)


def test_every_value_carries_provider_distribution_version_and_hook() -> None:
    (part,) = asked(acme=dropin(lambda node: [handler("a")])).parts
    assert str(part.owner) == "acme (acme-dist 1.2), hook contribute_dropin"


def fails_late(node: Any) -> Any:
    yield handler("a")
    raise OSError("half-way")


def recurses(node: Any) -> Any:
    return recurses(node)


FAILURES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an exception": (lambda node: 1 / 0, "ZeroDivisionError"),
    "an exception in the middle of a generator": (fails_late, "half-way"),
    "an exit": (lambda node: sys.exit(1), "SystemExit"),
    "a wrong type": (lambda node: [HostsFile(registry="docker.io")], "it returned a HostsFile"),
    "a dictionary": (lambda node: {"a": 1}, "returned a dict"),
    "a string": (lambda node: "runsc", "returned a str"),
    "a number": (lambda node: 3, "returned a int"),
    "too many values": (lambda node: (handler("a") for _ in range(5000)), "more than 1000"),
    "endless recursion": (recurses, "RecursionError"),
    "a bad value": (lambda node: [handler("BAD NAME")], "handler 'BAD NAME'"),
}


async def coroutine(node: Any) -> Any:
    return ()


FAILURES["a coroutine"] = (coroutine, "coroutine")


@pytest.mark.parametrize("case", list(FAILURES))
def test_a_failure_names_distribution_version_hook_and_cause(case: str) -> None:
    function, cause = FAILURES[case]
    with pytest.raises(ProviderError) as failed:
        asked(acme=dropin(function))
    (problem,) = failed.value.problems
    assert "provider 'acme' failed in contribute_dropin" in problem.message
    assert cause in problem.message
    assert problem.culprit == "acme-dist 1.2"
    assert problem.place == "hook contribute_dropin"
    assert "--without acme" in problem.remedy


def test_a_hook_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks_, "COLLECT_SECONDS", 0.1)
    with pytest.raises(ProviderError, match=r"no answer within 0\.1 s"):
        asked(acme=dropin(lambda node: time.sleep(2)))


def test_all_broken_providers_are_told_at_once() -> None:
    with pytest.raises(ProviderError) as failed:
        asked(a=dropin(lambda node: 1 / 0), b=dropin(lambda node: "x"))
    assert len(failed.value.problems) == 2


def test_an_inactive_provider_contributes_nothing_and_its_reason_is_kept() -> None:
    def rests(node: Any) -> Any:
        raise Inactive("no such card")

    plugin = SimpleNamespace(contribute_dropin=lambda node: [handler("a")], contribute_hosts=rests)
    collected = asked(acme=plugin)
    assert collected.parts == ()
    assert (collected.records[0].state, collected.records[0].reason) == ("inactive", "no such card")


def test_nothing_without_a_reason_is_inactive_as_well() -> None:
    (record,) = asked(acme=dropin(lambda node: None or [])).records
    assert (record.state, record.reason) == (
        "inactive",
        "it contributed nothing and gave no reason",
    )


def test_a_provider_sees_its_own_settings_and_nobody_elses() -> None:
    seen = {}

    def look(node: Any) -> Any:
        seen[node.provider] = node.settings
        return []

    asked({"a": 1, "b": 2}, a=dropin(look), b=dropin(look))
    assert seen == {"a": 1, "b": 2}


def test_the_contract_documents_every_hook_with_an_example() -> None:
    from k0sruntime.hookspecs import HOOKS, Provider

    for name in HOOKS:
        text = getattr(Provider, name).__doc__
        for part in ("Purity:", "Result:", "Conflicts:", "Example::"):
            assert part in text, f"{name} lacks {part}"
