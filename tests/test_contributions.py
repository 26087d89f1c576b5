"""Contributions refuse in the provider's own line what cannot be."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from k0sruntime import (
    Binary,
    ConfigFile,
    CRISocket,
    Download,
    DropIn,
    Host,
    HostsFile,
    KubeletProfile,
    RuntimeHandler,
)


def deep(levels: int) -> dict[str, Any]:
    return {"a": deep(levels - 1)} if levels else {}


def recursive() -> dict[str, Any]:
    table: dict[str, Any] = {}
    table["again"] = table
    return table


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a handler in capitals": (RuntimeHandler, {"name": "RunSC"}, "handler 'RunSC'"),
    "an empty handler": (RuntimeHandler, {"name": ""}, "handler ''"),
    "a handler with a slash": (RuntimeHandler, {"name": "../x"}, "must match"),
    "a control character": (RuntimeHandler, {"name": "a\nb"}, "must match"),
    "a shim without a version": (
        RuntimeHandler,
        {"name": "a", "runtime_type": "runc"},
        "runtime_type",
    ),
    "a set among options": (RuntimeHandler, {"name": "a", "options": {"x": {1}}}, "is a set"),
    "a number for a key": (RuntimeHandler, {"name": "a", "keys": {1: 2}}, "not a string"),
    "nothing as a value": (DropIn, {"runtime": {"x": None}}, "NoneType"),
    "endless depth": (DropIn, {"runtime": deep(40)}, "nested deeper"),
    "a table in itself": (DropIn, {"runtime": recursive()}, "nested deeper"),
    "a version line": (DropIn, {"tables": {"version": 4}}, "the host writes that line"),
    "an import": (DropIn, {"tables": {"imports": []}}, "the host writes that line"),
    "a plugin ID of CRI": (
        DropIn,
        {"tables": {"plugins": {"io.containerd.cri.v1.runtime": {}}}},
        "use runtime= or images=",
    ),
    "the older plugin ID": (
        DropIn,
        {"tables": {"plugins": {"io.containerd.grpc.v1.cri": {}}}},
        "use runtime= or images=",
    ),
    "handlers as keys": (DropIn, {"runtime": {"containerd": {"runtimes": {}}}}, "RuntimeHandler"),
    "a host without a scheme": (Host, {"url": "m.example"}, "http:// or https://"),
    "a slash at the end": (Host, {"url": "https://m.example/"}, "must not end in a slash"),
    "an unknown capability": (Host, {"url": "https://m", "capabilities": ["pul"]}, "'pul'"),
    "a timeout without a unit": (Host, {"url": "https://m", "dial_timeout": "5"}, "such as 5s"),
    "a registry out of the folder": (HostsFile, {"registry": "../etc"}, "must match"),
    "a file out of the folder": (HostsFile, {"registry": "a", "files": {"../x": ""}}, "must match"),
    "a hidden file": (ConfigFile, {"name": ".x", "content": ""}, "must match"),
    "a path as a config file": (ConfigFile, {"name": "a/b", "content": ""}, "must match"),
    "a binary from nowhere": (Binary, {"name": "a"}, "neither installed nor downloadable"),
    "a download without a checksum": (Download, {"url": "https://x"}, "needs a sha512 or sha256"),
    "a socket over TCP": (CRISocket, {"url": "tcp://h:1"}, "unix:///"),
    "a relative socket": (CRISocket, {"url": "unix://x"}, "unix:///"),
    "a profile in capitals": (KubeletProfile, {"name": "A", "values": {}}, "profile 'A'"),
    "a field that k0s forbids": (
        KubeletProfile,
        {"name": "a", "values": {"clusterDNS": []}},
        "k0s refuses it",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_it_is_refused_with_the_value_named(case: str) -> None:
    kind, arguments, told = REFUSED[case]
    with pytest.raises(ValueError, match=r"\w") as refused:
        kind(**arguments)
    assert told in str(refused.value)


def test_one_host_twice_is_refused_for_containerd_would_drop_the_file() -> None:
    host = Host(url="https://m")
    with pytest.raises(ValueError, match="twice"):
        HostsFile(registry="docker.io", hosts=[host, host])


def test_what_toml_has_is_taken() -> None:
    values = {
        "s": "x",
        "b": True,
        "i": 1,
        "f": 1.0,
        "d": dt.date(2026, 1, 1),
        "l": [1, [2]],
        "t": {},
    }
    DropIn(runtime=values)
    RuntimeHandler(name="a.b-1", options=values)
    HostsFile(registry="[::1]:5000", hosts=[Host(url="http://[::1]:5000/v2/x", override_path=True)])
