"""The worker profile in a k0s.yaml whose comments are kept, and as a patch of the cluster's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from k0sruntime import k0s_config, kubectl
from k0sruntime.cli.main import run
from k0sruntime.contributions import KubeletProfile
from k0sruntime.errors import RefusedError
from k0sruntime.paths import Paths
from k0sruntime.testing import MadeUpFiles, make_node

PROFILE = KubeletProfile(name="mine", values={"cgroupDriver": "systemd"})
THEIRS = """\
# our cluster, do not touch on Fridays
apiVersion: k0s.k0sproject.io/v1beta1
kind: ClusterConfig
metadata:
  name: k0s
spec:
  api:
    sans:
      - "10.0.0.1"   # the balancer
      - node.example
  network: {provider: calico}
  # profiles of the workers
  workerProfiles:
    - name: gpu
      values:
        evictionHard:   # as measured
          memory.available: "500Mi"
  telemetry:
    enabled: false
"""
ADDED = "    - name: mine\n      values:\n        cgroupDriver: systemd\n"


def merged(text: str) -> str:
    return k0s_config.merged(text, PROFILE, "k0s.yaml")


def test_only_the_profile_is_added_and_every_other_byte_stays() -> None:
    before, after = THEIRS.split("  telemetry:")
    assert merged(THEIRS) == f"{before}{ADDED}  telemetry:{after}"


def test_a_second_time_changes_nothing() -> None:
    assert merged(merged(THEIRS)) == merged(THEIRS)


def test_a_profile_of_that_name_is_completed_and_its_own_values_stay() -> None:
    theirs = THEIRS.replace("name: gpu", "name: mine")
    assert merged(theirs) == theirs.replace(
        'memory.available: "500Mi"\n', 'memory.available: "500Mi"\n        cgroupDriver: systemd\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "kind: ClusterConfig\n",
        "kind: ClusterConfig\nspec:\n",
        "kind: ClusterConfig\nspec: {}\n",
        "kind: ClusterConfig\nspec:\n  workerProfiles:\n",
        "kind: ClusterConfig\nspec:\n  workerProfiles: []\n",
        "spec:\n  api: {}\n",
        "# nothing but a comment\nkind: ClusterConfig\n",
        "---\nkind: ClusterConfig\n",
        "kind: Other\n---\nkind: ClusterConfig\nspec:\n  api: {} # c\n",
    ],
)
def test_what_is_missing_is_made_and_the_rest_stays(text: str) -> None:
    result = merged(text)
    assert "name: mine" in result
    assert "cgroupDriver: systemd" in result
    assert merged(result) == result
    for line in text.splitlines():
        if "spec" not in line and "workerProfiles" not in line:
            assert line in result.splitlines()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "not YAML"),
        ("kind: ClusterConfig\nkind: ClusterConfig\n", "not YAML"),
        ("kind: Pod\n", "no ClusterConfig of k0s is in it"),
        ("- a\n", "no ClusterConfig of k0s is in it"),
        ("", "no ClusterConfig of k0s is in it"),
        ("a: 1\n", "it is not one ClusterConfig"),
        ("kind: ClusterConfig\n---\nkind: ClusterConfig\n", "it is not one ClusterConfig"),
        ("kind: ClusterConfig\nspec:\n  workerProfiles: a\n", "must be a list of profiles"),
        ("kind: ClusterConfig\nspec:\n  workerProfiles: [a]\n", "must be a list of profiles"),
        ("kind: ClusterConfig\nspec: a\n", "spec must be a table"),
        ("kind: ClusterConfig\nspec: []\n", "spec must be a table"),
    ],
)
def test_what_is_no_configuration_of_k0s_is_refused(text: str, told: str) -> None:
    with pytest.raises(RefusedError, match=told) as caught:
        merged(text)
    assert caught.value.problems[0].place.startswith("k0s.yaml")


class ChangedError(Exception):
    """A ``test`` of a patch fails: nothing of it is applied."""


def applied(document: Any, operations: list[dict[str, Any]]) -> Any:
    """Apply a JSON patch (RFC 6902), as far as it is used here."""
    document = json.loads(json.dumps(document))
    for operation in operations:
        *above, last = operation["path"].split("/")[1:]
        target = document
        for part in above:
            target = target[int(part)] if isinstance(target, list) else target[part]
        last = last.replace("~1", "/").replace("~0", "~")
        if operation["op"] == "test":
            # What is not there passes for null (evanphx/json-patch v4, which Kubernetes uses).
            there = target.get(last) if isinstance(target, dict) else target[int(last)]
            if there != operation["value"]:
                raise ChangedError
        elif isinstance(target, list):
            target.append(operation["value"]) if last == "-" else target.insert(
                int(last), operation["value"]
            )
        else:
            target[last] = operation["value"]
    return document


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"workerProfiles": None},
        {"workerProfiles": []},
        {"workerProfiles": [{"name": "gpu", "values": {"a": 1}}]},
        {"workerProfiles": [{"name": "gpu"}, {"name": "mine", "values": {"a": 1}}]},
        {"workerProfiles": [{"name": "mine"}]},
        {"workerProfiles": [{"name": "mine", "values": {"cgroupDriver": "systemd"}}]},
    ],
)
def test_a_patch_brings_the_profile_in_and_loses_no_other(spec: Any) -> None:
    document = {"kind": "ClusterConfig", **({"spec": spec} if spec is not None else {})}
    result = applied(document, k0s_config.patch(json.dumps(document), PROFILE, "now"))
    profiles = {p["name"]: p.get("values") for p in result["spec"]["workerProfiles"]}
    assert profiles["mine"]["cgroupDriver"] == "systemd"
    for profile in (spec or {}).get("workerProfiles") or ():
        assert (profile.get("values") or {}).items() <= (profiles[profile["name"]] or {}).items()
    assert k0s_config.patch(json.dumps(result), PROFILE, "now") == []


SETTINGS = '[node]\nk0s = "1.30"\n[dockerd]\nsocket = "/srv/c.sock"\nprofile = "mine"\n'
DRIVER = 'cgroup_driver = "systemd"\n'


def options(tmp_path: Path, settings: str = SETTINGS + DRIVER) -> list[str]:
    path = tmp_path / "node/etc/k0sruntime/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings)
    return ["--sandbox", str(tmp_path / "node")]


def test_export_into_a_file_writes_it_and_shows_what_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "k0s.yaml"
    path.write_text(THEIRS)
    path.chmod(0o640)
    theirs = tmp_path / "k0s.yaml.new"
    theirs.write_text("somebody's draft")
    assert run(["export", "k0s-config", "--into", str(path), *options(tmp_path)]) == 0
    assert path.read_text() == merged(THEIRS)
    assert path.stat().st_mode & 0o777 == 0o640
    kept = tmp_path / "k0s.yaml.before"
    assert kept.read_text() == THEIRS
    assert kept.stat().st_mode & 0o777 == 0o640
    said = capsys.readouterr().out
    assert "+    - name: mine" in said
    assert f"kept what was there as {kept}" in said
    assert run(["export", "k0s-config", "--into", str(path), *options(tmp_path)]) == 0
    assert "already" in capsys.readouterr().out
    assert {p.name for p in tmp_path.glob("*k0s.yaml.*")} == {"k0s.yaml.before", theirs.name}
    assert theirs.read_text() == "somebody's draft"
    path.write_text(THEIRS)
    assert run(["export", "k0s-config", "--into", str(path), *options(tmp_path)]) == 0
    assert (tmp_path / "k0s.yaml.before.1").read_text() == THEIRS


def test_export_as_a_patch_of_what_the_cluster_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "now.yaml"
    path.write_text(THEIRS)
    arguments = ["export", "k0s-config", "--patch", "--current", str(path)]
    assert run([*arguments, *options(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("k0s kubectl patch clusterconfig k0s -n kube-system --type=json -p '[")
    assert '"/spec/workerProfiles/-"' in said


def test_a_file_that_is_refused_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "k0s.yaml"
    path.write_text("kind: Pod\n")
    assert run(["export", "k0s-config", "--into", str(path), *options(tmp_path)]) == 3
    assert path.read_text() == "kind: Pod\n"
    assert run(["export", "k0s-config", "--into", f"{path}.none", *options(tmp_path)]) == 3
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["runtimeclasses", "--into", "x"],
        ["k0s-config", "--into", "x", "--patch"],
        ["k0s-config", "--current", "-"],
    ],
)
def test_options_that_do_not_go_together_are_usage(arguments: list[str]) -> None:
    assert run(["export", *arguments]) == 2


def test_without_ruamel_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    path = tmp_path / "k0s.yaml"
    path.write_text(THEIRS)
    assert run(["export", "k0s-config", "--into", str(path), *options(tmp_path)]) == 3
    assert "pip install 'k0sruntime[yaml]'" in capsys.readouterr().err
    assert path.read_text() == THEIRS


LISTS = [
    None,
    {},
    {"workerProfiles": None},
    {"workerProfiles": []},
    {"workerProfiles": [{"name": "gpu", "values": {"a": 1}}]},
    {"workerProfiles": [{"name": "mine", "values": {"a": 1}}]},
    {"workerProfiles": [{"name": "mine"}, {"name": "gpu", "values": {"a": 1}}]},
]


@pytest.mark.parametrize("before", LISTS)
@pytest.mark.parametrize("meanwhile", LISTS)
def test_a_patch_fails_where_the_list_has_changed_meanwhile(before: Any, meanwhile: Any) -> None:
    """No profile of another hand is lost, and none comes twice."""

    def document(spec: Any) -> dict[str, Any]:
        return {"kind": "ClusterConfig", **({"spec": spec} if spec is not None else {})}

    operations = k0s_config.patch(json.dumps(document(before)), PROFILE, "now")
    try:
        result = applied(document(meanwhile), operations)
    except (ChangedError, KeyError):  # a path that is not there fails as well
        assert before != meanwhile
        return
    profiles = result["spec"]["workerProfiles"]
    names = [found["name"] for found in profiles]
    assert len(names) == len(set(names))
    for found in (meanwhile or {}).get("workerProfiles") or ():
        assert found["name"] in names


SHARED = """\
kind: ClusterConfig
spec:
  workerProfiles:
  - name: gpu
    values: &base
      maxPods: 200
  - name: {name}
    values: *base
"""


def test_what_an_alias_shares_is_not_changed_for_the_others() -> None:
    text = SHARED.format(name="mine")
    assert merged(text) == text.replace(
        "values: *base\n", "values:\n      <<: *base\n      cgroupDriver: systemd\n"
    )
    flow = "{kind: ClusterConfig, spec: {workerProfiles: [{name: gpu, values: &b {a: 1}}, {name: mine, values: *b}]}}"
    assert merged(flow) == flow.replace("values: *b}", "values: {<<: *b, cgroupDriver: systemd}}")


def test_what_others_refer_to_is_not_changed_either() -> None:
    text = SHARED.format(name="other").replace("name: gpu", "name: mine")
    with pytest.raises(RefusedError, match=r"\*base refers to it from elsewhere") as caught:
        merged(text)
    assert "{name: mine, values: {cgroupDriver: systemd}}" in caught.value.problems[0].remedy
    copied = "spec:\n  workerProfiles: &p\n  - {name: a}\nother: *p\n"
    with pytest.raises(RefusedError, match=r"\*p refers to it"):
        merged(copied)
    alias = "x: &s {api: {}}\nspec: *s\n"
    with pytest.raises(RefusedError, match=r"\*s stands for what is written elsewhere"):
        merged(alias)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "spec:\n  workerProfiles:\n  - {name: mine, values: [a]}\n",
            r"workerProfiles\[0\].values",
        ),
        ("spec:\n  workerProfiles:\n  - {name: mine, values: a}\n", r"workerProfiles\[0\].values"),
        ("spec:\n  workerProfiles:\n  - {name: a}\n  - {name: a}\n", "workerProfiles"),
        ("spec: !!python/object/apply:os.system [x]\n", ":1"),
        ("spec: *nothing\n", ":1"),
        (f"spec: {'[' * 3000}\n", "k0s.yaml"),
    ],
)
def test_every_odd_shape_is_a_problem_with_its_place(text: str, place: str) -> None:
    for function in (k0s_config.merged, k0s_config.patch):
        with pytest.raises(RefusedError) as caught:
            function(text, PROFILE, "k0s.yaml")
        assert re.search(place, caught.value.problems[0].place)


def test_a_value_that_differs_is_replaced_where_it_stands() -> None:
    text = "spec:\n  workerProfiles:\n  - name: mine\n    values:\n      cgroupDriver: 'cgroupfs' # old\n      a: 1\n"
    assert merged(text) == text.replace("'cgroupfs'", "systemd")


STEPS, DASHES = st.integers(1, 5), st.integers(0, 3)
COMMENTS = st.sampled_from(["", "# ours: since Friday\n", "# a - b\n\n", "#\n"])
PROFILES = st.lists(
    st.sampled_from(
        [
            "- name: gpu\n{i}values:\n{i}{s}maxPods: 200  # measured\n",
            "- name: gpu\n",
            "- name: gpu\n{i}values:\n",
            "- {{name: gpu, values: {{a: 1}}}}\n",
            "- values: &base\n{i}{s}maxPods: 200\n{i}name: gpu\n",
            "-   name: gpu\n{i}  values: {{}}\n",
        ]
    ),
    max_size=1,
)
MINE = st.sampled_from(
    [
        "",
        "- name: mine\n",
        "- name: mine\n{i}values:\n",
        "- name: mine\n{i}values:\n{i}{s}a: |\n{i}{s}{s}text\n",
        "- name: mine\n{i}values:\n{i}{s}b:\n{i}{s}{s}c: 1\n\n",
        "- name: mine\n{i}values: {{a: [1, 2]}} # flow\n",
        "- values: {{}}\n{i}name: mine\n",
    ]
)
REST = st.sampled_from(
    ["", "{s}api:\n{s}{s}port: 6443\n", "{s}n: ~ # null\n", "{s}t: >-\n{s}{s}a\n{s}{s}b\n"]
)
HEADS = st.sampled_from(
    ["", "---\n", "# top\n---\n", "# A\n---\nkind: Other\nx: 0644\n# end\n---\n"]
)


@st.composite
def configurations(draw: Any) -> str:
    """A k0s.yaml in any style: indentation, lists, comments, documents, line ends."""
    step, dash = " " * draw(STEPS), " " * draw(DASHES)
    items = [*draw(PROFILES), *filter(None, [draw(MINE)])]
    inner = f"{step}{dash}  "
    listed = "".join(
        f"{step}{dash}{item.format(i=inner, s=step)}{draw(COMMENTS)}" for item in items
    )
    empty = draw(st.sampled_from(["", f"{step}workerProfiles: []\n", f"{step}workerProfiles:\n"]))
    profiles = f"{step}workerProfiles:\n{draw(COMMENTS)}{listed}" if items else empty
    parts = [profiles, *(draw(REST).format(s=step) for _ in range(draw(st.integers(0, 1))))]
    spec = "".join(draw(st.permutations(parts)))
    text = f"{draw(HEADS)}{draw(COMMENTS)}kind: ClusterConfig\nspec:\n{draw(COMMENTS)}{spec}"
    text += draw(st.sampled_from(["", "last: 1\n", "# tail\n", "...\n"]))
    if not text.endswith("text\n"):  # whose line end belongs to the value
        text = text.removesuffix(draw(st.sampled_from(["", "\n"])))
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return draw(st.sampled_from(["", "\ufeff"])) + text


def data(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text.removeprefix("\ufeff")))


@given(configurations())
def test_text_is_put_in_and_nothing_else_changes(text: str) -> None:
    """Every byte stays in its order, every other value is what it was, and a second time is idle."""
    result = merged(text)
    left = iter(result)
    assert all(character in left for character in text)
    assert ("\r\n" in text) or "\r" not in result
    assert "\r\n" not in text or "\n" not in result.replace("\r\n", "")
    before, after = data(text), data(result)
    for old, new in zip(before, after, strict=True):
        if old.get("kind") != "ClusterConfig":
            assert new == old
            continue
        profiles = new["spec"].pop("workerProfiles")
        known = (old["spec"] or {}).pop("workerProfiles", None) or []
        assert new == {**old, "spec": old["spec"] or {}}
        others = [p for p in profiles if p["name"] != "mine"]
        assert others == [p for p in known if p["name"] != "mine"]
        (mine,) = [p for p in profiles if p["name"] == "mine"]
        was = next((p.get("values") or {} for p in known if p["name"] == "mine"), {})
        assert mine["values"] == {**was, "cgroupDriver": "systemd"}
    assert merged(result) == result


@given(configurations(), st.data())
def test_whatever_a_file_holds_it_is_put_in_or_refused(text: str, more: Any) -> None:
    """A spoilt file ends in a problem, never in a fault of ours, and nothing else changes."""
    at = more.draw(st.integers(0, len(text)))
    odd = more.draw(
        st.sampled_from(["", "*a ", "&a ", "!!x ", "[", "}", "- ", ": ", "\t", "? ", "|"])
    )
    spoilt = text[:at] + odd + text[at + more.draw(st.integers(0, 3)) :]
    try:
        result = merged(spoilt)
    except RefusedError:
        return
    assert merged(result) == result


def test_the_cluster_that_is_asked_is_the_one_that_is_patched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person's KUBECONFIG may lead to another cluster: the command that is printed names it."""
    node = options(tmp_path)
    kubectl = tmp_path / "node/var/lib/k0s/bin/kubectl"
    kubectl.parent.mkdir(parents=True)
    kubectl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho \'{{"spec": {{}}}}\'\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("KUBECONFIG", "/home/me/other cluster")

    def printed() -> str:
        assert run(["export", "k0s-config", "--patch", *node]) == 0
        return capsys.readouterr().out

    assert printed().startswith(f"{kubectl} '--kubeconfig=/home/me/other cluster' patch ")
    assert "--kubeconfig=/home/me/other cluster" in (tmp_path / "asked").read_text()
    own = tmp_path / "node/var/lib/k0s/pki/admin.conf"
    own.parent.mkdir()
    own.touch()
    assert printed().startswith(f"{kubectl} --kubeconfig={own} patch ")


def test_what_the_cluster_says_of_this_node_is_never_asked_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/me/other")
    kubectl_at = "/usr/bin/kubectl"
    bare = MadeUpFiles(executables=[kubectl_at])
    assert kubectl.command(make_node("", None, files=bare)) == []
    worker = MadeUpFiles({"/var/lib/k0s/kubelet.conf": ""}, executables=[kubectl_at])
    own = f"--kubeconfig={Paths().data}/kubelet.conf"
    assert kubectl.command(make_node("", None, files=worker)) == [kubectl_at, own]
