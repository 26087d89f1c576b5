"""The worker profile in a k0s.yaml whose comments are kept, and as a patch of the cluster's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import k0s_config
from k0sruntime.cli.main import run
from k0sruntime.contributions import KubeletProfile
from k0sruntime.errors import RefusedError

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
        ("kind: ClusterConfig\nspec: a\n", "must be a list of profiles"),
    ],
)
def test_what_is_no_configuration_of_k0s_is_refused(text: str, told: str) -> None:
    with pytest.raises(RefusedError, match=told) as caught:
        merged(text)
    assert caught.value.problems[0].place.startswith("k0s.yaml")


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
            assert target[last] == operation["value"]
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
    assert run(["export", "k0s-config", "--into", str(path), *options(tmp_path)]) == 0
    assert path.read_text() == merged(THEIRS)
    assert path.stat().st_mode & 0o777 == 0o640
    assert "+    - name: mine" in capsys.readouterr().out
    assert run(["export", "k0s-config", "--into", str(path), *options(tmp_path)]) == 0
    assert "already" in capsys.readouterr().out


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
