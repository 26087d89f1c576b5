"""cri-dockerd's socket: found, asked for, or a reason to rest."""

from __future__ import annotations

import pytest

from k0sruntime import Inactive, Refused, Version
from k0sruntime.node import OtherCRI, Program
from k0sruntime.paths import Paths
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_dockerd import found, provider
from k0sruntime_dockerd.settings import DockerdSettings, RuntimeSettings

FOUND = MadeUpFiles(sockets=["/run/cri-dockerd.sock"])


def asked(hook, settings=None, files=FOUND, **facts):
    node = make_node("dockerd", settings or DockerdSettings(), files=files, **facts)
    return list(getattr(provider, hook)(node))


def test_a_socket_that_is_there_makes_docker_the_nodes_cri():
    (socket,) = asked("cri_socket")
    assert socket.url == "unix:///run/cri-dockerd.sock"


@pytest.mark.parametrize(
    "other",
    [
        OtherCRI("unix:///run/cri-dockerd.sock"),
        OtherCRI("unix:///var/run/cri-dockerd.sock"),
        OtherCRI("unix:///srv/mine.sock", "dockerd"),
    ],
)
@pytest.mark.parametrize("hook", ["cri_socket", "contribute_dropin"])
def test_a_node_that_is_on_docker_stays_there_though_the_socket_is_away(other, hook):
    found = asked(hook, files=MadeUpFiles(), other_cri=other)
    assert [socket.url for socket in found] == ([other.url] if hook == "cri_socket" else [])
    with pytest.raises(Inactive):  # the operator's word
        asked(hook, DockerdSettings(enabled="no"), MadeUpFiles(), other_cri=other)


def test_the_cri_of_others_is_not_dockers():
    other = OtherCRI("unix:///run/crio/crio.sock")
    with pytest.raises(Inactive, match="no cri-dockerd socket"):
        asked("cri_socket", files=MadeUpFiles(), other_cri=other)


SYSTEMD = {"/run/systemd/system/x": ""}


@pytest.mark.parametrize(
    ("k0s", "files", "cgroups", "profile"),
    [
        ((1, 30, 1), SYSTEMD, 2, {"cgroupDriver": "systemd"}),
        (None, SYSTEMD, 2, {"cgroupDriver": "systemd"}),
        ((1, 31, 0), SYSTEMD, 2, None),  # the kubelet asks the CRI
        ((1, 30, 1), SYSTEMD, 1, None),  # Docker takes cgroupfs, as the kubelet does by itself
        ((1, 30, 1), {}, 2, None),
        (
            (1, 30, 1),
            {"/etc/docker/daemon.json": '{"exec-opts": ["native.cgroupdriver=systemd"]}'},
            1,
            {"cgroupDriver": "systemd"},
        ),
        (
            (1, 30, 1),
            {
                **SYSTEMD,
                "/lib/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/dockerd"
                " --exec-opt native.cgroupdriver=cgroupfs\n",
            },
            2,
            None,
        ),
        (
            (1, 30, 1),
            {**SYSTEMD, "/etc/docker/daemon.json": "{broken"},
            2,
            {"cgroupDriver": "systemd"},
        ),
    ],
)
def test_a_profile_comes_only_where_it_is_needed(k0s, files, cgroups, profile):
    known = Program("/usr/local/bin/k0s", Version(*k0s)) if k0s else None
    there = MadeUpFiles(files, sockets=["/run/cri-dockerd.sock"])
    found = asked("kubelet_profile", files=there, k0s=known, cgroups=cgroups)
    assert [p.values for p in found] == ([profile] if profile else [])
    assert [p.name for p in found] == (["systemd-docker-cri"] if profile else [])


def test_a_profile_comes_where_it_is_asked_for():
    (profile,) = asked("kubelet_profile", DockerdSettings(profile="mine", cgroup_driver="cgroupfs"))
    assert (profile.name, profile.values) == ("mine", {"cgroupDriver": "cgroupfs"})


@pytest.mark.parametrize(
    ("socket", "write"),
    [("unix:///srv/cri.sock", "such as /srv/cri.sock"), ("cri.sock", "such as /run/cri-dockerd")],
)
def test_a_socket_that_is_no_absolute_path_is_refused_with_what_to_write(socket, write):
    with pytest.raises(ValueError, match=write):
        DockerdSettings(socket=socket)


def test_an_empty_profile_name_means_none():
    assert asked("kubelet_profile", DockerdSettings(profile="")) == []


@pytest.mark.parametrize("hook", ["cri_socket", "kubelet_profile", "contribute_dropin"])
@pytest.mark.parametrize(
    ("settings", "files", "paths", "reason"),
    [
        (
            DockerdSettings(),
            MadeUpFiles(),
            Paths(),
            "no cri-dockerd socket at /run/cri-dockerd.sock",
        ),
        (DockerdSettings(enabled="no"), FOUND, Paths(), 'enabled = "no"'),
        (DockerdSettings(), FOUND, Paths.in_sandbox("/tmp/n"), "containerd of its own"),
    ],
)
def test_all_hooks_rest_for_the_same_reason(hook, settings, files, paths, reason):
    with pytest.raises(Inactive, match=reason):
        asked(hook, settings, files, paths=paths)


def test_it_is_active_without_a_socket_when_it_is_asked_for():
    (socket,) = asked("cri_socket", DockerdSettings(enabled="yes"), MadeUpFiles())
    assert socket.path == "/run/cri-dockerd.sock"
    (socket,) = asked("cri_socket", DockerdSettings(socket="/srv/cri.sock"), MadeUpFiles())
    assert socket.path == "/srv/cri.sock"


SOCKET_UNIT = "/lib/systemd/system/cri-docker.socket"
SERVICE = "/lib/systemd/system/cri-docker.service"


def test_the_socket_is_where_its_unit_says():
    files = MadeUpFiles(
        {SOCKET_UNIT: "[Socket]\nListenStream=%t/cri/d.sock\n"}, (), ["/run/cri/d.sock"]
    )
    (socket,) = asked("cri_socket", files=files)
    assert socket.path == "/run/cri/d.sock"


def test_a_drop_in_of_the_unit_counts_and_an_empty_line_takes_back():
    units = {
        SOCKET_UNIT: "[Socket]\nListenStream=%t/cri-dockerd.sock\n",
        "/etc/systemd/system/cri-docker.socket.d/50.conf": "[Socket]\nListenStream=\n"
        "ListenStream=/srv/cri.sock\n",
    }
    (socket,) = asked("cri_socket", DockerdSettings(enabled="yes"), MadeUpFiles(units))
    assert socket.path == "/srv/cri.sock"


def test_the_service_may_name_the_socket_and_dockers_as_well():
    command = "/usr/bin/cri-dockerd --container-runtime-endpoint unix:///srv/c.sock"
    unit = f"[Service]\nExecStart={command} --docker-endpoint=unix:///srv/d.sock\n"
    files = MadeUpFiles({SERVICE: unit}, ["/usr/bin/cri-dockerd"], ["/srv/c.sock"])
    (socket,) = asked("cri_socket", files=files)
    assert socket.path == "/srv/c.sock"
    node = make_node("dockerd", DockerdSettings(), files=files)
    assert found.docker_socket(node) == "/srv/d.sock"
    assert found.program(node) == "/usr/bin/cri-dockerd"


def test_a_socket_unit_that_nobody_enabled_is_a_reason_to_rest():
    files = MadeUpFiles({SOCKET_UNIT: "[Socket]\nListenStream=%t/cri-dockerd.sock\n"})
    with pytest.raises(Inactive, match=r"systemctl enable --now cri-docker\.socket"):
        asked("cri_socket", files=files)


CRUN = {"crun": RuntimeSettings(path="/usr/bin/crun", args=["--debug"])}
PROGRAMS = MadeUpFiles({}, ["/usr/bin/crun", "/usr/bin/dockerd"], ["/run/cri-dockerd.sock"])


def test_runtimes_become_keys_of_dockers_file_judged_by_docker():
    runsc = RuntimeSettings(runtime_type="io.containerd.runsc.v1", options={"TypeUrl": "x"})
    settings = DockerdSettings(runtimes={**CRUN, "runsc": runsc})
    (keys,) = asked("contribute_dropin", settings, PROGRAMS)
    assert keys.path == "/etc/docker/daemon.json"
    assert keys.keys == {
        "runtimes": {
            "crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]},
            "runsc": {"runtimeType": "io.containerd.runsc.v1", "options": {"TypeUrl": "x"}},
        }
    }
    assert list(keys.check) == ["/usr/bin/dockerd", "--validate", "--config-file={file}"]
    assert keys.reload == "dockerd:/var/run/docker.pid"
    assert asked("contribute_dropin") == []


@pytest.mark.parametrize(
    ("runtimes", "files", "facts", "told"),
    [
        ({"runc": CRUN["crun"]}, PROGRAMS, {}, "Docker's own"),
        (CRUN, FOUND, {}, "/usr/bin/crun is not there"),
        (CRUN, PROGRAMS, {"paths": Paths.in_sandbox("/tmp/n")}, "a sandbox does not edit"),
        (
            CRUN,
            MadeUpFiles(
                {
                    "/lib/systemd/system/docker.service": "[Service]\nExecStart=/d --add-runtime=a=b\n"
                },
                ["/usr/bin/crun"],
                ["/run/cri-dockerd.sock"],
            ),
            {},
            "does not start with runtimes in its file as well",
        ),
    ],
)
def test_runtimes_that_docker_would_not_live_with_are_refused(runtimes, files, facts, told):
    settings = DockerdSettings(enabled="yes", runtimes=runtimes)
    with pytest.raises(Refused, match=told):
        asked("contribute_dropin", settings, files, **facts)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"path": "/a", "runtime_type": "b"},
        {"path": "/a", "options": {"a": 1}},
        {"runtime_type": "b", "args": ["a"]},
    ],
)
def test_a_runtime_is_a_path_or_a_shim(keys):
    with pytest.raises(ValueError, match=r"path|runtime_type|options"):
        RuntimeSettings(**keys)


def test_a_sandbox_never_signals_the_machines_own_docker():
    crun = {"crun": RuntimeSettings(path="/usr/bin/crun")}
    files = MadeUpFiles(sockets=["/run/cri-dockerd.sock"], executables=["/usr/bin/crun"])

    def keys(pid_file="", **facts):
        settings = DockerdSettings(
            enabled="yes", runtimes=crun, daemon_json="/t/daemon.json", pid_file=pid_file
        )
        (found,) = asked("contribute_dropin", settings, files, **facts)
        return found

    sandbox = {"paths": Paths.in_sandbox("/t")}
    assert keys().reload == "dockerd:/var/run/docker.pid"
    assert keys(**sandbox).reload == ""
    assert keys("/t/docker.pid", **sandbox).reload == "dockerd:/t/docker.pid"
    with pytest.raises(Refused, match="does not signal this machine's own Docker"):
        keys("/run/docker.pid", **sandbox)
