"""What we compose is clean on every line; what a foreign file does to it is found before a write."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime.collect import Collected
from k0sruntime.compose import Composition, Existing, compose
from k0sruntime.contributions import Contribution, DropIn, Host, HostsFile, Owner, RuntimeHandler
from k0sruntime.lint import check, errors
from k0sruntime.lint.composed import subject_of, target_of
from k0sruntime.lint.gather import gather
from k0sruntime.lint.subject import HostsFolder
from k0sruntime.node import Node, Program, Version
from k0sruntime.node_provider import HandlerSettings, NodeProvider, NodeSettings
from k0sruntime.testing import MadeUpFiles, make_node

OWNER = Owner("gvisor", "k0sruntime-gvisor", "0.1.0", "contribute_dropin")
NODE_OWNER = Owner("node", "k0sruntime", "0.1.0", "contribute_dropin")
SETTINGS = NodeSettings(
    handlers={
        "crun": HandlerSettings(binary="/usr/bin/crun", runtime_class="crun"),
        "kata": HandlerSettings(
            runtime_type="io.containerd.kata.v2", runtime_path="/opt/kata/shim"
        ),
    }
)
PARTS = (
    RuntimeHandler(
        name="runsc",
        runtime_type="io.containerd.runsc.v1",
        options={
            "TypeUrl": "io.containerd.runsc.v1.options",
            "ConfigPath": "/etc/k0s/k0sruntime/gvisor/runsc.toml",
        },
        pod_annotations=("dev.gvisor.*",),
    ),
    DropIn(
        images={"registry": {"config_path": "/etc/k0s/containerd.d/certs.d"}},
        tables={"proxy_plugins": {"stargz": {"type": "snapshot", "address": "/run/s.sock"}}},
    ),
)
HOSTS = HostsFile(
    registry="registry.example:5000",
    hosts=(
        Host(url="https://mirror.example", header={"x-token": ["1"]}, dial_timeout="5s"),
        Host(url="https://b.example"),
    ),
    server=Host(url="https://registry.example:5000", capabilities=("pull", "resolve")),
)
LINES = {
    "1.7 managed": ("1.35", "1.7.34", "managed"),
    "1.7 standalone": ("1.35", "1.7.24", "standalone"),
    "2.1 standalone": ("1.36", "2.1.9", "standalone"),
    "2.3 standalone": ("1.36", "2.3.4", "standalone"),
    "2.3 managed": ("1.36", "2.3.3", "managed"),
}


def node_of(line: str, **facts: Any) -> Node[Any]:
    k0s, version, mode = LINES[line]
    parsed = Version.parse(version)
    assert parsed
    containerd = Program("/usr/bin/containerd", parsed)
    return make_node("node", SETTINGS, line=k0s, containerd=containerd, mode=mode, **facts)


def composed(node: Node[Any], existing: Existing | None = None) -> Composition:
    own = NodeProvider().contribute_dropin(node)
    parts: list[Contribution[Any]] = [Contribution(NODE_OWNER, part) for part in own]
    parts += [Contribution(OWNER, part) for part in PARTS]
    collected = Collected(parts=tuple(parts), hosts=(Contribution(OWNER, HOSTS),))
    return compose(node, collected, existing or Existing())


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("scheme", [None, "merge-patch"])
def test_what_we_compose_is_clean(line: str, scheme: str | None) -> None:
    node = node_of(line, scheme=scheme)
    composition = composed(node)
    target = target_of(composition, node)
    assert target
    subject = subject_of(composition, node.paths)
    assert len(subject.files) >= 3
    assert len(subject.hosts) == 1
    if target.containerd < (2,):
        # 1.7 knows no dial_timeout: the hosts file is the provider's own words.
        assert {f.rule.code for f in check(subject, target, node.files)} <= {"K0R710"}
    else:
        assert check(subject, target, node.files) == ()


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("scheme", [None, "merge-patch"])
def test_what_we_wrote_is_clean_on_the_node(line: str, scheme: str | None) -> None:
    """The same once it lies on the disk, with the merged CRI file and the machine judged too."""
    node = node_of(line, scheme=scheme)
    composition = composed(node)
    files = MadeUpFiles(
        {file.path: file.content for file in composition.files}
        | {"/etc/k0s/k0sruntime/gvisor/runsc.toml": "", "/etc/k0s/containerd.d/certs.d/x": ""},
        executables=[
            "/usr/bin/crun",
            "/opt/kata/shim",
            *(f"/usr/bin/containerd-shim-{n}" for n in ("runc-v2", "runsc-v1")),
        ],
    )
    target = target_of(composition, node, machine=True)
    assert target
    subject = gather([node.paths.main_file, node.paths.dropins], files, follow=True)
    known = {"K0R710"} if target.containerd < (2,) else set()
    assert {f.rule.code for f in check(subject, target, files)} <= known


def test_a_foreign_file_that_kills_cri_is_found_and_named() -> None:
    node = node_of("2.3 managed")
    foreign = b'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd]\ndefault_runtime_name = "nvidia"\n'
    composition = composed(node, Existing(dropins={"zz.toml": foreign}))
    target = target_of(composition, node)
    assert target
    (finding,) = errors(check(subject_of(composition, node.paths), target, node.files))
    assert finding.rule.code == "K0R301"
    assert finding.place == "/etc/k0s/containerd.d/zz.toml:3"
    assert finding.culprit == "a foreign file"


def test_our_own_files_name_their_provider() -> None:
    node = node_of("2.3 managed")
    broken = RuntimeHandler(
        name="bad", runtime_type="io.containerd.runc.v2", keys={"io_type": "pipe"}
    )
    collected = Collected(parts=(Contribution(OWNER, broken),))
    composition = compose(node, collected, Existing())
    target = target_of(composition, node)
    assert target
    (finding,) = check(subject_of(composition, node.paths), target, node.files)
    assert finding.rule.code == "K0R309"
    assert finding.culprit == str(OWNER)


def test_foreign_hosts_are_judged_with_ours() -> None:
    node = node_of("2.3 managed")
    composition = composed(node)
    target = target_of(composition, node)
    assert target
    theirs = HostsFolder(f"{node.paths.certs}/registry.example:5000")
    findings = check(subject_of(composition, node.paths, [theirs]), target, node.files)
    assert [finding.rule.code for finding in findings] == ["K0R712"]
