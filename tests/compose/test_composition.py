"""What a composition promises, side by side for every mode, scheme and schema."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k0sruntime import toml
from k0sruntime.binaries import Binary
from k0sruntime.collect import Collected
from k0sruntime.compose import Composition, Existing, compose
from k0sruntime.compose.k0s import one_profile, profile_fragment, worker_flags
from k0sruntime.contributions import (
    ConfigFile,
    Contribution,
    CRISocket,
    DropIn,
    Host,
    HostsFile,
    KubeletProfile,
    Owner,
    RuntimeHandler,
)
from k0sruntime.errors import ConflictError, ExitCode, K0sRuntimeError, RefusedError
from k0sruntime.testing import make_node

RUNTIME = "io.containerd.cri.v1.runtime"
IMAGES = "io.containerd.cri.v1.images"
CRI = "io.containerd.grpc.v1.cri"
CERTS = "/etc/k0s/containerd.d/certs.d"
READ_HOSTS = DropIn(images={"registry": {"config_path": CERTS}})

FOLDER = {
    "native": {},
    "merge-patch": {"scheme": "merge-patch"},
    "schema 2": {"line": "1.35"},
    "managed": {"mode": "managed"},
    "managed, schema 2": {"mode": "managed", "line": "1.35"},
}
"""Every way in which drop-ins are loaded."""


def by(provider: str, *values: Any) -> list[Contribution[Any]]:
    owner = Owner(provider, f"{provider}-dist", "1.0", "contribute_dropin")
    return [Contribution(owner, value) for value in values]


def composed(
    *given: Contribution[Any], existing: Existing | None = None, **facts: Any
) -> Composition:
    def of(*kinds: type) -> tuple[Any, ...]:
        return tuple(c for c in given if isinstance(c.value, kinds))

    collected = Collected(
        parts=of(DropIn, RuntimeHandler, ConfigFile, Binary),
        hosts=of(HostsFile),
        sockets=of(CRISocket),
        profiles=of(KubeletProfile),
    )
    node = make_node("", None, **({"mode": "standalone"} | facts))
    return compose(node, collected, existing or Existing())


def contents(composition: Composition) -> dict[str, str]:
    return {
        file.path.removeprefix("/etc/k0s/"): file.content.decode() for file in composition.files
    }


def parsed(composition: Composition, name: str) -> dict[str, Any]:
    return toml.load(contents(composition)[name].encode(), name)


def both_sides(refused: pytest.ExceptionInfo[ConflictError]) -> None:
    (problem,) = refused.value.problems
    assert refused.value.exit_code == ExitCode.CONFLICT
    for side in ("a (a-dist 1.0)", "b (b-dist 1.0)"):
        assert side in problem.culprit, problem
    assert "--without" in problem.remedy


CONFLICTS: dict[str, tuple[Any, Any]] = {
    "two handlers": (
        RuntimeHandler(name="x"),
        RuntimeHandler(name="x", options={"BinaryName": "/x"}),
    ),
    "two values of a runtime key": (
        DropIn(runtime={"enable_cdi": True}),
        DropIn(runtime={"enable_cdi": False}),
    ),
    "two values of an images key": (
        DropIn(images={"snapshotter": "overlayfs"}),
        DropIn(images={"snapshotter": "native"}),
    ),
    "two values in another table": (
        DropIn(tables={"debug": {"level": "info"}}),
        DropIn(tables={"debug": {"level": "debug"}}),
    ),
    "two arrays": (
        DropIn(runtime={"cdi_spec_dirs": ["/a"]}),
        DropIn(runtime={"cdi_spec_dirs": ["/a", "/b"]}),
    ),
    "a table against a value": (
        DropIn(runtime={"cni": {"conf_dir": "/a"}}),
        DropIn(runtime={"cni": "/a"}),
    ),
    "a value against a table": (
        DropIn(runtime={"cni": "/a"}),
        DropIn(runtime={"cni": {"conf_dir": "/a"}}),
    ),
    "a truth against a number": (DropIn(runtime={"x": True}), DropIn(runtime={"x": 1})),
    "a float against an integer": (DropIn(runtime={"x": 1.0}), DropIn(runtime={"x": 1})),
    "two default runtimes": (
        DropIn(runtime={"containerd": {"default_runtime_name": "x"}}),
        DropIn(runtime={"containerd": {"default_runtime_name": "y"}}),
    ),
}


@pytest.mark.parametrize("case", list(CONFLICTS))
def test_a_conflict_of_two_providers_names_both_sides(case: str) -> None:
    one, other = CONFLICTS[case]
    with pytest.raises(ConflictError) as refused:
        composed(*by("a", one), *by("b", other))
    both_sides(refused)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CRISocket(url="unix:///a"), CRISocket(url="unix:///b")),
        (KubeletProfile(name="a", values={}), KubeletProfile(name="b", values={})),
        (KubeletProfile(name="a", values={"x": 1}), KubeletProfile(name="a", values={"x": 2})),
        (KubeletProfile(name="a", values={"x": 1}), KubeletProfile(name="a", values={"x": True})),
        (HostsFile(registry="r"), HostsFile(registry="r")),
    ],
    ids=["sockets", "profiles", "a profile's values", "kinds of a value", "hosts files"],
)
def test_so_does_a_conflict_outside_of_containerds_files(one: Any, other: Any) -> None:
    with pytest.raises(ConflictError) as refused:
        composed(*by("a", one), *by("b", other))
    both_sides(refused)


def test_all_conflicts_are_told_at_once() -> None:
    one = DropIn(runtime={"x": 1, "y": 1}, images={"z": 1})
    other = DropIn(runtime={"x": 2, "y": 2}, images={"z": 2})
    with pytest.raises(ConflictError) as refused:
        composed(*by("a", one, RuntimeHandler(name="h")), *by("b", other, RuntimeHandler(name="h")))
    assert len(refused.value.problems) == 4


@pytest.mark.parametrize(
    "value",
    [
        DropIn(runtime={"enable_cdi": True}, images={"snapshotter": "x"}),
        DropIn(tables={"debug": {"level": "info"}}),
        CRISocket(url="unix:///a"),
        KubeletProfile(name="a", values={"x": {"y": 1}}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_value_twice_is_no_conflict(value: Any) -> None:
    composed(*by("a", value), *by("b", value))


def test_profiles_of_one_name_are_merged() -> None:
    one = KubeletProfile(name="p", values={"cgroupDriver": "systemd"})
    other = KubeletProfile(name="p", values={"maxPods": 20, "cgroupDriver": "systemd"})
    profile = one_profile([*by("a", one), *by("b", other)])
    assert profile == KubeletProfile(name="p", values={"cgroupDriver": "systemd", "maxPods": 20})
    assert profile_fragment(profile) == (
        "spec:\n  workerProfiles:\n    - name: p\n      values:\n"
        '        cgroupDriver: "systemd"\n        maxPods: 20\n'
    )


def test_two_files_of_one_name_are_refused() -> None:
    one, other = ConfigFile(name="x.toml", content="1"), ConfigFile(name="x.toml", content="2")
    with pytest.raises(ConflictError, match=r"x\.toml"):
        composed(*by("a", one, other))
    assert len(composed(*by("a", one), *by("b", other)).files) == 3


def test_no_name_of_a_provider_makes_two_drop_ins_one() -> None:
    tables = DropIn(tables={"debug": {"level": "info"}})
    try:
        result = composed(*by("a", tables), *by("a-tables", RuntimeHandler(name="x")))
    except ConflictError:
        return
    written = [file.path for file in result.files]
    assert len(written) == len(set(written)), written


@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
def test_a_foreign_file_under_our_name_is_refused_with_what_to_do(facts: dict[str, Any]) -> None:
    parts = by("a", RuntimeHandler(name="x"), DropIn(tables={"debug": {"level": "info"}}))
    for name in ("k0sruntime-a.toml", "k0sruntime-a-tables.toml"):
        with pytest.raises(ConflictError) as refused:
            composed(*parts, existing=Existing(dropins={name: b"# theirs\n"}), **facts)
        (problem,) = refused.value.problems
        assert problem.place == f"/etc/k0s/containerd.d/{name}"
        assert problem.culprit == "a foreign file"
        assert f"k0sruntime adopt /etc/k0s/containerd.d/{name}" in problem.remedy
        assert "Move it away" in problem.remedy


@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
def test_equal_bytes_under_our_name_are_taken_over(facts: dict[str, Any]) -> None:
    parts = by("a", RuntimeHandler(name="x"), DropIn(tables={"debug": {"level": "info"}}))
    fresh = composed(*parts, **facts)
    dropins = {
        path.rpartition("/")[2]: text.encode()
        for path, text in contents(fresh).items()
        if path.startswith("containerd.d/")
    }
    assert len(dropins) == 2
    again = composed(*parts, existing=Existing(dropins=dropins), **facts)
    assert contents(again) == contents(fresh)
    assert again.effective == fresh.effective
    assert again.overlaps == ()


def test_a_provider_has_a_file_for_cri_and_another_for_its_other_tables() -> None:
    parts = by(
        "a",
        RuntimeHandler(name="x"),
        DropIn(images={"snapshotter": "p"}, tables={"proxy_plugins": {"p": {"type": "snapshot"}}}),
    )
    result = composed(*parts)
    assert parsed(result, "containerd.d/k0sruntime-a.toml") == {
        "version": 3,
        "plugins": {
            IMAGES: {"snapshotter": "p"},
            RUNTIME: {"containerd": {"runtimes": {"x": {"runtime_type": "io.containerd.runc.v2"}}}},
        },
    }
    assert parsed(result, "containerd.d/k0sruntime-a-tables.toml") == {
        "version": 3,
        "proxy_plugins": {"p": {"type": "snapshot"}},
    }


@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
def test_no_file_of_ours_has_a_version_above_the_main_files(facts: dict[str, Any]) -> None:
    result = composed(
        *by("a", RuntimeHandler(name="x"), DropIn(tables={"debug": {"level": "info"}})), **facts
    )
    versions = {toml.load(f.content, f.path)["version"] for f in result.files}
    assert versions == {result.schema}


@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
def test_no_table_of_another_schema_is_written(facts: dict[str, Any]) -> None:
    result = composed(
        *by("a", RuntimeHandler(name="x"), DropIn(images={"snapshotter": "s"})), **facts
    )
    foreign = {2: (RUNTIME, IMAGES), 3: (CRI,)}[result.schema]
    for text in contents(result).values():
        assert not [name for name in foreign if name in text]


@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
def test_every_file_names_its_owner_at_its_top(facts: dict[str, Any]) -> None:
    result = composed(
        *by("a", RuntimeHandler(name="x"), READ_HOSTS, HostsFile(registry="docker.io")), **facts
    )
    for name, text in contents(result).items():
        lines = text.splitlines()
        if name == "containerd.toml":
            assert lines.pop(0) == "# k0s_managed=true"
        assert lines[0].startswith("# Composed by k0sruntime")


@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
def test_what_is_written_is_what_is_meant(facts: dict[str, Any]) -> None:
    part = DropIn(
        runtime={"x": 1},
        images={"y": [1, 2]},
        tables={"debug": {"level": "info"}},
        reason='because of this, # that and "those"',
    )
    result = composed(*by("a", part), **facts)
    texts = {layer.path: layer for layer in result.layers if layer.owner}
    for file in result.files:
        if file.path in texts:
            assert toml.load(file.content, file.path) == texts[file.path].document


def test_schema_2_names_runc_beside_every_other_handler() -> None:
    for given_parts in ([], by("a", RuntimeHandler(name="x"))):
        result = composed(*given_parts, line="1.35")
        (merged,) = [f for f in result.files if f.path == "/run/k0s/containerd-cri.toml"]
        table = toml.load(merged.content, "x")["plugins"][CRI]
        assert table["containerd"]["runtimes"]["runc"] == {"runtime_type": "io.containerd.runc.v2"}
        assert "runc" in {handler.name for handler in result.handlers}


def test_merge_patch_imports_what_is_not_cri_before_the_merged_file() -> None:
    parts = by("a", RuntimeHandler(name="x"), DropIn(tables={"debug": {"level": "info"}}))
    theirs = {"z.toml": b'version = 3\n[metrics]\naddress = "127.0.0.1:1"\n'}
    result = composed(*parts, existing=Existing(dropins=theirs), scheme="merge-patch")
    assert parsed(result, "containerd.toml") == {
        "version": 3,
        "imports": [
            "/etc/k0s/containerd.d/k0sruntime-a-tables.toml",
            "/etc/k0s/containerd.d/z.toml",
            "/run/k0s/containerd-cri.toml",
        ],
    }


def test_native_imports_the_folder_and_nothing_else() -> None:
    assert parsed(composed(), "containerd.toml") == {
        "version": 3,
        "imports": ["/etc/k0s/containerd.d/*.toml"],
    }


KINDS: dict[str, Any] = {
    "one": 1.0,
    "tiny": 1e-9,
    "whole": 1,
    "truth": True,
    "text": "1.0",
    "lines": "a\nb",
    "quotes": "\"'\\",
    "control": "\x00\x7f",
    "day": dt.date(1979, 5, 27),
    "clock": dt.time(7, 32, 0, 500_000),
    "local": dt.datetime(1979, 5, 27, 7, 32),  # noqa: DTZ001 - a local date-time of TOML
    "utc": dt.datetime(1979, 5, 27, 7, 32, tzinfo=dt.timezone.utc),
    "east": dt.datetime(1979, 5, 27, 7, 32, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    "floats": [1.0, 2.5],
    "mixed": [1, 1.0, "1"],
    "tables": [{"b": 1.0}, {"a": []}],
}


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
def test_every_value_keeps_its_kind(name: str, facts: dict[str, Any]) -> None:
    value = KINDS[name]
    result = composed(*by("a", DropIn(runtime={"key": value})), **facts)
    plugin = CRI if result.schema == 2 else RUNTIME
    for file in result.files:
        found = toml.load(file.content, file.path).get("plugins", {}).get(plugin)
        if found and "key" in found:
            assert repr(as_written(found["key"])) == repr(as_written(value))


def as_written(value: Any) -> Any:
    """Return an aware time by its offset: libraries differ in how they call it."""
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.isoformat()
    return value


def test_a_float_stands_as_one_in_the_text() -> None:
    text = contents(composed(*by("a", DropIn(runtime={"one": 1.0}))))
    assert "\none = 1.0\n" in text["containerd.d/k0sruntime-a.toml"]


def test_tables_may_be_any_mapping() -> None:
    inner = MappingProxyType({"conf_dir": "/a"})
    read_only = MappingProxyType({"cni": inner, "list": (inner,)})
    plain = {"cni": dict(inner), "list": [dict(inner)]}
    for one, other in (
        (DropIn(runtime=read_only), DropIn(runtime=plain)),
        (DropIn(tables={"t": read_only}), DropIn(tables={"t": plain})),
        (
            RuntimeHandler(name="x", options=read_only),
            RuntimeHandler(name="x", options=plain),
        ),
    ):
        assert contents(composed(*by("a", one))) == contents(composed(*by("a", other)))


@pytest.mark.parametrize(
    "parts",
    [
        [DropIn(runtime={"containerd": "x"}), RuntimeHandler(name="h")],
        [DropIn(runtime={"cni": "x"})],
        [DropIn(images={"pinned_images": "x"})],
        [DropIn(runtime={"cni": {"bin_dirs": "x"}})],
    ],
    ids=["containerd", "cni", "pinned_images", "bin_dirs"],
)
@pytest.mark.parametrize("line", ["1.35", "1.36"])
def test_a_value_where_a_table_belongs_is_never_a_crash(parts: list[Any], line: str) -> None:
    with contextlib.suppress(K0sRuntimeError):
        composed(*by("a", *parts), line=line)


@pytest.mark.parametrize(
    "part",
    [
        RuntimeHandler(name="x", keys={"cgroup_writable": True}),
        DropIn(images={"pinned_images": {"other": "x"}}),
        DropIn(runtime={"cni": {"bin_dirs": ["/a", "/b"]}}),
    ],
    ids=["handler", "images", "runtime"],
)
def test_what_an_older_containerd_does_not_know_is_refused_with_whose_it_is(part: Any) -> None:
    with pytest.raises(RefusedError, match=r"containerd 1\.7 does not know it") as refused:
        composed(*by("a", part), line="1.35")
    assert "a (a-dist 1.0)" in refused.value.problems[0].culprit


def full(provider: str) -> list[Contribution[Any]]:
    """Contribute something of every kind."""
    return by(
        provider,
        RuntimeHandler(name=provider, options={"z": 1, "a": {"y": 1.0, "b": [1]}}),
        DropIn(runtime={f"key_{provider}": 1.0, "shared": True}, reason=f"of {provider}"),
        DropIn(tables={"debug": {"level": "info"}, "timeouts": {provider: "1s"}}),
        ConfigFile(name="c.toml", content=provider),
        READ_HOSTS,
        HostsFile(registry=f"{provider}.example", hosts=[Host(url="https://m")]),
    )


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(list("abcd")), facts=st.sampled_from(list(FOLDER.values())))
def test_the_bytes_are_the_same_whatever_the_order_of_providers(
    order: list[str], facts: dict[str, Any]
) -> None:
    existing = Existing(dropins={"m.toml": b"[debug]\naddress = '/d'\n"})
    one, other = (
        composed(*(c for name in names for c in full(name)), existing=existing, **facts)
        for names in ("abcd", order)
    )
    key = lambda file: file.path  # noqa: E731 - used twice, here alone
    assert sorted(one.files, key=key) == sorted(other.files, key=key)
    assert toml.dump(one.effective) == toml.dump(other.effective)
    assert one.layers == other.layers
    assert one.handlers == other.handlers
    assert one.overlaps == other.overlaps


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(["z", "a", "m", "k"]))
def test_the_order_of_keys_in_a_contribution_makes_no_difference(order: list[str]) -> None:
    def one(keys: list[str]) -> str:
        table = {key: dict.fromkeys(keys, 1) for key in keys}
        result = composed(*by("p", RuntimeHandler(name="x", options=table), DropIn(runtime=table)))
        return contents(result)["containerd.d/k0sruntime-p.toml"]

    assert one(order) == one(sorted(order))


USERS = b"version = 3\nroot = '/r'\n"
IMPORTING = (
    "/etc/k0s/containerd.d/*.toml",
    "containerd.d/*.toml",
    "/etc/k0s/containerd.d/*",
    "/etc/k0s/*/*.toml",
    "/etc/k0s/../k0s/containerd.d/k0sruntime-*.toml",
)
NOT_IMPORTING = ("/etc/containerd/conf.d/*.toml", "/etc/k0s/containerd.d/vendor.toml", "*.toml")


@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
@pytest.mark.parametrize("pattern", IMPORTING)
def test_a_users_main_file_is_never_written(pattern: str, facts: dict[str, Any]) -> None:
    schema = composed(**facts).schema
    main = f"version = {schema}\nimports = ['{pattern}']\n".encode()
    result = composed(*by("a", RuntimeHandler(name="x")), existing=Existing(main=main), **facts)
    assert result.user_managed
    assert [file.path for file in result.files] == ["/etc/k0s/containerd.d/k0sruntime-a.toml"]
    assert "x" in {handler.name for handler in result.handlers}


@pytest.mark.parametrize("pattern", NOT_IMPORTING)
def test_a_users_main_file_that_imports_no_drop_ins_is_refused(pattern: str) -> None:
    main = USERS + f"imports = ['{pattern}']\n".encode()
    with pytest.raises(RefusedError) as refused:
        composed(*by("a", RuntimeHandler(name="x")), existing=Existing(main=main))
    (problem,) = refused.value.problems
    assert "does not import /etc/k0s/containerd.d" in problem.message
    assert problem.place.startswith("/etc/k0s/containerd.toml:1")
    wanted = rf'imports = \[\s*"{re.escape(pattern)}",\s*"/etc/k0s/containerd\.d/\*\.toml",?\s*\]'
    assert re.search(wanted, problem.remedy), problem.remedy


def test_the_way_to_hand_a_users_main_file_over_is_told() -> None:
    with pytest.raises(RefusedError) as refused:
        composed(*by("a", RuntimeHandler(name="x")), existing=Existing(main=USERS))
    assert "k0sruntime adopt /etc/k0s/containerd.toml" in refused.value.problems[0].remedy


def test_a_users_main_file_needs_no_import_where_there_is_nothing_to_load() -> None:
    result = composed(existing=Existing(main=USERS))
    assert (result.user_managed, result.files) == (True, ())


@pytest.mark.parametrize("mode", ["standalone", "managed"])
def test_a_cri_socket_means_remote_mode_and_nothing_is_written(mode: str) -> None:
    result = composed(
        *full("a"),
        *by("b", CRISocket(url="unix:///run/cri-dockerd.sock")),
        *by("b", KubeletProfile(name="systemd", values={"cgroupDriver": "systemd"})),
        mode=mode,
    )
    assert (result.mode, result.files, result.handlers) == ("remote", (), ())
    assert worker_flags(result.socket, result.profile) == [
        "--cri-socket=remote:unix:///run/cri-dockerd.sock",
        "--profile=systemd",
    ]


def test_remote_mode_without_a_socket_is_refused() -> None:
    with pytest.raises(RefusedError, match="socket"):
        composed(*by("a", RuntimeHandler(name="x")), mode="remote")


def test_remote_mode_needs_neither_containerd_nor_k0s() -> None:
    result = composed(*by("b", CRISocket(url="unix:///a")), containerd=None, k0s=None)
    assert result.mode == "remote"


@pytest.mark.parametrize("facts", FOLDER.values(), ids=list(FOLDER))
def test_hosts_files_have_their_bytes_in_every_mode(facts: dict[str, Any]) -> None:
    file = HostsFile(
        registry="docker.io",
        hosts=[Host(url="https://mirror.example:5000", ca=["ca.crt"], skip_verify=True)],
        server=Host(url="https://registry-1.docker.io"),
        files={"ca.crt": "PEM\n"},
    )
    result = composed(*by("a", file, READ_HOSTS), **facts)
    folder = "containerd.d/certs.d/docker.io"
    assert contents(result)[f"{folder}/hosts.toml"].splitlines()[1:] == [
        'server = "https://registry-1.docker.io"',
        'capabilities = ["pull", "resolve"]',
        "",
        '[host."https://mirror.example:5000"]',
        'capabilities = ["pull", "resolve"]',
        'ca = ["ca.crt"]',
        "skip_verify = true",
    ]
    assert contents(result)[f"{folder}/ca.crt"] == "PEM\n"


SECRET = {"Authorization": ["Bearer hush"]}


@pytest.mark.parametrize(
    ("file", "mode"),
    [
        (HostsFile(registry="r", hosts=[Host(url="https://m")]), 0o644),
        (HostsFile(registry="r", hosts=[Host(url="https://m", header=SECRET)]), 0o600),
        (HostsFile(registry="r", server=Host(url="https://m", header=SECRET)), 0o600),
    ],
    ids=["none", "a mirror's", "the server's"],
)
def test_a_hosts_file_with_headers_is_its_owners_alone(file: HostsFile, mode: int) -> None:
    result = composed(*by("a", file, READ_HOSTS))
    (found,) = [f for f in result.files if f.path == f"{CERTS}/r/hosts.toml"]
    assert (oct(found.mode), found.loaded) == (oct(mode), False)


def test_a_key_beside_a_hosts_file_is_its_owners_alone() -> None:
    file = HostsFile(registry="r", hosts=[Host(url="https://m")], files={"client.key": "KEY"})
    result = composed(*by("a", file, READ_HOSTS))
    (found,) = [f for f in result.files if f.path.endswith("/client.key")]
    assert (found.mode, found.loaded) == (0o600, False)


@pytest.mark.parametrize(
    ("registry", "folder"),
    [
        ("docker.io", "docker.io"),
        ("r.local:5000", "r.local_5000_"),
        ("[::1]:5000", "[::1]_5000_"),
        ("_default", "_default"),
    ],
)
def test_a_registry_has_the_folder_in_which_containerd_looks_first(
    registry: str, folder: str
) -> None:
    result = composed(*by("a", HostsFile(registry=registry), READ_HOSTS))
    assert f"containerd.d/certs.d/{folder}/hosts.toml" in contents(result)
