"""Whatever a provider writes into a field of a contribution, the error is its own and names it.

Every field of every contribution is given every wrong value; what passes is composed as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

import k0sruntime
from k0sruntime import (
    Binary,
    Check,
    ConfigFile,
    CRISocket,
    Download,
    DropIn,
    HandlerExtension,
    Host,
    HostsFile,
    JSONKeys,
    KubeletProfile,
    RuntimeHandler,
    VersionCheck,
)
from k0sruntime.errors import K0sRuntimeError, ProviderError
from k0sruntime.testing import compose, make_node

WRONG: Sequence[Any] = (
    "https://x",
    5,
    None,
    ["https://x"],
    [5],
    {"a": "b"},
    {"a": {"b": 1}},
    {5: 6},
    ("x",),
    b"x",
    object(),
    True,
    [None],
    {"x86_64": "y"},
    1.5,
    [["a"]],
    "x\x1b[2J",
    ["x\x1b[2J"],
)


def hosts(**more: Any) -> HostsFile:
    return HostsFile(**{"registry": "a.example", "hosts": [Host(url="https://x")], **more})


def binary(**more: Any) -> Binary:
    made = {"x86_64": Download(url="https://x/y", sha512="a" * 128)}
    return Binary(**{"name": "b", "version": "1", "downloads": made, **more})


MADE: Mapping[type, tuple[str, Callable[..., Any], Mapping[str, Any]]] = {
    RuntimeHandler: ("contribute_dropin", RuntimeHandler, {"name": "h", "runtime_class": "h"}),
    HandlerExtension: (
        "contribute_dropin",
        HandlerExtension,
        {"handler": "runc", "keys": {"a": 1}},
    ),
    DropIn: ("contribute_dropin", DropIn, {"runtime": {"enable_cdi": True}}),
    ConfigFile: ("contribute_dropin", ConfigFile, {"name": "a.toml", "content": "x"}),
    Binary: ("contribute_dropin", binary, {}),
    Download: (
        "contribute_dropin",
        lambda **more: binary(downloads={"x86_64": Download(**more)}),
        {"url": "https://x/y", "sha512": "a" * 128},
    ),
    VersionCheck: ("contribute_dropin", lambda **more: binary(check=VersionCheck(**more)), {}),
    JSONKeys: (
        "contribute_dropin",
        JSONKeys,
        {"path": "/etc/docker/daemon.json", "keys": {"a": 1}},
    ),
    Check: ("contribute_dropin", Check, {"name": "x", "verdict": "warn"}),
    HostsFile: ("contribute_hosts", hosts, {}),
    Host: ("contribute_hosts", lambda **more: hosts(hosts=[Host(**more)]), {"url": "https://x"}),
    CRISocket: ("cri_socket", CRISocket, {"url": "unix:///run/x.sock"}),
    KubeletProfile: ("kubelet_profile", KubeletProfile, {"name": "p", "values": {"maxPods": 3}}),
}
"""Every contribution and what it is made of: the hook, how one is made, and what makes it right."""


CERTS = DropIn(images={"registry": {"config_path": "/etc/k0s/containerd.d/certs.d"}})


def strings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def table(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


MAY_BE: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Sequence[str]": strings,
    "Table": table,
    "Mapping[str, Value]": table,
    "Mapping[str, str]": lambda value: table(value) and strings(list(value.values())),
    "Mapping[str, Sequence[str]]": lambda value: table(value) and all(map(strings, value.values())),
    "Sequence[tuple[str, str]]": lambda value: False,
    "Sequence[Host]": lambda value: False,
    "Host | None": lambda value: value is None,
    "VersionCheck | None": lambda value: value is None,
    "Mapping[str, Download | Sequence[Download]]": lambda value: False,
    "Verdict": lambda value: False,
    "Literal['', 'systemd', 'cgroupfs']": lambda value: False,
}
"""By a field's annotation, which of the wrong values is of the right type after all."""


def cases(kind: Any) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    for field in dataclasses.fields(kind):
        for value in WRONG:
            yield field, value


def test_every_contribution_is_tried() -> None:
    public = {getattr(k0sruntime, name) for name in k0sruntime.__all__}
    values = filter(dataclasses.is_dataclass, public)
    modules = ("contributions", "handlers", "binaries", "json_keys")
    assert {one for one in values if one.__module__.split(".")[-1] in modules} <= set(MADE)


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
def test_a_wrong_value_in_any_field_is_told_in_the_providers_name(kind: type) -> None:
    hook, make, right = MADE[kind]
    mode = {} if hook == "cri_socket" else {"mode": "managed"}
    node = make_node("acme", None, **mode)

    def told(**wrong: Any) -> K0sRuntimeError | None:
        asked = SimpleNamespace(contribute_dropin=lambda node: [CERTS])
        setattr(asked, hook, lambda node: [make(**{**right, **wrong})])
        try:
            compose(asked, node)
        except K0sRuntimeError as exc:
            return exc
        return None

    assert told() is None, "it is right without a wrong value"
    for field, value in cases(kind):
        error = told(**{field.name: value})
        where = f"{field.name} = {value!r}"
        if not MAY_BE[str(field.type)](value):
            assert isinstance(error, ProviderError), where
            assert "provider 'acme' failed in" in error.problems[0].message, where
        if error is not None:
            assert all(line.isprintable() for p in error.problems for line in p.lines()), where


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (lambda: hosts(server="https://x"), "server of a.example must be a Host, not a str"),
        (lambda: hosts(hosts=["https://x"]), "number 1 of hosts of a.example must be a Host"),
        (
            lambda: Host(url="https://x", client=["a.pem"]),
            "number 1 of client of host https://x must be a list of strings, not 'a.pem'",
        ),
        (lambda: Host(url="https://x", client=[("a.pem",)]), "pairs of a certificate and its key"),
        (
            lambda: RuntimeHandler(name="h", snapshotter=5),  # type: ignore[arg-type]
            "snapshotter of a RuntimeHandler must be text, not a int",
        ),
        (lambda: RuntimeHandler(name="h", sandboxer="a\nb"), "must be one line of text"),
    ],
)
def test_the_usual_slips_are_told_in_words(value: Callable[[], Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        value()
