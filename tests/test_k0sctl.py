"""``export k0sctl``: files, hooks and flags of hosts, put into a file of which all else stays."""

from __future__ import annotations

import difflib
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from k0sruntime import k0sctl_file, k0sctl_flags, yaml_data, yaml_text
from k0sruntime.cli.main import run
from k0sruntime.compose import k0sctl
from k0sruntime.compose.envsubst import read
from k0sruntime.compose.k0sctl import Export, Upload
from k0sruntime.contributions import KubeletProfile
from k0sruntime.errors import RefusedError
from tests.envsubst_stand_in import substituted

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


SOCKET = "--cri-socket=remote:unix:///run/x.sock"
SPELLINGS = [
    ["--cri-socket=remote:unix:///run/x.sock"],
    ["--debug --cri-socket=remote:unix:///run/x.sock"],
    ["--cri-socket", "remote:unix:///run/x.sock --debug"],
    ["--cri-socket remote:unix:///run/x.sock"],
]
spelled = pytest.mark.parametrize("items", SPELLINGS, ids=" + ".join)


def with_flags(items: list[str]) -> str:
    return CLUSTER.replace(
        "- --debug   # for now\n", "".join(f"- {item}   # by hand\n        " for item in items)
    ).replace("        " * 2 + "-", "        -")


def flags_of(text: str) -> list[str]:
    host = YAML(typ="safe").load(text)["spec"]["hosts"][1]
    return " ".join(host.get("installFlags") or ()).split()


@spelled
def test_a_flag_in_any_spelling_is_replaced_and_never_given_twice(items: list[str]) -> None:
    text = with_flags(items).replace("x.sock", "old.sock")
    assert "old.sock" in text
    result = k0sctl_file.merged(text, Export((), (), (SOCKET,), (), (), ()), None, "f")
    others = ["--debug"] if "--debug" in " ".join(items) else []
    assert flags_of(result) == ["--profile=gpu-nodes", *others, SOCKET]


@pytest.mark.parametrize(
    "items",
    [["--cri-socket"], ["'--cri-socket=\"remote:x\"'"], ["--cri-socket", "x", "--other", "x"]],
    ids=" + ".join,
)
def test_a_flag_of_which_nothing_can_be_said_is_refused(items: list[str]) -> None:
    export = Export((), (), (SOCKET,), (), (), ())
    with pytest.raises(RefusedError, match="--cri-socket in another form"):
        k0sctl_file.merged(with_flags(items), export, None, "f")


DOCKER = KubeletProfile(name="docker", values={"cgroupDriver": "systemd"})


def another_cri(profile: KubeletProfile | None = DOCKER) -> Export:
    """What another CRI comes to; without a profile, what is left when it goes."""
    flags = (SOCKET, "--profile=docker") if profile else ()
    named = (
        (f"workerProfile={k0sctl.fingerprint(profile.name, profile.values)}",) if profile else ()
    )
    mark = shlex.join((":", "k0sruntime", *flags, *named))
    return Export((), (), flags, (f"{mark}; true",), (), ())


def merged(text: str, profile: KubeletProfile | None = DOCKER) -> tuple[str, list[str]]:
    told: list[str] = []
    text = k0sctl_file.merged(text, another_cri(profile), profile, "f", tell=told.append)
    return text, told


def test_the_flags_and_the_profile_of_an_earlier_export_go_with_what_wanted_them() -> None:
    there, told = merged(CLUSTER.replace("        - --profile=gpu-nodes\n", ""))
    assert flags_of(there) == ["--debug", SOCKET, "--profile=docker"]
    back, more = merged(there, None)
    assert (told, more) == ([], [])
    assert flags_of(back) == ["--debug"]
    spec = YAML(typ="safe").load(back)["spec"]
    assert not spec["k0s"]["config"]["spec"]["workerProfiles"]
    assert merged(back, None)[0] == back


@spelled
def test_a_flag_of_ours_goes_however_somebody_has_spelled_it_since(items: list[str]) -> None:
    there, _ = merged(with_flags([SOCKET]))
    there = there.replace(f'- "{SOCKET}"', "\n        ".join(f'- "{item}"' for item in items))
    back, _ = merged(there, None)
    assert SOCKET.partition("=")[2] not in back
    assert "--cri-socket" not in back


def test_what_an_operator_wrote_stays_though_an_export_had_the_same_name() -> None:
    there, _ = merged(CLUSTER)
    theirs = there.replace(f'"{SOCKET}"', '"--cri-socket=remote:unix:///run/theirs.sock"')
    theirs = theirs.replace(
        "cgroupDriver: systemd\n", "cgroupDriver: systemd\n              maxPods: 50\n"
    )
    assert theirs.count("maxPods") == 1
    back, told = merged(theirs, None)
    assert "--cri-socket=remote:unix:///run/theirs.sock" in flags_of(back)
    assert "--profile=docker" not in flags_of(back)
    assert "maxPods" in back
    assert told == ["the worker profile docker of an earlier export stays: it was edited since"]
    again, _ = merged(theirs)
    (profile,) = YAML(typ="safe").load(again)["spec"]["k0s"]["config"]["spec"]["workerProfiles"]
    assert profile["values"] == {"cgroupDriver": "systemd", "maxPods": 50}


def test_a_profile_that_a_host_still_names_stays_and_is_told() -> None:
    there, _ = merged(CLUSTER)
    theirs = there.replace("hostname: gpu-1\n", "hostname: gpu-1\n      environment: {A: b}\n")
    kept: list[str] = []
    text = k0sctl_file.merged(theirs, another_cri(None), None, "f", ["10.0.0.2"], tell=kept.append)
    assert kept == ["the worker profile docker of an earlier export stays: a host still names it"]
    assert "name: docker" in text


MISSHAPEN = {
    "files: {}": ("files must be a list, and is a table", "spec.hosts[1].files"),
    "installFlags: --debug": (
        "installFlags must be a list, and is a text",
        "spec.hosts[1].installFlags",
    ),
    "hooks: {apply: {after: sudo foo}}": (
        "after must be a list, and is a text",
        "spec.hosts[1].hooks.apply.after",
    ),
    "hooks: []": ("hooks must be a table, and is a list", "spec.hosts[1].hooks"),
}


@pytest.mark.parametrize("line", MISSHAPEN)
def test_what_has_another_shape_is_refused_with_its_place(line: str) -> None:
    said, where = MISSHAPEN[line]
    own = "      installFlags:\n        - --debug   # for now\n        - --profile=gpu-nodes\n"
    assert own in CLUSTER
    with pytest.raises(RefusedError) as refused:
        merged(CLUSTER.replace(own, f"      {line}\n"))
    (problem,) = refused.value.problems
    assert (problem.message, problem.place) == (said, f"f: {where}")


@pytest.mark.parametrize(
    "spec", ["[x]", "{hosts: [], k0s: [x]}", "{k0s: {version: 1.35}, hosts: 1}"]
)
def test_a_spec_of_another_shape_is_refused_and_is_no_fault_of_ours(
    root: Path, file: Path, spec: str
) -> None:
    file.write_text(f"kind: Cluster\nspec: {spec}\n")
    (root / "etc/k0sruntime/config.toml").write_text('[node]\nk0s = "1.36"\n')
    assert exported(root, "--into", str(file)) in (0, 3)


def test_two_clusters_in_a_file_are_refused_as_k0sctl_refuses_them() -> None:
    with pytest.raises(RefusedError, match="2 documents of kind Cluster are in it"):
        merged(f"{CLUSTER}---\n{CLUSTER}")
    merged(f"{CLUSTER}---\nkind: ConfigMap\n")


MERGED = """\
kind: Cluster
spec:
  hosts:
  - &w
    role: worker
    ssh: &s
      address: 10.0.0.1
      user: root
  - <<: *w
    ssh:
      <<: *s
      address: 10.0.0.2
"""


def test_hosts_that_are_merges_of_one_get_its_entries_once() -> None:
    text, told = merged(MERGED)
    assert told == []
    for host in YAML(typ="safe").load(text)["spec"]["hosts"]:
        assert host["installFlags"] == [SOCKET, "--profile=docker"]
    assert text.count(f'"{SOCKET}"') == 1
    assert merged(text)[0] == text


def test_a_host_that_cannot_be_changed_alone_is_told_and_the_others_are_changed() -> None:
    text = MERGED.replace("role: worker\n", "role: worker\n    installFlags: [--debug]\n")
    text += "  - role: worker\n    ssh: {address: 10.0.0.3}\n"
    shared = text.replace("  - <<: *w\n", "  - <<: *w\n    role: controller\n")
    result, told = merged(shared)
    (only,) = told
    assert only.startswith("host 1 (10.0.0.1) is left as it is: *w refers to it from elsewhere")
    hosts = YAML(typ="safe").load(result)["spec"]["hosts"]
    assert [host["installFlags"] for host in hosts] == [
        ["--debug"],
        ["--debug"],
        [SOCKET, "--profile=docker"],
    ]
    with pytest.raises(RefusedError, match="refers to it from elsewhere"):
        k0sctl_file.merged(shared, another_cri(), None, "f", ["10.0.0.1"])


def test_an_alias_bomb_is_refused_at_once() -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(10)]
    started = time.monotonic()
    for text in ("\n".join([*levels, CLUSTER]), CLUSTER.replace("role: worker", "x: &x [*x]", 1)):
        with pytest.raises(RefusedError, match="its aliases stand for too much"):
            merged(text)
    assert time.monotonic() - started < 5


def test_a_large_file_without_aliases_is_no_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_data, "MOST_VALUES", 100)
    text = "kind: Cluster\nspec: {hosts: [" + "{role: controller}, " * 200 + "]}\n"
    assert len(yaml_data.load(text, "f")[0]["spec"]["hosts"]) == 200


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


def read_by_k0sctl(text: str) -> Any:
    return YAML(typ="safe").load(substituted(text, {"HOME": "/root", "X": "wrong"}))["spec"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("FOO $$BAR BAZ", "FOO $BAR BAZ"),
        ("$${BAR}", "${BAR}"),
        ("$$$BAR$$", "$bar$"),
        ("$BAR ${BAR}! ${NO:-x} $NO$_ $.", "bar bar! x $_ $."),
    ],
)
def test_the_stand_in_does_as_envsubst(written: str, read: str) -> None:
    assert substituted(written, {"BAR": "bar"}) == read


def test_a_dollar_comes_to_k0sctl_as_what_it_is(root: Path, file: Path, tmp_path: Path) -> None:
    handler = '[node.handlers.odd]\nbinary = "/opt/$HOME/crun"\n'
    (root / "etc/k0sruntime/config.toml").write_text(f"[node]\n{handler}")
    assert exported(root, "--into", str(file)) == 0
    worker = read_by_k0sctl(file.read_text())["hosts"][1]
    assert '"/opt/$HOME/crun"' in worker["files"][0]["data"]
    once = file.read_text()
    assert exported(root, "--into", str(file)) == 0
    assert file.read_text() == once
    copies = tmp_path / "$X copies"
    assert exported(root, "--into", str(file), "--files", str(copies)) == 0
    (entry,) = read_by_k0sctl(file.read_text())["hosts"][1]["files"]
    assert "$HOME" in (file.parent / entry["src"]).read_text()


def test_a_dollar_in_a_flag_reaches_k0s_and_goes_again(
    root: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    socket = ("--mode", "remote", "--cri-socket", "remote:unix:///run/$X.sock")
    assert exported(root, *socket) == 0
    printed = substituted(capsys.readouterr().out, {})
    assert YAML(typ="safe").load(printed)["installFlags"] == [
        "--cri-socket=remote:unix:///run/$X.sock"
    ]
    assert exported(root, *socket, "--into", str(file)) == 0
    worker = read_by_k0sctl(file.read_text())["hosts"][1]
    assert "--cri-socket=remote:unix:///run/$X.sock" in worker["installFlags"]
    assert "/run/$X.sock" in worker["hooks"]["apply"]["after"][0]
    once = file.read_text()
    assert exported(root, *socket, "--into", str(file)) == 0
    assert file.read_text() == once
    assert exported(root, "--into", str(file)) == 0
    assert "sock" not in file.read_text()


DOLLARS = st.text(st.sampled_from("$${}:-=_aX1 \"'\\\n#/"), max_size=12)
LINES = st.text(st.sampled_from("$${}:-_aX1 '#"), max_size=12)
VALUES = LINES | st.lists(LINES, max_size=2) | st.dictionaries(LINES, LINES, max_size=2)


ONE = "kind: Cluster\nspec:\n  hosts:\n    - role: worker\n      installFlags: [--debug]\n"


@settings(max_examples=25, deadline=None)
@given(LINES, DOLLARS, LINES, VALUES, st.booleans())
def test_wherever_a_dollar_stands_k0sctl_reads_what_was_meant(
    path: str, content: str, folder: str, value: Any, copied: bool
) -> None:
    upload = Upload(f"/etc/{path.replace('/', '')}.toml", content, "0644")
    values = {"cgroupDriver": "systemd", path: value}
    profile = KubeletProfile(name="docker", values=values)
    flags = (f"--cri-socket=remote:unix:///run/{path}.sock",)
    flags = tuple(f for f in flags if not k0sctl_flags.QUOTES.search(f) and len(f.split()) == 1)
    named = f"workerProfile={k0sctl.fingerprint('docker', values)}"
    mark = shlex.join((":", "k0sruntime", *flags, named))
    reset = f": k0sruntime; rm {shlex.quote(path)}"
    export = Export((upload,), (), flags, (f"{mark}; true",), (reset,), ())

    def source(_: Upload) -> str:
        return f"{folder}/x"

    try:
        text = k0sctl_file.merged(ONE, export, profile, "f", (), source if copied else None)
    except RefusedError:
        return  # YAML cannot say it
    spec = read_by_k0sctl(text)
    (worker,) = spec["hosts"]
    (entry,) = worker["files"]
    assert entry["name"] == f"k0sruntime: {upload.path}"
    assert f"{entry['dstDir']}/{entry['dst']}" == upload.path
    assert entry["src" if copied else "data"] == (f"{folder}/x" if copied else content)
    assert worker["installFlags"] == ["--debug", *flags]
    assert worker["hooks"]["apply"]["after"] == list(export.after)
    assert worker["hooks"]["reset"]["after"] == [reset]
    (found,) = spec["k0s"]["config"]["spec"]["workerProfiles"]
    assert found["values"] == values
    told: list[str] = []
    nothing = Export((), (), (), (": k0sruntime; true",), (), ())
    back = read_by_k0sctl(k0sctl_file.merged(text, nothing, None, "f", tell=told.append))
    assert told == []
    assert back["hosts"][0]["installFlags"] == ["--debug"]
    assert not back["k0s"]["config"]["spec"]["workerProfiles"]


FOREIGN = [
    ["--debug --cri-socket=remote:unix:///old.sock"],
    ["--cri-socket", "remote:unix:///old.sock"],
    ["'--cri-socket=\"remote:unix:///old.sock\"'"],
]


@pytest.mark.parametrize("items", FOREIGN, ids=" + ".join)
def test_files_for_a_host_with_a_cri_of_its_own_choice_are_told(
    root: Path, file: Path, capsys: pytest.CaptureFixture[str], items: list[str]
) -> None:
    file.write_text(with_flags(items))
    assert exported(root, "--into", str(file)) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "another hand" in line]
    assert [line.partition(":")[2].partition(": k0s runs")[0] for line in told] == [
        " host 2 (10.0.0.2) keeps --cri-socket=remote:unix:///old.sock of another hand"
    ]
    assert "no containerd of its own" in told[0]
    assert exported(root, "--into", str(file), "--host", "gpu-1") == 0
    assert "another hand" not in capsys.readouterr().err, "only hosts that are meant"


@pytest.mark.parametrize("items", [["--debug"], ["--cri-socket="], ["--cri-socketed=x"]])
def test_a_host_without_another_cri_is_not_told(
    root: Path, file: Path, capsys: pytest.CaptureFixture[str], items: list[str]
) -> None:
    file.write_text(with_flags(items))
    assert exported(root, "--into", str(file)) == 0
    assert "another hand" not in capsys.readouterr().err


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
    assert [read(entry["data"]) for entry in host.get("files") or []] == [
        u.content for u in uploads
    ]
    back = k0sctl_file.merged(result, Export((), (), (), (), (), ()), None, "f")
    hosts = YAML(typ="safe").load(back)["spec"]["hosts"]
    assert not any(host.get("files") for host in hosts)


def test_a_fleet_of_hosts_costs_as_much_as_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole file is parsed a few times, however many hosts it has."""
    read: list[int] = []
    parsed = yaml_text.parsed

    def counted(text: str) -> Any:
        read.append(len(text))
        return parsed(text)

    monkeypatch.setattr(yaml_text, "parsed", counted)
    hosts = [f"    - role: worker   # {n}\n      ssh: {{address: 10.0.1.{n}}}\n" for n in range(60)]
    text = CLUSTER.replace("  k0s:\n", "".join(hosts) + "  k0s:\n")
    result, told = merged(text, None)
    assert told == []
    spec = YAML(typ="safe").load(result)["spec"]
    assert all(host["hooks"]["apply"]["after"] for host in spec["hosts"][1:])
    assert spec["hosts"][62]["ssh"] == {"address": "10.0.1.59"}
    assert sum(read) < 4 * len(result)
