"""Composing what providers contribute with what lies on the node; on dictionaries alone."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k0sruntime import toml
from k0sruntime.binaries import Binary, Download
from k0sruntime.collect import Collected
from k0sruntime.compose import Composition, Existing, compose
from k0sruntime.compose.k0s import command_lines, worker_flags
from k0sruntime.compose.layers import leaves
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
from k0sruntime.errors import ConflictError, RefusedError
from k0sruntime.explain import explain_all, explain_handler, explain_key
from k0sruntime.testing import make_node

RUNTIME = "io.containerd.cri.v1.runtime"
PARTS = (DropIn, RuntimeHandler, ConfigFile, Binary)


def by(provider: str, *values: Any, hook: str = "contribute_dropin") -> list[Contribution[Any]]:
    owner = Owner(provider, f"{provider}-dist", "1.0", hook)
    return [Contribution(owner, value) for value in values]


def composed(
    *contributions: Contribution[Any], existing: Existing | None = None, **facts: Any
) -> Composition:
    kinds: dict[str, Any] = {
        "parts": tuple(c for c in contributions if isinstance(c.value, PARTS)),
        "hosts": tuple(c for c in contributions if isinstance(c.value, HostsFile)),
        "sockets": tuple(c for c in contributions if isinstance(c.value, CRISocket)),
        "profiles": tuple(c for c in contributions if isinstance(c.value, KubeletProfile)),
    }
    node = make_node("", None, **({"mode": "standalone"} | facts))
    return compose(node, Collected(**kinds), existing or Existing())


def paths(composition: Composition) -> list[str]:
    return sorted(file.path.removeprefix("/etc/k0s/") for file in composition.files)


def content(composition: Composition, name: str) -> str:
    (found,) = [file for file in composition.files if file.path.endswith(f"/{name}")]
    return found.content.decode()


def test_two_handlers_of_one_name_are_refused_with_both_sides_named() -> None:
    handler = RuntimeHandler(name="x")
    with pytest.raises(ConflictError) as refused:
        composed(*by("a", handler), *by("b", handler))
    (problem,) = refused.value.problems
    assert "two providers define the handler 'x'" in problem.message
    assert "a (a-dist 1.0)" in problem.culprit
    assert "b (b-dist 1.0)" in problem.culprit


def test_two_values_for_one_key_are_refused_and_one_value_twice_is_none() -> None:
    on, off = DropIn(runtime={"enable_cdi": True}), DropIn(runtime={"enable_cdi": False})
    composed(*by("a", on), *by("b", on))
    with pytest.raises(ConflictError, match="enable_cdi is True for one provider and False"):
        composed(*by("a", on), *by("b", off))


def test_one_provider_that_contradicts_itself_is_refused() -> None:
    on, off = DropIn(runtime={"enable_cdi": True}), DropIn(runtime={"enable_cdi": False})
    with pytest.raises(ConflictError, match="twice, with different values"):
        composed(*by("a", on, off))
    composed(*by("a", DropIn(runtime={"l": ("x",)}), DropIn(runtime={"l": ["x"]})))


CONFLICTS: dict[str, tuple[Any, Any, str]] = {
    "two sockets": (CRISocket(url="unix:///a"), CRISocket(url="unix:///b"), "two CRI sockets"),
    "two profiles": (
        KubeletProfile(name="a", values={}),
        KubeletProfile(name="b", values={}),
        "two kubelet profiles",
    ),
    "two values in a profile": (
        KubeletProfile(name="a", values={"x": 1}),
        KubeletProfile(name="a", values={"x": 2}),
        "'x' is 1 and 2",
    ),
    "two hosts files": (
        HostsFile(registry="docker.io"),
        HostsFile(registry="docker.io"),
        "two hosts files for the registry 'docker.io'",
    ),
}


@pytest.mark.parametrize("case", list(CONFLICTS))
def test_what_a_node_can_have_once_is_refused_twice(case: str) -> None:
    one, other, told = CONFLICTS[case]
    with pytest.raises(ConflictError, match=told) as refused:
        composed(*by("a", one), *by("b", other))
    assert "a (a-dist 1.0)" in refused.value.problems[0].culprit
    assert "b (b-dist 1.0)" in refused.value.problems[0].culprit


def test_a_provider_has_one_file_for_cri_and_one_for_other_tables() -> None:
    parts = by(
        "acme",
        RuntimeHandler(name="x"),
        DropIn(tables={"proxy_plugins": {"p": {"type": "snapshot"}}}),
    )
    result = composed(*parts)
    assert paths(result) == [
        "containerd.d/k0sruntime-acme-tables.toml",
        "containerd.d/k0sruntime-acme.toml",
        "containerd.toml",
    ]
    assert "proxy_plugins" not in content(result, "k0sruntime-acme.toml")


def test_every_file_of_ours_names_its_owner_first() -> None:
    result = composed(*by("acme", RuntimeHandler(name="x"), ConfigFile(name="a.toml", content="x")))
    for name in ("k0sruntime-acme.toml",):
        assert content(result, name).startswith("# Composed by k0sruntime for provider acme")
    assert "k0sruntime/acme/a.toml" in paths(result)


@given(order=st.permutations(list("abcd")))
def test_the_order_of_providers_makes_no_difference_to_the_byte(order: list[str]) -> None:
    def parts(names: list[str]) -> list[Contribution[Any]]:
        return list(
            itertools.chain.from_iterable(
                by(n, RuntimeHandler(name=n), DropIn(images={"snapshotter": "x"})) for n in names
            )
        )

    one, other = composed(*parts(list("abcd"))), composed(*parts(order))
    assert sorted((f.path, f.content) for f in one.files) == sorted(
        (f.path, f.content) for f in other.files
    )
    assert one.effective == other.effective


def test_kinds_of_values_survive() -> None:
    import datetime as dt

    values = {"f": 1.0, "i": 1, "s": "1", "d": dt.date(2026, 1, 2), "t": dt.time(7, 32)}
    text = content(composed(*by("a", DropIn(runtime=values))), "k0sruntime-a.toml")
    table = toml.load(text.encode(), "x")["plugins"][RUNTIME]
    assert {key: (type(v), v) for key, v in table.items()} == {
        key: (type(v), v) for key, v in values.items()
    }


def foreign(**files: str) -> Existing:
    return Existing(dropins={f"{name}.toml": text.encode() for name, text in files.items()})


def cri(line: str, version: int = 3) -> str:
    return f'# theirs\nversion = {version}\n[plugins."{RUNTIME}"]\n{line}\n'


def test_foreign_drop_ins_are_merged_and_never_written() -> None:
    result = composed(existing=foreign(vendor=cri("enable_selinux = true")))
    assert result.effective["plugins"][RUNTIME]["enable_selinux"] is True
    assert not [path for path in paths(result) if "vendor" in path]


@pytest.mark.parametrize(
    ("name", "winner"),
    [("a", False), ("z", True), (".z", False), ("Z", False), ("k0sruntime-zz", True)],
)
def test_a_foreign_key_wins_or_loses_by_the_byte_order_of_names(name: str, winner: bool) -> None:
    result = composed(
        *by("acme", DropIn(runtime={"enable_cdi": False})),
        existing=Existing(dropins={f"{name}.toml": cri("enable_cdi = true").encode()}),
    )
    assert result.effective["plugins"][RUNTIME]["enable_cdi"] is winner
    (overlap,) = result.overlaps
    assert overlap.winner.foreign is winner
    assert "containerd takes the latter" in str(overlap)


def test_a_foreign_file_under_our_name_is_refused_and_equal_bytes_are_taken_over() -> None:
    parts = by("acme", RuntimeHandler(name="x"))
    text = content(composed(*parts), "k0sruntime-acme.toml")
    composed(*parts, existing=Existing(dropins={"k0sruntime-acme.toml": text.encode()}))
    with pytest.raises(ConflictError, match="under the name that provider 'acme' needs"):
        composed(*parts, existing=Existing(dropins={"k0sruntime-acme.toml": b"version = 3\n"}))


def test_all_bad_foreign_files_are_refused_at_once() -> None:
    with pytest.raises(RefusedError) as refused:
        composed(
            existing=foreign(
                a="x =", b="version = 2\n", c="version = 3\n[debug]\nlevel=1\n", d="version=4"
            )
        )
    places = [problem.place.split(":")[0].rpartition("/")[2] for problem in refused.value.problems]
    assert places == ["a.toml", "b.toml", "d.toml"]


def test_a_value_over_a_table_is_refused_with_its_line() -> None:
    table = f'version = 3\n[plugins."{RUNTIME}".cni]\nconf_dir = "x"\n'
    with pytest.raises(RefusedError, match="must be a table") as refused:
        composed(existing=foreign(a=table, b=cri("cni = 1")))
    assert "/b.toml:4" in refused.value.problems[0].place


def main(text: str) -> Existing:
    return Existing(main=text.encode())


def test_a_main_file_without_the_marker_is_its_users_and_never_written() -> None:
    text = 'version = 3\nimports = ["/etc/k0s/containerd.d/*.toml"]\n'
    result = composed(*by("a", RuntimeHandler(name="x")), existing=main(text))
    assert result.user_managed
    assert paths(result) == ["containerd.d/k0sruntime-a.toml"]


def test_the_marker_counts_on_the_first_line_only() -> None:
    text = "\n# k0s_managed=true\nversion = 3\n"
    with pytest.raises(RefusedError, match="managed by its user"):
        composed(*by("a", RuntimeHandler(name="x")), existing=main(text))
    composed(
        *by("a", RuntimeHandler(name="x")), existing=main("# k0s_managed=true\r\nversion = 3\n")
    )


def test_imports_of_a_users_main_file_are_layers_as_well() -> None:
    existing = Existing(
        main=b'version = 3\nimports = ["/etc/other.toml"]\n',
        imports={"/etc/other.toml": cri("enable_cdi = false").encode()},
    )
    result = composed(existing=existing)
    assert [layer.path for layer in result.layers] == [
        "/etc/k0s/containerd.toml",
        "/etc/other.toml",
    ]
    assert result.effective["plugins"][RUNTIME]["enable_cdi"] is False


def test_schema_2_names_runc_for_1_7_loses_it_otherwise() -> None:
    result = composed(*by("a", RuntimeHandler(name="x")), line="1.35")
    assert (result.schema, result.scheme) == (2, "merge-patch")
    merged = toml.load(content(result, "containerd-cri.toml").encode(), "x")
    assert set(merged["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]) == {
        "runc",
        "x",
    }


def test_schema_2_puts_keys_where_1_7_reads_them() -> None:
    parts = by(
        "a",
        RuntimeHandler(name="x", sandboxer="podsandbox"),
        DropIn(
            runtime={"cni": {"bin_dirs": ["/b"]}},
            images={
                "snapshotter": "s",
                "pinned_images": {"sandbox": "p"},
                "registry": {"config_path": "/c"},
            },
        ),
    )
    text = content(composed(*parts, line="1.35"), "k0sruntime-a.toml")
    table = toml.load(text.encode(), "x")["plugins"]["io.containerd.grpc.v1.cri"]
    assert table == {
        "cni": {"bin_dir": "/b"},
        "containerd": {
            "snapshotter": "s",
            "runtimes": {
                "x": {"runtime_type": "io.containerd.runc.v2", "sandbox_mode": "podsandbox"}
            },
        },
        "registry": {"config_path": "/c"},
        "sandbox_image": "p",
    }


@pytest.mark.parametrize(
    "part",
    [
        RuntimeHandler(name="x", keys={"cgroup_writable": True}),
        DropIn(images={"use_local_image_pull": True}),
        DropIn(runtime={"cni": {"bin_dirs": ["/a", "/b"]}}),
    ],
)
def test_what_1_7_does_not_know_is_refused_there(part: Any) -> None:
    composed(*by("a", part))
    with pytest.raises(RefusedError, match=r"containerd 1\.7 does not know it"):
        composed(*by("a", part), line="1.35")


def test_native_is_refused_on_1_7_and_merge_patch_taken_on_2_when_asked() -> None:
    with pytest.raises(RefusedError, match=r"1\.7 replaces"):
        composed(line="1.35", scheme="native")
    assert composed(scheme="merge-patch").scheme == "merge-patch"


def test_both_schemes_come_to_the_same_cri_tables() -> None:
    parts = by("a", RuntimeHandler(name="x"), DropIn(images={"snapshotter": "s"}))
    one, other = (composed(*parts, scheme=scheme) for scheme in ("native", "merge-patch"))
    assert one.effective["plugins"] == other.effective["plugins"]
    assert one.handlers == other.handlers


@pytest.mark.parametrize(("line", "schema"), [("1.35", 2), ("1.36", 3)])
def test_a_managed_node_gets_drop_ins_of_its_line_and_no_main_file(line: str, schema: int) -> None:
    result = composed(*by("a", RuntimeHandler(name="x")), mode="managed", line=line)
    assert paths(result) == ["containerd.d/k0sruntime-a.toml"]
    assert f"version = {schema}\n" in content(result, "k0sruntime-a.toml")


def test_without_k0s_and_containerd_it_refuses_to_guess() -> None:
    with pytest.raises(RefusedError, match="would be a guess"):
        composed(k0s=None, containerd=None)


def test_a_cri_socket_means_remote_mode_without_files() -> None:
    result = composed(
        *by("a", CRISocket(url="unix:///run/x.sock"), KubeletProfile(name="p", values={"x": 1})),
        *by("b", RuntimeHandler(name="x"), HostsFile(registry="docker.io")),
    )
    assert (result.mode, result.files) == ("remote", ())
    flags = worker_flags(result.socket, result.profile)
    assert flags == ["--cri-socket=remote:unix:///run/x.sock", "--profile=p"]
    assert command_lines(flags)[0].startswith(f"k0s install --force worker {' '.join(flags)}")


def test_hosts_files_with_headers_are_for_root_alone_and_bounce_nothing() -> None:
    secret = Host(url="https://m", header={"Authorization": ["Bearer x"]})
    result = composed(
        *by("a", HostsFile(registry="r.local:5000", hosts=[secret], files={"ca.crt": "PEM"})),
        *by("c", points_at("/etc/k0s/containerd.d/certs.d")),
        *by("b", HostsFile(registry="docker.io", hosts=[Host(url="https://m")])),
    )
    modes = {
        path: file.mode
        for path, file in zip(
            paths(result), sorted(result.files, key=lambda f: f.path), strict=True
        )
    }
    assert modes["containerd.d/certs.d/r.local_5000_/hosts.toml"] == 0o600
    assert modes["containerd.d/certs.d/docker.io/hosts.toml"] == 0o644
    assert not [f for f in result.files if "certs.d" in f.path and f.loaded]


def points_at(folder: str) -> DropIn:
    return DropIn(images={"registry": {"config_path": folder}})


def test_hosts_files_that_containerd_would_not_read_are_refused() -> None:
    hosts = HostsFile(registry="docker.io", hosts=[Host(url="https://m")])
    composed(*by("a", hosts, points_at("/etc/k0s/containerd.d/certs.d")))
    for parts in ([hosts], [hosts, points_at("/etc/containerd/certs.d")]):
        with pytest.raises(RefusedError, match="containerd looks into"):
            composed(*by("a", *parts))


def test_a_binary_is_installed_into_a_folder_of_its_version() -> None:
    download = Download(url="https://example.test/acme", sha256="0" * 64)
    there = composed(*by("a", Binary(name="acme", installed="/usr/bin/acme")))
    assert there.installations == ()
    wanted = Binary(name="acme", version="1.2", downloads={"x86_64": download})
    (one,) = composed(*by("a", wanted)).installations
    assert re.fullmatch(r"/var/lib/k0sruntime/bin/a/acme-1\.2-[0-9a-f]{8}", one.folder)
    assert one.downloads == (download,)
    assert make_node("a", None).binary_file(wanted, "bin/acme") == f"{one.folder}/bin/acme"


def test_another_pin_or_layout_of_a_version_is_another_folder_and_another_source_is_not() -> None:
    def folder(*downloads: Download) -> str:
        binary = Binary(name="acme", version="1.2", downloads={"x86_64": downloads})
        (one,) = composed(*by("a", binary)).installations
        return one.folder

    sums = "https://x.test/sums"
    plain = folder(Download(url="https://x.test/acme", sha512_url=sums))
    assert plain == folder(Download(url="/media/stick/acme", sha512_url="/media/stick/sums"))
    others = {
        folder(Download(url="https://x.test/acme", sha512="0" * 128)),
        folder(Download(url="https://x.test/acme", sha512="1" * 128)),
        folder(Download(url="https://x.test/acme", sha512_url=sums, unpack=True)),
        folder(Download(url="https://x.test/acme.tar", sha512_url=sums, unpack=True)),
        folder(*(Download(url=f"https://x.test/{n}", sha512_url=sums) for n in ("acme", "shim"))),
    }
    assert len(others | {plain}) == 6


def test_a_binary_that_is_not_offered_for_this_machine_is_refused() -> None:
    download = Download(url="https://example.test/acme", sha256="0" * 64)
    wanted = Binary(name="acme", version="1", downloads={"aarch64": download})
    with pytest.raises(RefusedError, match="acme is not on this node, and is not offered"):
        composed(*by("a", wanted))


def test_two_binaries_of_one_name_and_version_are_refused() -> None:
    download = Download(url="https://example.test/acme", sha256="0" * 64)
    wanted = Binary(name="acme", version="1", downloads={"x86_64": download})
    with pytest.raises(ConflictError, match="two binaries called acme 1"):
        composed(*by("a", wanted, wanted))
    pinned = Download(url="https://example.test/acme", sha256="1" * 64)
    another = Binary(name="acme", version="1", downloads={"x86_64": pinned})
    with pytest.raises(ConflictError, match="two binaries called acme 1"):
        composed(*by("a", wanted, another))


def test_every_key_knows_its_file_line_and_maker() -> None:
    parts = by(
        "acme", RuntimeHandler(name="x"), DropIn(runtime={"enable_cdi": False}, reason="tests")
    )
    result = composed(*parts, existing=foreign(zz=cri("enable_cdi = true")))
    everything = {entry.key: entry for entry in explain_all(result)}
    cdi = everything[("plugins", RUNTIME, "enable_cdi")]
    assert (cdi.value, cdi.setting.owner) == (True, "a foreign file")
    assert (cdi.setting.path, cdi.setting.line) == ("/etc/k0s/containerd.d/zz.toml", 4)
    (overrode,) = cdi.overrode
    assert overrode.owner == "acme (acme-dist 1.0), hook contribute_dropin"
    assert overrode.reason == "tests"


@pytest.mark.parametrize(
    ("facts", "existing"),
    [
        ({"scheme": "native"}, foreign(zz=cri("enable_cdi = true"))),
        ({"scheme": "merge-patch"}, foreign(zz=cri("enable_cdi = true"))),
        (
            {"line": "1.35"},
            foreign(zz='version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nx = 1\n'),
        ),
        ({}, main('version = 3\nroot = "/r"\nimports = ["/etc/k0s/containerd.d/*.toml"]\n')),
        ({"mode": "managed"}, foreign(zz="[proxy_plugins.p]\ntype = 'snapshot'\n")),
    ],
    ids=["native", "merge-patch", "schema 2", "user-managed", "managed"],
)
def test_no_key_of_the_effective_configuration_lacks_a_source(
    facts: dict[str, Any], existing: Existing
) -> None:
    parts = by(
        "a", RuntimeHandler(name="x", options={"A": 1}), DropIn(tables={"debug": {"level": "info"}})
    )
    result = composed(*parts, existing=existing, **facts)
    explained = {entry.key: entry for entry in explain_all(result)}
    for path, value in leaves(result.effective):
        if path[0] != "imports":
            assert explained[path].value == value
            assert explained[path].setting.path
            assert explained[path].setting.owner
            assert explained[path].setting.line >= 1


@pytest.mark.parametrize(
    "key",
    [
        "containerd.runtimes.x.runtime_type",
        f'plugins."{RUNTIME}".containerd.runtimes.x.runtime_type',
        f'"{RUNTIME}".containerd.runtimes.x.runtime_type',
    ],
)
def test_a_key_may_leave_out_the_plugin(key: str) -> None:
    (entry,) = explain_key(composed(*by("a", RuntimeHandler(name="x"))), key)
    assert entry.value == "io.containerd.runc.v2"


def test_a_handler_is_explained_whole_and_a_misspelt_one_has_a_nearest() -> None:
    result = composed(*by("a", RuntimeHandler(name="runsc", options={"A": 1})))
    assert {entry.key[-1] for entry in explain_handler(result, "runsc")} == {"runtime_type", "A"}
    with pytest.raises(Exception, match="no file defines the handler 'runsk'") as refused:
        explain_handler(result, "runsk")
    assert refused.value.problems[0].remedy == 'Did you mean "runsc"?'
