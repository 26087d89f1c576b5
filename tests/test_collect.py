"""Collecting: every usable provider is asked alone, and told apart from every other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from k0sruntime import Provider, Settings
from k0sruntime.collect import asked, collect, provider_settings, refuse_broken
from k0sruntime.contributions import (
    CRISocket,
    DropIn,
    HostsFile,
    KubeletProfile,
    RuntimeHandler,
)
from k0sruntime.discovery import Discovered
from k0sruntime.errors import ExitCode, Inactive, ProviderError, RefusedError
from k0sruntime.hooks import Hooks, implemented
from k0sruntime.records import Record
from k0sruntime.settings import SettingsFile
from k0sruntime.testing import make_node

NODE = make_node("", None)


def provider(**hooks: Callable[[Any], Any]) -> Any:
    return SimpleNamespace(**hooks)


def discovered(**providers: Any) -> Discovered:
    hooks = Hooks()
    records = []
    for name, plugin in sorted(providers.items()):
        if isinstance(plugin, Record):
            records.append(plugin)
            continue
        kind = getattr(plugin, "settings", None)
        record = Record(
            name, f"{name}-dist", "1.0", "active", hooks=implemented(plugin), settings=kind
        )
        hooks.register(record, plugin)
        records.append(record)
    return Discovered(tuple(records), hooks)


def everything(name: str) -> dict[str, Callable[[Any], Any]]:
    return {
        "contribute_dropin": lambda node: [RuntimeHandler(name=name), DropIn(runtime={name: 1})],
        "contribute_hosts": lambda node: [HostsFile(registry=f"{name}.example")],
        "cri_socket": lambda node: [CRISocket(url="unix:///run/x.sock")],
        "kubelet_profile": lambda node: [KubeletProfile(name=name, values={})],
    }


def rests(node: Any) -> Any:
    raise Inactive("no such card in this machine")


def fails(node: Any) -> Any:
    raise OSError("the card burns")


def test_every_kind_of_contribution_comes_with_its_owner_and_hook() -> None:
    found = collect(discovered(acme=provider(**everything("acme"))), NODE, {})
    given = (*found.parts, *found.hosts, *found.sockets, *found.profiles)
    assert [type(c.value).__name__ for c in given] == [
        "RuntimeHandler",
        "DropIn",
        "HostsFile",
        "CRISocket",
        "KubeletProfile",
    ]
    assert [c.owner.hook for c in given] == [
        "contribute_dropin",
        "contribute_dropin",
        "contribute_hosts",
        "cri_socket",
        "kubelet_profile",
    ]
    assert {(c.owner.provider, c.owner.distribution, c.owner.version) for c in given} == {
        ("acme", "acme-dist", "1.0")
    }


def test_contributions_come_in_the_order_of_the_providers_names() -> None:
    found = collect(
        discovered(**{n: provider(**everything(n)) for n in ("zeta", "alpha", "mid")}), NODE, {}
    )
    assert [c.owner.provider for c in found.hosts] == ["alpha", "mid", "zeta"]


@pytest.mark.parametrize("hook", list(everything("x")))
def test_a_provider_that_rests_in_one_hook_contributes_nothing_in_any(hook: str) -> None:
    hooks = everything("acme") | {hook: rests}
    found = collect(
        discovered(acme=provider(**hooks), good=provider(**everything("good"))), NODE, {}
    )
    given = (*found.parts, *found.hosts, *found.sockets, *found.profiles)
    assert {c.owner.provider for c in given} == {"good"}
    states = {record.name: (record.state, record.reason) for record in found.records}
    assert states == {
        "acme": ("inactive", "no such card in this machine"),
        "good": ("active", ""),
    }


def test_a_provider_that_only_checks_is_active_without_a_contribution() -> None:
    plugin = SimpleNamespace(post_start_check=lambda node, cri: [])
    (record,) = collect(discovered(acme=plugin), NODE, {}).records
    assert (record.state, record.reason) == ("active", "")


class Own(Settings, frozen=True):
    secret: str = ""


def test_a_provider_sees_its_own_typed_settings_its_name_and_never_anothers() -> None:
    seen: dict[str, Any] = {}

    class Looks(Provider[Own]):
        settings = Own

        def contribute_dropin(self, node: Any) -> Any:
            seen[node.provider] = node
            return [RuntimeHandler(name=node.provider)]

    found = discovered(a=Looks(), b=Looks())
    file = SettingsFile("/c.toml", {"a": {"secret": "of a"}, "b": {"secret": "of b"}})
    collect(found, NODE, provider_settings(found, file))
    assert {name: node.settings for name, node in seen.items()} == {
        "a": Own(secret="of a"),
        "b": Own(secret="of b"),
    }
    assert "of b" not in repr(seen["a"])
    assert seen["a"].config_file("x.toml") == "/etc/k0s/k0sruntime/a/x.toml"


def test_no_provider_can_change_the_facts_that_the_next_one_sees() -> None:
    def spoils(node: Any) -> Any:
        with pytest.raises((TypeError, AttributeError)):
            node.arch = "vax"
        with contextlib.suppress(TypeError):
            node.os_release["ID"] = "spoilt"
        return [RuntimeHandler(name="a")]

    seen = []

    def looks(node: Any) -> Any:
        seen.append(dict(node.os_release))
        return [RuntimeHandler(name="b")]

    node = make_node("", None, os_release={"ID": "debian"})
    collect(
        discovered(a=provider(contribute_dropin=spoils), b=provider(contribute_dropin=looks)),
        node,
        {},
    )
    assert seen == [{"ID": "debian"}]


def test_a_failure_gives_distribution_version_and_hook_and_the_exit_code_of_providers() -> None:
    with pytest.raises(ProviderError) as failed:
        collect(discovered(acme=provider(contribute_hosts=fails)), NODE, {})
    assert failed.value.exit_code == ExitCode.PROVIDER == 4
    (problem,) = failed.value.problems
    assert "provider 'acme' failed in contribute_hosts: OSError: the card burns" in problem.message
    assert problem.culprit == "acme-dist 1.0"
    assert problem.place == "hook contribute_hosts"
    assert problem.remedy == "Update acme-dist, or go on with --without acme."


def test_all_providers_that_fail_are_told_at_once_and_the_good_ones_are_still_asked() -> None:
    asked_for = []

    def good(node: Any) -> Any:
        asked_for.append(node.provider)
        return [RuntimeHandler(name="x")]

    with pytest.raises(ProviderError) as failed:
        collect(
            discovered(
                a=provider(contribute_dropin=fails),
                b=provider(contribute_dropin=good),
                c=provider(kubelet_profile=fails),
            ),
            NODE,
            {},
        )
    assert [p.culprit for p in failed.value.problems] == ["a-dist 1.0", "c-dist 1.0"]
    assert asked_for == ["b"]


@pytest.mark.parametrize("state", ["blocked", "broken", "incompatible", "duplicate"])
def test_a_provider_that_cannot_be_used_keeps_its_record_and_is_not_asked(state: Any) -> None:
    record = Record("bad", "bad-dist", "1.0", state, "of a reason")
    found = collect(discovered(bad=record, good=provider(**everything("good"))), NODE, {})
    assert found.records[0] is record
    assert {c.owner.provider for c in found.parts} == {"good"}


def test_all_unusable_providers_are_refused_at_once_but_not_the_blocked_ones() -> None:
    records = [
        Record(state, f"{state}-dist", "1.0", state, "of a reason", remedy="Mend it.")
        for state in ("active", "inactive", "blocked", "broken", "incompatible", "duplicate")
    ]
    with pytest.raises(ProviderError) as refused:
        refuse_broken(records)  # type: ignore[arg-type]
    assert [p.message for p in refused.value.problems] == [
        f"provider {state!r} is {state}: of a reason"
        for state in ("broken", "incompatible", "duplicate")
    ]
    assert {p.remedy for p in refused.value.problems} == {"Mend it."}


def test_the_survey_of_one_provider_never_raises() -> None:
    found = discovered(
        bad=provider(contribute_dropin=fails),
        good=provider(**everything("good")),
        idle=provider(contribute_dropin=rests),
    )
    records = {r.name: asked(found, r, NODE, {})[0] for r in found.records}
    assert {name: record.state for name, record in records.items()} == {
        "bad": "broken",
        "good": "active",
        "idle": "inactive",
    }
    assert "the card burns" in records["bad"].reason


class Typed(Provider[Own]):
    settings = Own

    def contribute_dropin(self, node: Any) -> Any:
        return []


def test_mistakes_in_all_tables_are_told_at_once() -> None:
    found = discovered(a=Typed(), b=Typed())
    tables = {"a": {"secert": "x"}, "b": {"secret": 3}, "c": {}}
    with pytest.raises(RefusedError) as refused:
        provider_settings(found, SettingsFile("/c.toml", tables))
    said = [problem.message for problem in refused.value.problems]
    assert len(said) == 3, said
    assert {p.place for p in refused.value.problems} == {
        "/c.toml: c",
        "/c.toml: [a] secert",
        "/c.toml: [b] secret",
    }


def test_a_value_in_the_place_of_a_providers_table_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"\[a\] must be a table"):
        provider_settings(discovered(a=Typed()), SettingsFile("/c.toml", {"a": 3}))


def test_the_table_of_a_provider_that_is_left_out_may_stay() -> None:
    blocked = Record("bad", "bad-dist", "1.0", "blocked")
    found = discovered(bad=blocked, a=Typed())
    assert provider_settings(found, SettingsFile("/c.toml", {"bad": {"x": 1}})) == {"a": Own()}
