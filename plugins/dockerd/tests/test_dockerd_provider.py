"""cri-dockerd's socket: found, asked for, or a reason to rest."""

from __future__ import annotations

import pytest

from k0sruntime import Inactive
from k0sruntime.node import Paths
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_dockerd import provider
from k0sruntime_dockerd.provider import DockerdSettings

FOUND = MadeUpFiles(sockets=["/run/cri-dockerd.sock"])


def asked(hook, settings=None, files=FOUND, **facts):
    node = make_node("dockerd", settings or DockerdSettings(), files=files, **facts)
    return list(getattr(provider, hook)(node))


def test_a_socket_that_is_there_makes_docker_the_nodes_cri():
    (socket,) = asked("cri_socket")
    assert socket.url == "unix:///run/cri-dockerd.sock"


def test_the_profile_says_the_cgroup_driver():
    (profile,) = asked("kubelet_profile")
    assert (profile.name, profile.values) == ("systemd-docker-cri", {"cgroupDriver": "systemd"})


def test_the_operator_may_say_that_docker_uses_cgroupfs():
    (profile,) = asked("kubelet_profile", DockerdSettings(cgroup_driver="cgroupfs"))
    assert profile.values == {"cgroupDriver": "cgroupfs"}


@pytest.mark.parametrize(
    ("socket", "write"),
    [("unix:///srv/cri.sock", "such as /srv/cri.sock"), ("cri.sock", "such as /run/cri-dockerd")],
)
def test_a_socket_that_is_no_absolute_path_is_refused_with_what_to_write(socket, write):
    with pytest.raises(ValueError, match=write):
        DockerdSettings(socket=socket)


def test_an_empty_profile_name_means_none():
    assert asked("kubelet_profile", DockerdSettings(profile="")) == []


@pytest.mark.parametrize("hook", ["cri_socket", "kubelet_profile"])
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
def test_both_hooks_rest_for_the_same_reason(hook, settings, files, paths, reason):
    with pytest.raises(Inactive, match=reason):
        asked(hook, settings, files, paths=paths)


def test_it_is_active_without_a_socket_when_it_is_asked_for():
    (socket,) = asked("cri_socket", DockerdSettings(enabled="yes"), MadeUpFiles())
    assert socket.path == "/run/cri-dockerd.sock"
    (socket,) = asked("cri_socket", DockerdSettings(socket="/srv/cri.sock"), MadeUpFiles())
    assert socket.path == "/srv/cri.sock"


class Cri:
    """A made-up CRI that tells its name."""

    def __init__(self, name):
        self.name = name

    def runtime(self):
        return self.name, "1.0"


@pytest.mark.parametrize(("name", "verdict"), [("docker", "pass"), ("containerd", "fail")])
def test_the_check_sees_that_it_is_docker_that_answers(name, verdict):
    node = make_node("dockerd", DockerdSettings(), files=FOUND)
    (check,) = provider.post_start_check(node, Cri(name))
    assert check.verdict == verdict
