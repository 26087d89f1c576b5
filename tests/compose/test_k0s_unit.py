"""How k0s is started, and the line that installs it anew with everything that it has."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime.compose import cri_flag, k0s, k0s_unit
from k0sruntime.contributions import CRISocket, KubeletProfile
from k0sruntime.node import K0sService, Version
from k0sruntime.node_provider import NodeSettings
from k0sruntime.testing import MadeUpFiles, make_node

WORKER = "/etc/systemd/system/k0sworker.service"
CONTROLLER = "/etc/systemd/system/k0scontroller.service"
SOCKET = CRISocket(url="unix:///run/cri-dockerd.sock")
PROFILE = KubeletProfile(name="mine", values={"cgroupDriver": "systemd"})


def node(files: dict[str, str], **facts: Any) -> Any:
    return make_node("node", NodeSettings(), files=MadeUpFiles(files), **facts)


def unit(command: str, more: str = "") -> str:
    return f"[Service]\n{more}ExecStart=/usr/local/bin/k0s {command}\n"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("worker", "k0s install --force worker --cri-socket=X"),
        (
            "worker --cri-socket remote:unix:///old.sock --debug",
            "k0s install --force worker --debug --cri-socket=X",
        ),
        (
            "worker --cri-socket=remote:unix:///old.sock --profile other --data-dir /d",
            "k0s install --force worker --profile other --data-dir /d --cri-socket=X",
        ),
        ('worker "--labels=a=b c"', "k0s install --force worker '--labels=a=b c' --cri-socket=X"),
    ],
)
def test_all_flags_but_the_socket_are_kept(command: str, line: str) -> None:
    told = k0s.told(node({WORKER: unit(command)}), SOCKET, None)
    assert told.lines[0] == "/usr/local/bin/" + line.replace("X", f"remote:{SOCKET.url}")
    assert told.lines[1] == "systemctl restart k0sworker"


def test_a_profile_takes_the_place_of_the_one_that_was_there() -> None:
    told = k0s.told(node({WORKER: unit("worker --profile=old -v")}), SOCKET, PROFILE)
    assert told.words[-3:] == ("-v", f"--cri-socket=remote:{SOCKET.url}", "--profile=mine")


def test_what_k0s_is_started_with_already_needs_no_line() -> None:
    command = f"worker --cri-socket=remote:{SOCKET.url} --profile=mine"
    told = k0s.told(node({WORKER: unit(command)}), SOCKET, PROFILE)
    assert told.done
    assert told.lines == ()


def test_back_to_its_own_containerd_the_others_profile_goes_with_the_socket() -> None:
    command = f"worker --profile=mine --cri-socket=remote:{SOCKET.url} -v"
    told = k0s.own_again(node({WORKER: unit(command)}), "managed", None, "mine")
    assert told.words[2:] == ("--force", "worker", "-v")
    told = k0s.own_again(node({WORKER: unit(command)}), "managed", None, "another")
    assert told.words[2:] == ("--force", "worker", "--profile=mine", "-v")


def test_the_profile_that_was_there_before_comes_back() -> None:
    command = f"worker --profile=mine --cri-socket=remote:{SOCKET.url} -v"
    told = k0s.own_again(node({WORKER: unit(command)}), "managed", None, "mine", "gpu-nodes")
    assert told.words[2:] == ("--force", "worker", "-v", "--profile=gpu-nodes")
    assert told.profile == "gpu-nodes"


def test_that_a_profile_is_replaced_is_told_with_what_keeps_it() -> None:
    (note,) = k0s.told(node({WORKER: unit("worker --profile=gpu-nodes")}), SOCKET, PROFILE).notes
    assert "--profile=mine replaces --profile=gpu-nodes" in note
    assert "put cgroupDriver: systemd into gpu-nodes" in note
    assert not k0s.told(node({WORKER: unit("worker --profile=mine")}), SOCKET, PROFILE).notes
    assert not k0s.told(node({WORKER: unit("worker")}), SOCKET, PROFILE).notes


def test_a_k0s_that_never_left_its_containerd_is_told_nothing() -> None:
    assert k0s.own_again(node({WORKER: unit("worker")}), "managed", None, "").lines == ()
    assert k0s.own_again(node({}), "managed", None, "").lines == ()


def test_standalone_is_a_remote_socket_to_k0s_as_well() -> None:
    there = unit("worker --cri-socket=remote:unix:///run/k0s/containerd.sock")
    assert k0s.own_again(node({WORKER: there}), "standalone", None, "").lines == ()
    there = unit("worker --cri-socket=remote:unix:///run/cri-dockerd.sock")
    told = k0s.own_again(node({WORKER: there}), "standalone", None, "")
    assert told.words[-1] == "--cri-socket=remote:unix:///run/k0s/containerd.sock"


def test_a_controller_without_a_kubelet_is_told_so() -> None:
    assert not k0s.told(node({CONTROLLER: unit("controller --single")}), SOCKET, None).notes
    (note,) = k0s.told(node({CONTROLLER: unit("controller")}), SOCKET, None).notes
    assert "runs no kubelet" in note


def test_a_socket_that_k0s_does_not_take_is_told_in_its_own_words() -> None:
    told = k0s.told(node({WORKER: unit("worker --cri-socket=docker:unix:///a")}), SOCKET, None)
    assert 'unknown runtime type "docker", only "remote" is supported' in told.notes[0]


def test_variables_of_drop_ins_stay_where_they_are() -> None:
    files = {
        WORKER: unit("worker", 'Environment="A=1" B=2\n'),
        f"{WORKER}.d/x.conf": "[Service]\nEnvironment=C=3\n",
    }
    words = k0s.told(node(files), SOCKET, None).words
    assert words[3:7] == ("-e", "A=1", "-e", "B=2")
    assert "C=3" not in words


def test_without_a_unit_the_k0s_that_runs_tells_its_flags() -> None:
    service = K0sService(Version(1, 36), 7, "worker", ("/bin/k0s", "worker", "--token-file=/t"))
    told = k0s.told(node({}, k0s_service=service), SOCKET, None)
    assert told.lines == (
        f"/bin/k0s install --force worker --token-file=/t --cri-socket=remote:{SOCKET.url}",
    )


def test_secrets_are_masked_on_the_screen_and_not_in_the_command() -> None:
    token = "H4sI" + "a" * 200
    files = {WORKER: unit(f"worker {token}", 'Environment="P=http://u:pw@p:1" K0S_TOKEN=s\n')}
    told = k0s.told(node(files), SOCKET, None)
    assert token in told.words
    assert token not in told.lines[0]
    assert "pw" not in told.lines[0]
    assert "K0S_TOKEN=****" in told.lines[0]


def test_what_counts_no_more_is_said() -> None:
    files = {"/var/lib/k0s/images/a.tar": "", "/etc/k0s/containerd.d/x.toml": ""}
    notes = k0s.told(node(files), SOCKET, None, dropins=["x.toml"]).notes
    assert "imports no image bundles: /var/lib/k0s/images has a.tar" in notes[0]
    assert "drop-ins count for nothing then: /etc/k0s/containerd.d has x.toml" in notes[1]


def test_k0ss_own_order_of_roles_counts_where_both_are_installed() -> None:
    both = {WORKER: unit("worker"), CONTROLLER: unit("controller --enable-worker")}
    found = k0s_unit.find(node(both))
    assert found is not None
    assert found.role == "controller"


SCRIPT = "/etc/init.d/k0sworker"
OPENRC = "command=/usr/local/bin/k0s\ncommand_args=\"'worker' '--debug' {more}\"\n"


@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ("", "command_args_foreground='--cri-socket=remote:unix:///a.sock -v'\n"),
        ("${K0S_EXTRA_ARGS}", 'K0S_EXTRA_ARGS="--cri-socket=remote:unix:///a.sock -v"\n'),
    ],
)
def test_flags_of_openrcs_conf_d_count_and_stay_there(more: str, settings: str) -> None:
    files = {SCRIPT: OPENRC.format(more=more), "/etc/conf.d/k0sworker": settings}
    found = k0s_unit.find(node(files))
    assert found is not None
    assert found.flag("--cri-socket") == "remote:unix:///a.sock"
    assert found.flags == ("--debug",)
    told = k0s.told(node(files), SOCKET, None)
    assert told.words[2:] == ("--force", "worker", "--debug", f"--cri-socket=remote:{SOCKET.url}")
    assert any(note.startswith("/etc/conf.d/k0sworker adds --cri-socket") for note in told.notes)
    assert found.overridden_by == "/etc/conf.d/k0sworker"


def test_other_settings_of_conf_d_are_in_nobodys_way() -> None:
    files = {SCRIPT: OPENRC.format(more=""), "/etc/conf.d/k0sworker": 'rc_ulimit="-n 1"\n'}
    told = k0s.told(node(files), SOCKET, None)
    assert told.notes == ()
    assert told.service is not None
    assert not told.service.overridden_by


def test_what_a_service_lacks_of_its_command_is_found_though_k0s_spells_it_anew() -> None:
    words = ["k0s", "install", "--force", "-e", "A=1", "worker", "--debug", "--token-file", "t"]
    words += ["--cri-socket=remote:unix:///a", "--profile=p"]

    def lost(flags: str, more: str = 'Environment="A=1"\n') -> list[str]:
        found = k0s_unit.find(node({WORKER: unit(f"worker {flags}", more)}))
        assert found is not None
        return k0s_unit.lost(words, found)

    same = "--cri-socket=remote:unix:///a --debug=true --profile=p --token-file=/etc/k0s/t"
    assert lost(same) == []
    assert lost(same, "") == ["A=1"]
    assert lost(same.replace("--debug=true ", "")) == ["--debug"]
    assert lost(same.replace("unix:///a", "unix:///b")) == ["--cri-socket=remote:unix:///a"]
    assert lost(same.replace("--profile=p", "--profile=q")) == ["--profile=p"]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("", "/run/k0s/containerd.sock"),
        ("remote:unix:///var/run/k0s/containerd.sock", "/run/k0s/containerd.sock"),
        ("remote:unix:///run/cri%2Ddockerd.sock?x=1", "/run/cri-dockerd.sock"),
        ("remote:/run/a.sock", "/run/a.sock"),
        ("remote:tcp://a:1", ""),
        ("remote:", ""),
        ("docker:unix:///a", ""),
    ],
)
def test_a_kubelet_dials_the_path_of_the_url(value: str, path: str) -> None:
    flag = f"--cri-socket={value}" if value else ""
    found = k0s_unit.find(node({WORKER: unit(f"worker {flag}")}))
    assert found is not None
    assert found.cri(make_node("node", NodeSettings()).paths) == path


def test_a_flag_without_a_url_is_no_cri_at_all() -> None:
    told = k0s.told(node({WORKER: unit("worker --cri-socket=remote:")}), SOCKET, None)
    assert "starts no containerd, and gives its kubelet no endpoint" in told.notes[0]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("remote:", "it names no socket, and the kubelet would have none: k0s takes it"),
        ("remote:/run/x.sock", "k0s takes it; k0sruntime wants remote:unix:///an/absolute/path"),
        ("remote:unix:/run/x", "k0s takes it; k0sruntime wants"),
        ("remote:npipe:////./pipe/x", "k0s takes it; k0sruntime wants"),
        ("remote:unix:///x?y=1", "leaves out what follows the question mark: k0s takes it"),
        ("unix:///x", 'unknown runtime type "unix", only "remote" is supported'),
        ("remote:unix:///x#y", "without ? # or %"),
        ("remote:unix:///x%20y", "without ? # or %"),
    ],
)
def test_what_k0s_takes_and_we_do_not_is_refused_as_our_own_rule(value: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"cri_socket|CRI socket") as refused:
        NodeSettings(cri_socket=value)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", ""),
        ("remote:unix:///run/cri.sock", "unix:///run/cri.sock"),
        ("remote:/run/cri.sock", "/run/cri.sock"),
        ("remote:npipe:////./pipe/x", "npipe:////./pipe/x"),
        ("remote:", ""),
    ],
)
def test_a_cri_socket_is_split_at_its_first_colon(value: str, url: str) -> None:
    assert cri_flag.endpoint(value) == url


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("remote", "CRI socket flag must be of the form <type>:<url>"),
        ("/run/cri.sock", "CRI socket flag must be of the form <type>:<url>"),
        ("unix:///run/cri.sock", 'unknown runtime type "unix", only "remote" is supported'),
        ("docker:unix:///d", 'unknown runtime type "docker", only "remote" is supported'),
        (":unix:///d", 'unknown runtime type "", only "remote" is supported'),
        ("remote:u<nix:///foo", 'failed to parse runtime endpoint: parse "u<nix:///foo": '),
        ("remote:unix://a b", 'failed to parse runtime endpoint: parse "unix://a b": '),
        ("remote:%zz", 'failed to parse runtime endpoint: parse "%zz": '),
    ],
)
def test_what_k0s_does_not_take_is_refused_in_its_own_words(value: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("<", ".").replace("(", ".")):
        cri_flag.endpoint(value)


def test_the_services_own_flags_are_read_in_both_spellings() -> None:
    found = k0s_unit.find(node({WORKER: unit("worker --profile a --profile=b --cri-socket c")}))
    assert found is not None
    assert (found.flag("--profile"), found.flag("--cri-socket"), found.flag("-x")) == ("b", "c", "")
