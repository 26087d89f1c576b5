"""Hooks asked one provider at a time: attribution, containment, deadlines."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from k0sruntime import going
from k0sruntime import hooks as hooks_
from k0sruntime.collect import Collected, collect
from k0sruntime.contributions import Check, CRISocket, DropIn, HostsFile, RuntimeHandler
from k0sruntime.discovery import Discovered, Record
from k0sruntime.errors import Inactive, Problem, ProviderError, Refused, RefusedError
from k0sruntime.going import Going
from k0sruntime.hooks import Hooks, InvalidProviderError
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


def interrupts(node: Any) -> Any:
    raise KeyboardInterrupt


FAILURES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an exception": (lambda node: 1 / 0, "ZeroDivisionError"),
    "an exception in the middle of a generator": (fails_late, "half-way"),
    "an interrupt that nobody pressed": (interrupts, "it raised KeyboardInterrupt by itself"),
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


async def yields_later(node: Any) -> AsyncIterator[RuntimeHandler]:
    yield handler("a")


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise ValueError("no words")


def raises_mutely(node: Any) -> Any:
    raise Mute


FAILURES |= {
    "a coroutine": (coroutine, "coroutine"),
    "an asynchronous generator": (yields_later, "async_generator"),
    "one value without a list": (lambda node: handler("a"), "returned a RuntimeHandler"),
    "nothing in a list": (lambda node: [None], "it returned a NoneType"),
    "a read-only dictionary": (lambda node: MappingProxyType({"a": 1}), "str"),
    "the class of a value": (lambda node: [RuntimeHandler], "it returned a type"),
    "an exception that cannot be printed": (raises_mutely, "Mute"),
    "an asked fact that is not there": (lambda node: [handler(node.colour)], "colour"),
}


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


def test_the_reason_to_be_inactive_is_told_in_one_line() -> None:
    def rests(node: Any) -> Any:
        raise Inactive("no such card\n\x1b[2Jin this machine")

    (record,) = asked(acme=dropin(rests)).records
    assert record.reason == "no such card [2Jin this machine"


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


def test_a_generator_runs_inside_the_guarded_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks_, "COLLECT_SECONDS", 0.05)

    def drips(node: Any) -> Iterator[RuntimeHandler]:
        yield handler("a")
        time.sleep(1)
        yield handler("b")

    with pytest.raises(ProviderError, match=r"no answer within 0\.05 s"):
        asked(acme=dropin(drips))


def test_an_endless_generator_is_cut_short() -> None:
    def forever(node: Any) -> Iterator[RuntimeHandler]:
        while True:
            yield handler("a")

    with pytest.raises(ProviderError, match="more than 1000"):
        asked(acme=dropin(forever))


def test_a_cause_is_told_in_one_line() -> None:
    def raises(node: Any) -> Any:
        raise ValueError("first line\nsecond line")

    with pytest.raises(ProviderError) as failed:
        asked(acme=dropin(raises))
    (problem,) = failed.value.problems
    assert "first line" in problem.message
    assert "\n" not in problem.message


def test_the_reason_to_be_inactive_may_come_late_in_a_generator() -> None:
    def late(node: Any) -> Iterator[RuntimeHandler]:
        yield handler("a")
        raise Inactive("half of it is missing")

    collected = asked(acme=dropin(late))
    assert collected.parts == ()
    assert collected.records[0].reason == "half of it is missing"


def registered(**providers: Any) -> Hooks:
    hooks = Hooks()
    for name, plugin in providers.items():
        hooks.register(Record(name, f"{name}-dist", "1.2", "active"), plugin)
    return hooks


def test_each_provider_is_asked_alone() -> None:
    hooks = registered(
        a=dropin(lambda node: [handler("of-a")]), b=dropin(lambda node: [handler("of-b")])
    )
    for name in ("a", "b"):
        (given,) = hooks.contribute_dropin(name, make_node(name, None))
        assert (given.value.name, given.owner.provider) == (f"of-{name}", name)


class Alike:
    """Equal to all of its kind, and without a hash."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alike)

    def contribute_dropin(self, node: Any) -> list[RuntimeHandler]:
        return [handler(self.name)]


def test_providers_may_be_equal_or_without_a_hash() -> None:
    hooks = registered(a=Alike("of-a"), b=Alike("of-b"))
    (given,) = hooks.contribute_dropin("b", make_node("b", None))
    assert given.value.name == "of-b"


def test_a_hook_that_a_provider_lacks_gives_nothing() -> None:
    hooks = registered(a=dropin(lambda node: [handler("a")]))
    assert hooks.cri_socket("a", make_node("a", None)) == []


def test_the_class_of_a_wrong_value_is_told_beside_those_that_are_right() -> None:
    plugin = SimpleNamespace(cri_socket=lambda node: [handler("a")])
    with pytest.raises(ProviderError, match="it returned a RuntimeHandler; expected CRISocket"):
        registered(a=plugin).cri_socket("a", make_node("a", None))


def test_a_check_is_given_the_node_and_the_cri_and_its_own_deadline() -> None:
    cri: Any = object()
    seen = []

    def check(node: Any, cri: Any) -> Iterator[Check]:
        seen.append((node.provider, cri))
        yield Check(name="kernel", verdict="pass")

    hooks = registered(a=SimpleNamespace(post_start_check=check))
    (given,) = hooks.post_start_check("a", make_node("a", None), cri)
    assert (given.value.verdict, given.owner.hook) == ("pass", "post_start_check")
    assert seen == [("a", cri)]
    slow = SimpleNamespace(post_start_check=lambda node, cri: time.sleep(1))
    with pytest.raises(ProviderError, match=r"post_start_check: .*within 0"):
        registered(a=slow).post_start_check("a", make_node("a", None), cri, 0.05)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("contribute_drop_in", "contribute_dropin"),
        ("contribute_host", "contribute_hosts"),
        ("cri_sockets", "cri_socket"),
        ("kubelet_profiles", "kubelet_profile"),
        ("post_start_checks", "post_start_check"),
    ],
)
def test_a_misspelt_hook_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    plugin = SimpleNamespace(contribute_dropin=lambda node: [])
    setattr(plugin, name, lambda node: [])
    with pytest.raises(InvalidProviderError, match=f"did you mean '{nearest}'"):
        registered(a=plugin)


def test_helpers_of_a_provider_are_its_own_business() -> None:
    plugin = SimpleNamespace(
        contribute_dropin=lambda node: [handler("a")], find_shim=lambda: 1, options={"x": 1}
    )
    assert registered(a=plugin).contribute_dropin("a", make_node("a", None))


def test_a_hook_may_return_any_iterable() -> None:
    for values in ([], (), {handler("a").name: 1}.keys() & set(), iter(())):
        assert asked(acme=dropin(lambda node, values=values: values)).parts == ()
    plugin = SimpleNamespace(cri_socket=lambda node: {CRISocket(url="unix:///a")})
    (given,) = registered(a=plugin).cri_socket("a", make_node("a", None))
    assert given.value.path == "/a"


def test_the_contract_documents_every_hook_with_an_example() -> None:
    from k0sruntime.hookspecs import HOOKS, Provider

    for name in HOOKS:
        text = getattr(Provider, name).__doc__
        for part in ("Purity:", "Result:", "Conflicts:", "Example::"):
            assert part in text, f"{name} lacks {part}"


def refuses(message: str) -> Any:
    def hook(node: Any) -> Any:
        yield handler("a")
        raise Refused(Problem(message, remedy="Do something."))

    return dropin(hook)


def test_what_a_node_cannot_have_is_refused_with_all_who_say_so() -> None:
    with pytest.raises(RefusedError) as refused:
        asked(one=refuses("no KVM here"), two=refuses("no GPU here"))
    first, second = refused.value.problems
    assert (first.message, second.message) == ("no KVM here", "no GPU here")
    assert first.culprit == "one (one-dist 1.2), hook contribute_dropin"
    assert first.place == "[one] of the settings"
    assert first.remedy == "Do something."


def test_optional_hooks_without_a_comma_are_told_as_such() -> None:
    def hook(node: Any) -> Any:
        return []

    plugin = SimpleNamespace(
        contribute_hosts=hook, contribute_x=hook, optional_hooks=("contribute_x")
    )
    with pytest.raises(InvalidProviderError, match=r"a tuple; write \('contribute_x',\)"):
        registered(acme=plugin)


@dataclass(frozen=True)
class Fussy(DropIn):
    """A vendor's own contribution, whose defaults run code."""

    more: list[int] = field(default_factory=lambda: [1 // 0])


def fussy(node: Any) -> Any:
    yield Fussy(runtime={"x": 1}, more=[])


def test_what_does_not_go_is_not_looked_for() -> None:
    (part,) = asked(acme=dropin(fussy)).parts
    assert isinstance(part.value, Fussy)


def test_what_a_contribution_brings_along_fails_in_its_providers_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes = Going("DropIn.reason", (1, 1), (2, 0), "use DropIn.comment")
    monkeypatch.setattr(going, "GOING", (goes,))
    with pytest.raises(ProviderError) as failed:
        asked(acme=dropin(fussy))
    (problem,) = failed.value.problems
    assert "provider 'acme' failed in contribute_dropin: ZeroDivisionError" in problem.message


class ByKeyword:
    """Hooks whose arguments pluggy would never give."""

    def contribute_dropin(self, *, node: Any) -> Any:
        return []


class ByKeywordWithDefault:
    def post_start_check(self, node: Any, *, cri: Any = None) -> Any:
        return []


class OwnKeyword:
    def contribute_dropin(self, node: Any, *, _cache: Any = None) -> Any:
        return []


@pytest.mark.parametrize(
    ("plugin", "told"),
    [
        (ByKeyword(), "contribute_dropin takes node by keyword only; write its arguments without"),
        (ByKeywordWithDefault(), "post_start_check takes cri by keyword only"),
    ],
)
def test_an_argument_that_can_only_be_given_by_keyword_is_refused(plugin: Any, told: str) -> None:
    with pytest.raises(InvalidProviderError, match=re.escape(told)):
        registered(acme=plugin)


def test_a_keyword_of_the_providers_own_is_its_own_affair() -> None:
    assert registered(acme=OwnKeyword()).contribute_dropin("acme", make_node("acme", None)) == []
