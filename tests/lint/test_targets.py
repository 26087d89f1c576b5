"""How bad a thing is follows the target: what stops one is right on another."""

from __future__ import annotations

import pytest

from k0sruntime.errors import UsageError
from k0sruntime.lint import Target, check
from k0sruntime.lint.gather import gather
from k0sruntime.lint.target import Machine, for_k0s, for_node
from k0sruntime.node import Version
from k0sruntime.testing import MadeUpFiles, make_node

CRI2 = 'plugins."io.containerd.grpc.v1.cri"'
RUNTIME = 'plugins."io.containerd.cri.v1.runtime"'
IMAGES = 'plugins."io.containerd.cri.v1.images"'
K135, K136 = for_k0s("1.35"), for_k0s("1.36")
C17, C20, C21, C23 = (Target(Version.parse(v)) for v in ("1.7.34", "2.0.11", "2.1.9", "2.3.4"))  # type: ignore[arg-type]


def found(target: Target, **files: str) -> dict[str, str]:
    names = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    made_up = MadeUpFiles({f"/etc/k0s/{name}": text for name, text in names.items()})
    findings = check(gather(["/etc/k0s"], made_up), target, made_up)
    return {finding.rule.code: finding.consequence for finding in findings}


def dropin(target: Target, text: str) -> dict[str, str]:
    return found(target, containerd_d__10_toml=text)


HANDLER_2 = (
    f'version = 2\n[{CRI2}.containerd.runtimes.crun]\nruntime_type = "io.containerd.runc.v2"\n'
)
STREAMING = f'version = 3\n[{CRI2}]\nstream_server_port = "10010"\n'


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (K135, {}),
        (K136, {"K0R202": "stops the node"}),
        (C17, {}),
        (C21, {"K0R202": "untidy"}),
        (C23, {"K0R202": "untidy"}),
    ],
)
def test_version_2(target: Target, expected: dict[str, str]) -> None:
    assert dropin(target, HANDLER_2) == expected


def test_version_2_beside_3_is_lost_in_2_1_only() -> None:
    three = f"version = 3\n[{RUNTIME}]\nenable_cdi = true\n"
    both = {"containerd_d__10_toml": HANDLER_2, "containerd_d__20_toml": three}
    assert found(C21, **both) == {"K0R202": "silently ignored"}
    assert found(C23, **both) == {"K0R202": "untidy"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (K135, {"K0R201": "stops the node"}),
        (K136, {"K0R201": "stops the node"}),
        (C21, {"K0R201": "stops the node"}),
        (C23, {"K0R201": "stops the node"}),
        (Target(Version(2, 3, 5)), {}),
    ],
)
def test_version_4(target: Target, expected: dict[str, str]) -> None:
    assert dropin(target, "version = 4\n") == expected


def test_an_import_may_not_have_more_than_the_main_file() -> None:
    files = {
        "containerd_toml": '# k0s_managed=true\nversion = 2\nimports = ["/etc/k0s/containerd.d/*.toml"]\n',
        "containerd_d__10_toml": "version = 3\n",
    }
    assert found(C23, **files)["K0R201"] == "stops the node"
    assert "K0R201" not in found(C21, **files)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (K136, {"K0R203": "stops the node"}),
        (C21, {}),
        (C23, {}),
    ],
)
def test_the_streaming_keys_are_legal_but_for_k0s(target: Target, expected: dict[str, str]) -> None:
    assert dropin(target, STREAMING) == expected


def test_the_old_table_in_version_3_is_ignored_without_k0s() -> None:
    text = HANDLER_2.replace("version = 2", "version = 3")
    assert dropin(C21, text) == {"K0R203": "silently ignored"}
    assert dropin(C21, text.replace("version = 3\n", "")) == {"K0R203": "silently ignored"}
    assert dropin(C23, text.replace("version = 3\n", "")) == {}
    assert dropin(K136, text.replace("version = 3\n", "")) == {"K0R203": "stops the node"}


def test_a_byte_order_mark() -> None:
    assert dropin(C17, "\ufeffversion = 2\n") == {"K0R002": "untidy"}
    assert dropin(C21, "\ufeffversion = 3\n") == {"K0R002": "stops the node"}
    assert found(K136, containerd_d__certs_d__a__hosts_toml="\ufeff") == {
        "K0R002": "silently ignored"
    }


def test_keys_by_line() -> None:
    text = 'version = {}\n[{}.containerd.runtimes.x]\nruntime_type = "a.b.v1"\n{} = {}\n'
    assert dropin(K135, text.format(2, CRI2, "cgroup_writable", "true")) == {
        "K0R104": "silently ignored"
    }
    assert dropin(K136, text.format(3, RUNTIME, "cgroup_writable", "true")) == {}
    assert dropin(K135, text.format(2, CRI2, "runtime_engine", '""')) == {}
    assert dropin(K136, text.format(3, RUNTIME, "runtime_engine", '""')) == {
        "K0R104": "silently ignored"
    }


def test_tls_and_several_folders() -> None:
    tls = '[{}.registry]\nconfig_path = "/a"\n[{}.registry.configs."m".tls]\nca_file = "/x"\n'
    assert dropin(K135, "version = 2\n" + tls.format(CRI2, CRI2)) == {"K0R402": "kills CRI"}
    assert dropin(K136, "version = 3\n" + tls.format(IMAGES, IMAGES)) == {
        "K0R402": "silently ignored"
    }
    two = '[{}.registry]\nconfig_path = "/a:/b"\n'
    assert dropin(K135, "version = 2\n" + two.format(CRI2)) == {"K0R403": "untidy"}
    assert dropin(C20, "version = 3\n" + two.format(IMAGES)) == {"K0R403": "untidy"}


def test_both_bin_dirs_from_2_1_on() -> None:
    text = f'version = 3\n[{RUNTIME}.cni]\nbin_dir = "/a"\nbin_dirs = ["/b"]\n'
    assert dropin(C21, text) == {"K0R307": "kills CRI"}
    assert dropin(C20, text) == {"K0R103": "silently ignored"}


def test_inline_hosts_and_durations_by_line() -> None:
    inline = 'host = {"https://a" = {capabilities = ["pull"]}}\n'
    duration = '[host."https://a"]\ndial_timeout = "5"\n'
    for text, old, new in (
        (inline, {"K0R701": "untidy"}, {"K0R701": "silently ignored"}),
        (duration, {"K0R710": "silently ignored"}, {"K0R707": "silently ignored"}),
    ):
        assert found(K135, containerd_d__certs_d__a__hosts_toml=text) == old
        assert found(K136, containerd_d__certs_d__a__hosts_toml=text) == new


def test_referrers_came_with_2_2() -> None:
    text = '[host."https://a"]\ncapabilities = ["Pull", "referrers"]\n'
    assert found(C21, containerd_d__certs_d__a__hosts_toml=text) == {"K0R709": "silently ignored"}
    assert found(C23, containerd_d__certs_d__a__hosts_toml=text) == {}


SNAPSHOTTERS = {
    "a default of containerd's own": (K136, f'[{IMAGES}]\nsnapshotter = "native"\n', {}),
    "a default of nobody's": (K136, f'[{IMAGES}]\nsnapshotter = "stargz"\n', "kills CRI"),
    "a build with more of them": (C21, f'[{IMAGES}]\nsnapshotter = "stargz"\n', "untidy"),
    "no name in 1.7": (K135, f'[{CRI2}.containerd]\nsnapshotter = ""\n', {}),
    "no name": (C21, f'[{IMAGES}]\nsnapshotter = ""\n', "kills CRI"),
    "a default of nobody's in schema 2": (
        K135,
        f'[{CRI2}.containerd]\nsnapshotter = "stargz"\n',
        "kills CRI",
    ),
    "one that came with 2.0": (K135, f'[{CRI2}.containerd]\nsnapshotter = "erofs"\n', "kills CRI"),
    "a handler's": (
        K136,
        f'[{RUNTIME}.containerd.runtimes.runc]\nsnapshotter = "stargz"\n',
        "breaks pods",
    ),
    "a proxy plugin of another type": (
        K136,
        f'[{IMAGES}]\nsnapshotter = "x"\n[proxy_plugins.x]\ntype = "content"\naddress = "/x"\n',
        "kills CRI",
    ),
    "a proxy plugin by its full type": (
        K136,
        f'[{IMAGES}]\nsnapshotter = "x"\n[proxy_plugins.x]\ntype = "io.containerd.snapshotter.v1"\n',
        {},
    ),
}


@pytest.mark.parametrize("case", SNAPSHOTTERS)
def test_a_snapshotter_is_containerds_own_or_a_proxy_plugin(case: str) -> None:
    target, text, consequence = SNAPSHOTTERS[case]
    text = f"version = {target.schema}\n{text}"
    assert dropin(target, text) == ({"K0R310": consequence} if consequence else {})


def test_1_7_loses_its_runc_where_k0s_does_not_merge() -> None:
    main = 'version = 2\nimports = ["/etc/k0s/containerd.d/*.toml"]\n'
    files = {"containerd_d__10_toml": HANDLER_2}
    assert found(K135, containerd_toml="# k0s_managed=true\n" + main, **files) == {}
    assert found(K135, containerd_toml=main, **files) == {"K0R301": "kills CRI", "K0R504": "untidy"}
    runc = (
        HANDLER_2 + f'[{CRI2}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n'
    )
    assert found(K135, containerd_toml=main, containerd_d__10_toml=runc) == {"K0R504": "untidy"}


def test_1_7_takes_a_plugin_from_the_last_file_where_k0s_does_not_merge() -> None:
    main = '# own\nversion = 2\nimports = ["/etc/k0s/containerd.d/*.toml"]\n'
    default = f'version = 2\n[{CRI2}.containerd]\ndefault_runtime_name = "crun"\n'
    files = {"containerd_d__10_toml": HANDLER_2, "containerd_d__20_toml": default}
    assert "K0R301" in found(K135, containerd_toml=main, **files)
    assert "K0R301" not in found(K135, **files)


def test_the_default_handlers_program_is_worth_a_node() -> None:
    text = (
        f'version = 3\n[{RUNTIME}.containerd]\ndefault_runtime_name = "crun"\n'
        f'[{RUNTIME}.containerd.runtimes.crun]\nruntime_type = "io.containerd.runc.v2"\n'
        'options = {BinaryName = "crun"}\n'
    )
    target = Target(K136.containerd, K136.k0s, Machine("x86_64", ("/usr/bin",)))
    assert dropin(target, text) == {"K0R802": "stops the node"}


def test_a_plain_import_is_judged_as_far_as_can_be_told() -> None:
    main = '# k0s_managed=true\nversion = 3\nimports = ["/etc/k0s/containerd.d/*.toml", "{}"]\n'
    assert found(K136, containerd_toml=main.format("x.toml")) == {"K0R501": "stops the node"}
    assert found(K136, containerd_toml=main.format("/srv/x.toml")) == {"K0R501": "untidy"}
    assert (
        found(K135, containerd_toml=main.format("/run/k0s/containerd-cri.toml").replace("3", "2"))
        == {}
    )
    on_the_node = Target(K136.containerd, K136.k0s, Machine("x86_64", ()))
    assert found(on_the_node, containerd_toml=main.format("/srv/x.toml")) == {
        "K0R501": "stops the node"
    }


K0S_136_MAIN = """# k0s_managed=true
# This is a placeholder configuration for k0s managed containerd.
# Remove the first line to take it over.
# See the documentation.
version = 3
imports = ["/etc/k0s/containerd.d/*.toml"]

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "registry.k8s.io/pause:3.10"

[plugins."io.containerd.cri.v1.runtime"]
"""
K0S_135_MAIN = """# k0s_managed=true
version = 2
imports = ["/etc/k0s/containerd.d/debug.toml", "/run/k0s/containerd-cri.toml"]
"""


def test_what_k0s_itself_writes_is_clean() -> None:
    assert found(K136, containerd_toml=K0S_136_MAIN) == {}
    dropins = {
        "containerd_d__debug_toml": '[debug]\nlevel = "debug"\n',
        "containerd_d__10_toml": HANDLER_2,
    }
    assert found(K135, containerd_toml=K0S_135_MAIN, **dropins) == {}


def test_credentials_in_an_url_are_masked() -> None:
    files = MadeUpFiles(
        {"/c/certs.d/a/hosts.toml": '[host."https://user:secret@m/"]\ncapabilities = ["x"]\n'}
    )
    findings = check(gather(["/c/certs.d"], files), K136, files)
    assert {finding.rule.code for finding in findings} == {"K0R703", "K0R709", "K0R719"}
    assert "secret" not in str([(f.message, f.key, f.remedy) for f in findings])


def test_targets_by_name() -> None:
    assert (K135.schema, K136.schema) == (2, 3)
    assert str(K136) == "k0s 1.36 with containerd 2.3.3"
    assert for_k0s("v1.36.3+k0s.2").containerd == K136.containerd
    for wrong in ("1.26", "", "newest"):
        with pytest.raises(UsageError):
            for_k0s(wrong)


def test_the_target_that_a_node_is() -> None:
    managed = for_node(make_node("x", None, mode="managed"))
    assert managed
    assert str(managed) == "k0s 1.36 with containerd 2.3.3"
    assert managed.machine
    fresh = for_node(make_node("x", None, line="1.35", mode="managed", containerd=None))
    assert fresh
    assert fresh.schema == 2
    alone = for_node(make_node("x", None, mode="standalone"))
    assert alone
    assert alone.k0s is None
    assert for_node(make_node("x", None, mode="standalone", containerd=None)) is None
