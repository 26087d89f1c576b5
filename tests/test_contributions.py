"""Contributions refuse in the provider's own line what cannot be."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

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


def deep(levels: int) -> dict[str, Any]:
    return {"a": deep(levels - 1)} if levels else {}


def deep_list(levels: int) -> list[Any]:
    return [deep_list(levels - 1)] if levels else []


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
    "a download without a version": (
        Binary,
        {"name": "a", "downloads": {"x86_64": Download(url="https://x/a", sha256="0" * 64)}},
        "version of binary a",
    ),
    "a program out of its folder": (
        Binary,
        {"name": "a", "installed": "/a", "programs": ["../b"]},
        "leaves its folder",
    ),
    "a version check without a group": (VersionCheck, {"pattern": "x"}, "needs a group"),
    "overhead without a RuntimeClass": (
        RuntimeHandler,
        {"name": "a", "overhead": {"memory": "1Mi"}},
        "need a runtime_class",
    ),
    "scheduling that Kubernetes does not know": (
        RuntimeHandler,
        {"name": "a", "runtime_class": "a", "scheduling": {"affinity": {}}},
        "knows no 'affinity'",
    ),
    "a binary from nowhere": (Binary, {"name": "a"}, "neither installed nor downloadable"),
    "a download without a checksum": (Download, {"url": "https://x/a"}, "needs a sha512 or sha256"),
    "a socket over TCP": (CRISocket, {"url": "tcp://h:1"}, "unix:///"),
    "a relative socket": (CRISocket, {"url": "unix://x"}, "unix:///"),
    "a profile in capitals": (KubeletProfile, {"name": "A", "values": {}}, "profile 'A'"),
    "a field that k0s forbids": (
        KubeletProfile,
        {"name": "a", "values": {"clusterDNS": []}},
        "k0s refuses it",
    ),
}


REFUSED |= {
    "a handler that ends in a dash": (RuntimeHandler, {"name": "a-"}, "must match"),
    "a handler with a line's end": (RuntimeHandler, {"name": "a\n"}, "must match"),
    "a handler too long": (RuntimeHandler, {"name": "a" * 300}, "must match"),
    "a handler that no RuntimeClass may name": (
        RuntimeHandler,
        {"name": "a.b", "runtime_class": "b"},
        "a.b",
    ),
    "a RuntimeClass in capitals": (
        RuntimeHandler,
        {"name": "a", "runtime_class": "Fast"},
        "RuntimeClass 'Fast'",
    ),
    "a RuntimeClass with two dots": (
        RuntimeHandler,
        {"name": "a", "runtime_class": "a..b"},
        "a..b",
    ),
    "a relative path of a shim": (
        RuntimeHandler,
        {"name": "a", "runtime_path": "bin/shim"},
        "bin/shim",
    ),
    "a key that has a field of its own": (
        RuntimeHandler,
        {"name": "a", "keys": {"runtime_type": "io.containerd.other.v1"}},
        "runtime_type",
    ),
    "a word for a list of annotations": (
        RuntimeHandler,
        {"name": "a", "pod_annotations": "dev.acme.*"},
        "pod_annotations",
    ),
    "nothing deep inside of options": (
        RuntimeHandler,
        {"name": "a", "options": {"b": [{"c": None}]}},
        "options of handler a.b[0].c",
    ),
    "bytes": (DropIn, {"images": {"x": b"y"}}, "images.x is a bytes"),
    "a number that TOML has not": (DropIn, {"runtime": {"x": 2**70}}, "runtime.x"),
    "a character that UTF-8 has not": (DropIn, {"runtime": {"x": "\udc80"}}, "runtime.x"),
    "a list that is too deep": (DropIn, {"tables": {"a": deep_list(40)}}, "nested deeper"),
    "the images' plugin ID": (
        DropIn,
        {"tables": {"plugins": {"io.containerd.cri.v1.images": {}}}},
        "use runtime= or images=",
    ),
    "a reason of two lines": (
        DropIn,
        {"runtime": {"x": 1}, "reason": "one\ndisabled_plugins = ['io.containerd.grpc.v1.cri']"},
        "reason",
    ),
    "a host of another scheme": (Host, {"url": "ftp://m"}, "http:// or https://"),
    "a host with a question": (Host, {"url": "https://m?x=1"}, "http:// or https://"),
    "a host with a space": (Host, {"url": "https://m m"}, "http:// or https://"),
    "a word for a list of capabilities": (Host, {"url": "https://m", "capabilities": "pull"}, ""),
    "a word for a list of certificates": (Host, {"url": "https://m", "ca": "ca.crt"}, "ca"),
    "a word for a list of header values": (
        Host,
        {"url": "https://m", "header": {"Authorization": "Bearer x"}},
        "header",
    ),
    "a negative timeout": (Host, {"url": "https://m", "dial_timeout": "-5s"}, "such as 5s"),
    "an empty registry": (HostsFile, {"registry": ""}, "must match"),
    "the folder itself as a registry": (HostsFile, {"registry": ".."}, "must match"),
    "a registry with a path": (HostsFile, {"registry": "a/b"}, "must match"),
    "a second hosts.toml": (HostsFile, {"registry": "a", "files": {"hosts.toml": ""}}, "hosts"),
    "a binary with a path": (Binary, {"name": "a/b", "installed": "/a/b"}, "must match"),
    "a binary at a relative path": (Binary, {"name": "a", "installed": "bin/a"}, "bin/a"),
    "an overhead that is no quantity": (
        RuntimeHandler,
        {"name": "a", "runtime_class": "a", "overhead": {"memory": "128 MB"}},
        "is no quantity",
    ),
    "an overhead that is a number": (
        RuntimeHandler,
        {"name": "a", "runtime_class": "a", "overhead": {"memory": 1}},
        "is no quantity",
    ),
    "a checksum in capitals": (Download, {"url": "https://x/a", "sha256": "A" * 64}, "lower-case"),
    "a checksum cut short": (Download, {"url": "https://x/a", "sha512": "a" * 127}, "sha512"),
    "a download without a place": (Download, {"url": "", "sha256": "a" * 64}, "''"),
    "a socket without a scheme": (CRISocket, {"url": "/run/x.sock"}, "unix:///"),
    "a profile with a dot": (KubeletProfile, {"name": "a.b", "values": {}}, "profile 'a.b'"),
    "a profile too long": (KubeletProfile, {"name": "a" * 64, "values": {}}, "must match"),
    "a profile with a set": (KubeletProfile, {"name": "a", "values": {"x": {1}}}, "is a set"),
    "the cluster's domain": (
        KubeletProfile,
        {"name": "a", "values": {"clusterDomain": "x"}},
        "'clusterDomain'",
    ),
    "a cgroup driver that no kubelet has": (
        KubeletProfile,
        {"name": "a", "values": {"cgroupDriver": "nope"}},
        "cgroupDriver is 'nope'",
    ),
    "the static pods' URL": (
        KubeletProfile,
        {"name": "a", "values": {"staticPodURL": "x"}},
        "'staticPodURL'",
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


@pytest.mark.parametrize(
    "value",
    [
        RuntimeHandler(name="a"),
        DropIn(),
        Host(url="https://m"),
        HostsFile(registry="a"),
        CRISocket(url="unix:///a"),
        KubeletProfile(name="a", values={}),
        ConfigFile(name="a", content=""),
        Binary(name="a", installed="/a"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_contribution_is_frozen(value: Any) -> None:
    with pytest.raises(AttributeError):
        value.name = "another"


def test_the_deepest_table_that_is_taken_has_32_levels() -> None:
    DropIn(runtime=deep(32))
    with pytest.raises(ValueError, match="nested deeper than 32 tables"):
        DropIn(runtime=deep(33))


def test_other_plugins_may_be_named_where_they_stand() -> None:
    DropIn(tables={"plugins": {"io.containerd.internal.v1.opt": {"path": "/opt"}}})
    DropIn(tables={"proxy_plugins": {"p": {"type": "snapshot"}}, "debug": {"level": "info"}})


def test_the_path_of_a_socket_is_the_nodes() -> None:
    assert CRISocket(url="unix:///run/cri-dockerd.sock").path == "/run/cri-dockerd.sock"


HOSTILE: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a config file above its folder": (ConfigFile, {"name": "../x", "content": ""}, "must match"),
    "a config file elsewhere": (ConfigFile, {"name": "/etc/passwd", "content": ""}, "must match"),
    "a config file that is a folder": (ConfigFile, {"name": "..", "content": ""}, "must match"),
    "an escape in a file's name": (ConfigFile, {"name": "a\x1b[2J", "content": ""}, "must match"),
    "a newline in a file's name": (ConfigFile, {"name": "a\n", "content": ""}, "must match"),
    "a registry above its folder": (HostsFile, {"registry": "../../x"}, "must match"),
    "a certificate above its folder": (
        HostsFile,
        {"registry": "docker.io", "files": {"../ca.crt": ""}},
        "must match",
    ),
    "a program above its folder": (
        Binary,
        {
            "name": "a",
            "version": "1",
            "programs": ["../../../bin/sh"],
            "downloads": {"x86_64": Download(url="https://a/a", sha256="a" * 64)},
        },
        "",
    ),
    "a download above its folder": (
        Download,
        {"url": "https://a/a", "sha256": "a" * 64, "name": "../a"},
        "must match",
    ),
    "a socket above its folder": (CRISocket, {"url": "unix:///run/../etc/x"}, "unix:///"),
    "an escape in a socket": (CRISocket, {"url": "unix:///run/\x1b[2J"}, "one line"),
    "an escape in an URL": (Host, {"url": "https://a\x1b[2J"}, "one line"),
    "an escape in a handler's path": (
        RuntimeHandler,
        {"name": "a", "runtime_path": "/x\x1b"},
        "one line",
    ),
    "an escape in a shim": (
        RuntimeHandler,
        {"name": "a", "runtime_type": "a.b\x07.v1"},
        "one line",
    ),
    "a huge table": (DropIn, {"runtime": {"x": ["y" * 1000] * 2000}}, "larger than 1 MiB"),
    "a wide table": (
        DropIn,
        {"runtime": {str(n): n for n in range(200_000)}},
        "larger than 1 MiB",
    ),
    "a huge config file": (ConfigFile, {"name": "a", "content": "x" * (2 << 20)}, "larger than"),
    "a huge certificate": (
        HostsFile,
        {"registry": "docker.io", "files": {"ca.crt": "x" * (2 << 20)}},
        "larger than 1 MiB",
    ),
    "a config file that is no text": (ConfigFile, {"name": "a", "content": b"x"}, "must be text"),
    "a config file beyond UTF-8": (ConfigFile, {"name": "a", "content": "\ud800"}, "UTF-8"),
    "a certificate beyond UTF-8": (
        HostsFile,
        {"registry": "docker.io", "files": {"ca.crt": "\udcff"}},
        "UTF-8",
    ),
    "a value beyond UTF-8": (RuntimeHandler, {"name": "a", "options": {"x": "\udcff"}}, "UTF-8"),
    "a config file that runs as its owner": (
        ConfigFile,
        {"name": "a", "content": "", "mode": 0o4755},
        "0o4755",
    ),
    "a config file that everybody writes": (
        ConfigFile,
        {"name": "a", "content": "", "mode": 0o666},
        "nobody but its owner",
    ),
    "a version above its folder": (
        Binary,
        {
            "name": "a",
            "version": "../../x",
            "downloads": {"x86_64": Download(url="https://a/a", sha256="a" * 64)},
        },
        "must match",
    ),
    "another program's file by a way round": (
        JSONKeys,
        {"path": "/etc/docker/../shadow.json", "keys": {"a": 1}},
        "without a way round",
    ),
    "another program's file without a place": (
        JSONKeys,
        {"path": "daemon.json", "keys": {"a": 1}},
        "must be an absolute path",
    ),
    "a PID by a way round": (
        JSONKeys,
        {"path": "/a", "keys": {"a": 1}, "daemon": "a", "pid_file": "/run/../a"},
        "without a way round",
    ),
    "an escape in another program's file": (
        JSONKeys,
        {"path": "/etc/\x1b[2J", "keys": {"a": 1}},
        "one line",
    ),
    "keys of JSON within themselves": (
        JSONKeys,
        {"path": "/a", "keys": recursive()},
        "nested deeper",
    ),
    "keys of JSON beyond UTF-8": (JSONKeys, {"path": "/a", "keys": {"a": "\udcff"}}, "UTF-8"),
    "huge keys of JSON": (JSONKeys, {"path": "/a", "keys": {"a": "x" * (2 << 20)}}, "larger than"),
    "an escape in a key": (DropIn, {"runtime": {"a\x1b[2J": 1}}, "one line"),
    "an escape in a key of a profile": (
        KubeletProfile,
        {"name": "a", "values": {"a\x07": 1}},
        "one line",
    ),
    "an escape in a config file": (ConfigFile, {"name": "a", "content": "\x1b[2J"}, "'\\x1b'"),
    "a zero in a certificate": (
        HostsFile,
        {"registry": "docker.io", "files": {"ca.crt": "a\0"}},
        "'\\x00'",
    ),
    "an escape in the path of a program": (Binary, {"name": "a", "installed": "/\x1b"}, "one line"),
    "an escape in a program of an archive": (
        Binary,
        {"name": "a", "installed": "/a", "programs": ["a\x1b"]},
        "one line",
    ),
    "an escape in an annotation": (
        RuntimeHandler,
        {"name": "a", "pod_annotations": ["a\x1b"]},
        "number 1 of pod_annotations",
    ),
    "a second header in a header": (
        Host,
        {"url": "https://a", "header": {"X": ["hunter2\r\nY: z"]}},
        "number 1 of header 'X'",
    ),
    "a second header in a header's name": (
        Host,
        {"url": "https://a", "header": {"X: y\r\nZ": ["a"]}},
        "one line",
    ),
    "a verdict that is none": (Check, {"name": "a", "verdict": "green"}, "'green' is no verdict"),
    "an extension of nothing": (HandlerExtension, {"handler": "runsc"}, "extends nothing"),
    "an extension that takes the handler over": (
        HandlerExtension,
        {"handler": "runsc", "keys": {"runtime_type": "io.containerd.x.v1"}},
        "must not hold 'runtime_type'",
    ),
    "an extension with a table in itself": (
        HandlerExtension,
        {"handler": "runsc", "options": recursive()},
        "nested deeper",
    ),
}


@pytest.mark.parametrize("case", list(HOSTILE))
def test_a_provider_cannot_reach_beyond_its_own_names_nor_overwhelm_the_host(case: str) -> None:
    kind, arguments, told = HOSTILE[case]
    with pytest.raises(ValueError, match=r"\w") as refused:
        kind(**arguments)
    assert told in str(refused.value)
    assert str(refused.value).isprintable()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("text", ["a = 1\n", "a = 1\r\nb = 2\r\n", "\ta: ü\n", ""])
def test_plain_text_is_taken_as_it_is(text: str) -> None:
    assert ConfigFile(name="a", content=text).content == text


def test_what_a_check_tells_is_one_line_that_a_terminal_can_show() -> None:
    check = Check(name="kernel\n", verdict="pass", detail="Linux\x1b[2J\n6.12\n")
    assert (check.name, check.detail) == ("kernel", "Linux [2J 6.12")


@pytest.mark.parametrize(
    ("sums", "protected"),
    [
        ("https://x/sums", True),
        ("/media/stick/sums", True),
        ("http://127.0.0.1:8080/sums", True),
        ("http://localhost/sums", True),
        ("http://me:word@[::1]:80/sums", True),
        ("http://x/sums", False),
        ("http://127.0.0.1.x.test/sums", False),
        ("http://127.0.0.1:80@x.test/sums", False),
        ("http://localhost.x.test/sums", False),
        ("http://x.test/@localhost/sums", False),
    ],
)
def test_a_checksum_that_anybody_on_the_way_could_change_is_none(sums, protected):
    assert Download(url="http://x/a", sha512_url=sums).protected is protected
    assert Download(url="http://x/a", sha512_url=sums, sha256="a" * 64).protected


@pytest.mark.parametrize("amount", ["0", "64Mi", "1.5Gi", "250m", "1e3", "12E6", "2k", "3E", "1n"])
def test_the_quantities_of_kubernetes_are_taken(amount):
    assert RuntimeHandler(name="a", runtime_class="a", overhead={"memory": amount})
