"""``export k0sctl``: files, hooks and flags of hosts, put into a file of which all else stays."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from k0sruntime import k0sctl_file
from k0sruntime.cli.main import run
from k0sruntime.compose.k0sctl import Export, Upload
from k0sruntime.contributions import KubeletProfile
from k0sruntime.errors import RefusedError

CLUSTER = """\
# our cluster
apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
spec:
  hosts:
    - role: controller   # the first
      ssh:
        address: 10.0.0.1
    - role: worker
      ssh:
        address: 10.0.0.2
      installFlags:
        - --debug   # for now
        - --profile=gpu-nodes
    # the GPU node
    - role: controller+worker
      hostname: gpu-1
      ssh: {address: 10.0.0.3}
      hooks:
        apply:
          before:
            - date >> k0sctl-apply.log
  k0s:
    version: 1.35.2+k0s.0
"""
SETTINGS = '[node]\n[node.handlers.crun]\nruntime_class = "crun"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    settings = tmp_path / "root/etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS)
    return tmp_path / "root"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "k0sctl.yaml"
    path.write_text(CLUSTER)
    return path


def exported(root: Path, *arguments: str) -> int:
    left_out = [w for name in ("gvisor", "nvidia", "dockerd") for w in ("--without", name)]
    return run(["export", "k0sctl", "--root", str(root), *left_out, *arguments])


def loaded(file: Path) -> list[Any]:
    return YAML(typ="safe").load(file.read_text())["spec"]["hosts"]


def test_workers_get_the_files_and_controllers_the_runtime_classes(root: Path, file: Path) -> None:
    assert exported(root, "--into", str(file)) == 0
    controller, worker, both = loaded(file)
    assert [entry["dst"] for entry in controller["files"]] == ["runtimeclasses.yaml"]
    (dropin,) = worker["files"]
    assert (dropin["dstDir"], dropin["dst"]) == ("/etc/k0s/containerd.d", "k0sruntime-node.toml")
    assert "version = 2" in dropin["data"], "for the k0s that the file installs"
    assert dropin["perm"] == "0644"
    assert len(both["files"]) == 2
    assert "hooks" not in controller
    assert "k0sruntime verify" in worker["hooks"]["apply"]["after"][0]
    assert (
        "rm -f /etc/k0s/containerd.d/k0sruntime-node.toml" in worker["hooks"]["reset"]["after"][0]
    )


def test_comments_and_all_that_others_wrote_stay(root: Path, file: Path) -> None:
    assert exported(root, "--into", str(file)) == 0
    changes = list(difflib.ndiff(CLUSTER.splitlines(), file.read_text().splitlines()))
    assert not [line for line in changes if line.startswith("- ")]
    assert loaded(file)[1]["installFlags"] == ["--debug", "--profile=gpu-nodes"]


def test_a_second_export_changes_nothing_and_a_change_replaces_ours_alone(
    root: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(root, "--into", str(file))
    once = file.read_text()
    capsys.readouterr()
    assert exported(root, "--into", str(file)) == 0
    assert "has it all already" in capsys.readouterr().out
    assert file.read_text() == once
    settings = root / "etc/k0sruntime/config.toml"
    settings.write_text(SETTINGS.replace("crun", "youki"))
    assert exported(root, "--into", str(file)) == 0
    (dropin,) = loaded(file)[1]["files"]
    assert "youki" in dropin["data"]
    assert "crun" not in file.read_text()
    settings.write_text("[node]\n")
    assert exported(root, "--into", str(file)) == 0
    assert not loaded(file)[1]["files"]
    assert len(loaded(file)[1]["hooks"]["apply"]["after"]) == 1


def test_only_the_hosts_that_are_named_are_changed(root: Path, file: Path) -> None:
    assert exported(root, "--into", str(file), "--host", "gpu-1") == 0
    assert ["files" in host for host in loaded(file)] == [False, False, True]


def test_another_cri_comes_to_flags_and_a_profile_of_the_cluster(file: Path) -> None:
    flags = ("--cri-socket=remote:unix:///run/x.sock", "--profile=docker")
    profile = KubeletProfile(name="docker", values={"cgroupDriver": "systemd"})
    text = k0sctl_file.merged(CLUSTER, Export((), (), flags, (), (), ()), profile, str(file))
    spec = YAML(typ="safe").load(text)["spec"]
    assert spec["hosts"][1]["installFlags"] == ["--debug", *flags]
    (found,) = spec["k0s"]["config"]["spec"]["workerProfiles"]
    assert found == {"name": "docker", "values": {"cgroupDriver": "systemd"}}


@pytest.mark.parametrize(
    "odd", ["--debug --cri-socket=remote:unix:///old", "--cri-socket", "--cri-socket remote:x"]
)
def test_a_flag_in_another_form_is_refused_and_not_given_twice(file: Path, odd: str) -> None:
    text = CLUSTER.replace("- --debug   # for now", f'- "{odd}"')
    export = Export((), (), ("--cri-socket=remote:unix:///run/x.sock",), (), (), ())
    with pytest.raises(RefusedError, match="--cri-socket in another form"):
        k0sctl_file.merged(text, export, None, str(file))


def test_credentials_go_to_files_beside_it_and_never_into_it(
    root: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = '[mirrors."r.example"]\nendpoints = ["https://m.example"]\nauth = { password = "S3C", username = "u" }\n'
    (root / "etc/k0sruntime/config.toml").write_text(SETTINGS + mirror)
    assert exported(root, "--into", str(file)) == 0
    assert "S3C" not in file.read_text()
    assert "files with credentials: they are left out unless --files DIR" in capsys.readouterr().err
    assert exported(root, "--into", str(file), "--files", str(tmp_path / "copies")) == 0
    entries = {entry["dst"]: entry for entry in loaded(file)[1]["files"]}
    assert all("data" not in entry for entry in entries.values())
    for entry in entries.values():
        copy = file.parent / entry["src"]
        assert copy.exists()
        assert copy.stat().st_mode & 0o077 == (0o044 if entry["perm"] == "0644" else 0)


def test_without_a_file_the_entries_are_printed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.36"\n[node.handlers.crun]\n')
    assert exported(root) == 0
    out, err = capsys.readouterr()
    assert YAML(typ="safe").load(out)["files"][0]["dst"] == "k0sruntime-node.toml"
    assert "k0sctl does not carry the proof and the way back" in err


def test_a_windows_host_gets_nothing_and_kind_may_be_in_any_case(root: Path, file: Path) -> None:
    windows = "    - role: worker\n      winRM: {address: 10.0.0.9}\n"
    file.write_text(CLUSTER.replace("  k0s:\n", f"{windows}  k0s:\n").replace("Cluster", "cluster"))
    assert exported(root, "--into", str(file)) == 0
    assert set(loaded(file)[3]) == {"role", "winRM"}
    assert loaded(file)[1]["files"]


def test_a_dollar_never_stands_in_the_file_where_k0sctl_would_replace_it(
    root: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = '[node.handlers.odd]\nbinary = "/opt/$HOME/crun"\n'
    (root / "etc/k0sruntime/config.toml").write_text(f"[node]\n{handler}")
    assert exported(root, "--into", str(file)) == 0
    assert "$HOME" not in file.read_text()
    assert "k0sctl replaces what follows a $" in capsys.readouterr().err
    assert exported(root, "--into", str(file), "--files", str(tmp_path / "copies")) == 0
    (entry,) = loaded(file)[1]["files"]
    assert "$HOME" in (file.parent / entry["src"]).read_text()


def test_files_that_a_running_1_35_cannot_load_are_warned_of(
    root: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(root, "--into", str(file))
    assert "still 1.35" not in capsys.readouterr().err
    file.write_text(CLUSTER.replace("1.35.2", "1.36.1"))
    exported(root, "--into", str(file))
    assert "hosts whose k0s is still 1.35 or older" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: ClusterConfig\n", "no Cluster of k0sctl is in it"),
        ("kind: Cluster\nspec: {hosts: x}\n", "spec.hosts must be a list of tables"),
        ("kind: [\n", "not YAML"),
        (CLUSTER, "there is no host 10.9.9.9"),
    ],
)
def test_a_file_that_is_none_is_refused_and_left_as_it_is(
    root: Path, file: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    file.write_text(text)
    (root / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.36"\n')
    assert exported(root, "--into", str(file), "--host", "10.9.9.9") == 3
    assert said in capsys.readouterr().err
    assert file.read_text() == text


TEXTS = st.text(st.characters(codec="ascii"), max_size=40)


@settings(max_examples=25)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=3), st.booleans())
def test_whatever_is_put_in_is_what_comes_out_and_goes_again(
    contents: list[tuple[str, str]], flow: bool
) -> None:
    text = CLUSTER if not flow else "kind: Cluster\nspec: {hosts: [{role: worker, files: []}]}\n"
    uploads = tuple(Upload(f"/etc/{n}-{i}", body, "0644") for i, (n, body) in enumerate(contents))
    try:
        result = k0sctl_file.merged(text, Export(uploads, (), (), (), (), ()), None, "f")
    except RefusedError:
        return  # YAML cannot say it
    host = YAML(typ="safe").load(result)["spec"]["hosts"][0 if flow else 1]
    assert [entry["data"] for entry in host.get("files") or []] == [
        u.content for u in uploads if not u.beside
    ]
    back = k0sctl_file.merged(result, Export((), (), (), (), (), ()), None, "f")
    hosts = YAML(typ="safe").load(back)["spec"]["hosts"]
    assert not any(host.get("files") for host in hosts)
