"""What is said of a Docker and a cri-dockerd, for answers that are made up here."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from k0sruntime import CRIError
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_dockerd import checks, docker_api
from k0sruntime_dockerd.docker_api import DockerError, Info
from k0sruntime_dockerd.settings import DockerdSettings, RuntimeSettings

CRUN = {"crun": RuntimeSettings(path="/usr/bin/crun")}


class Cri:
    """A made-up CRI."""

    def __init__(self, name="docker", image=True, handlers=(), config=None):
        self.name, self.image, self._handlers = name, image, handlers
        self._config = {"sandboxImage": "pause:3"} if config is None else config

    def runtime(self):
        return self.name, "28.5.2"

    def config(self):
        return self._config

    def handlers(self):
        return self._handlers

    def has_image(self, image):
        if isinstance(self.image, Exception):
            raise self.image
        return self.image


def info(**more):
    known = {
        "version": "28.5.2",
        "api": "1.51",
        "least_api": "1.24",
        "cgroup_driver": "systemd",
        "log_driver": "json-file",
        "runtimes": ("runc",),
    }
    return Info(**{**known, **more})


@pytest.fixture
def answers(monkeypatch, tmp_path):
    """Let Docker and cri-dockerd answer as a test says."""

    def say(found, version="0.3.17", cri=None, settings=None, files=None):
        program = tmp_path / "cri-dockerd"
        program.write_text(f"#!/bin/sh\necho 'cri-dockerd {version} (abc1234)'\n")
        program.chmod(0o755)
        monkeypatch.setattr(docker_api, "info", lambda path: found)
        chosen = settings or {}
        node = make_node(
            "dockerd",
            DockerdSettings(cri_dockerd=str(program), **chosen),
            files=files or MadeUpFiles(),
        )
        return {check.name: check for check in checks.of(node, cri or Cri())}

    return say


def test_everything_is_well(answers):
    said = answers(info())
    assert {check.verdict for check in said.values()} == {"pass"}
    assert said["the runtime is docker"].detail == "docker://28.5.2"
    assert said["docker"].cgroup_driver == "systemd"
    assert said["cri-dockerd's version"].detail == "0.3.17"


@pytest.mark.parametrize(
    ("version", "least", "runtimes", "verdict", "why"),
    [
        ("0.3.15", "1.44", {}, "fail", "its client is older than API 1.44"),
        ("0.3.15", "1.24", {}, "pass", "does not tell the kubelet"),
        ("0.3.16", "1.44", {}, "pass", "does not tell the kubelet"),
        ("0.3.17", "1.44", {}, "pass", ""),
        ("0.4.2", "1.44", {}, "pass", "without runtime handlers"),
        ("0.4.2", "1.44", CRUN, "fail", "it lost runtime handlers"),
        ("0.4.3", "1.44", CRUN, "fail", "it lost runtime handlers"),
        ("0.3.21", "1.44", CRUN, "fail", "it does not know runtime handlers"),
        ("0.4.1", "1.44", CRUN, "pass", ""),
    ],
)
def test_known_bad_versions_of_cri_dockerd_are_told(
    answers, version, least, runtimes, verdict, why
):
    found = info(least_api=least, runtimes=("crun", "runc"))
    cri = Cri(handlers=("crun", "runc") if version == "0.4.1" else ())
    check = answers(found, version, cri, {"runtimes": runtimes})["cri-dockerd's version"]
    assert check.verdict == verdict
    assert why in check.detail


def test_what_the_cri_serves_counts_more_than_a_list_of_versions(answers):
    found = info(runtimes=("crun", "runc"))
    said = answers(found, "0.5.0", Cri(handlers=("crun", "runc")), {"runtimes": CRUN})
    assert said["cri-dockerd's version"].verdict == "pass"


def test_a_program_that_is_not_there_is_unknown(monkeypatch):
    monkeypatch.setattr(docker_api, "info", lambda path: info())
    node = make_node("dockerd", DockerdSettings(cri_dockerd="/nowhere/cri-dockerd"))
    said = {check.name: check for check in checks.of(node, Cri())}
    assert said["cri-dockerd's version"].verdict == "unknown"


@pytest.mark.parametrize(
    ("cri", "verdict", "detail"),
    [
        (Cri(), "pass", "pause:3 is at hand"),
        (Cri(image=False), "warn", "pause:3 is not at hand"),
        (Cri(config={}), "unknown", "does not tell"),
        (Cri(image=CRIError("UNKNOWN", "no")), "unknown", "pause:3: no"),
    ],
)
def test_the_pause_image_is_cri_dockerds_own(answers, cri, verdict, detail):
    check = answers(info(), cri=cri)["pause image"]
    assert (check.verdict, detail in check.detail) == (verdict, True)


def test_another_log_driver_a_rootless_docker_and_another_runtime_are_told(answers):
    found = info(log_driver="journald", options=("name=seccomp", "name=rootless"))
    said = answers(found, cri=Cri("containerd"))
    assert said["log driver"].verdict == "warn"
    assert said["Docker is root's"].verdict == "fail"
    assert said["the runtime is docker"].verdict == "fail"


def test_two_dockers_on_one_machine_are_told(answers):
    said = answers(info(version="27.0.1"))["Docker answers its API"]
    assert said.verdict == "warn"
    assert "cri-dockerd is connected to 28.5.2" in said.detail


def test_the_containers_of_pods_are_listed_as_docker_shows_them(answers):
    pods = tuple(f"default/web-{number}/nginx" for number in range(5))
    check = answers(info(pods=pods))["containers of pods in Docker"]
    assert check.detail.startswith("5: default/web-0/nginx")
    assert check.detail.endswith("and 2 more")


def test_image_bundles_that_k0s_does_not_import_are_told(answers):
    files = MadeUpFiles({"/var/lib/k0s/images/a.tar": "", "/var/lib/k0s/images/note.txt": ""})
    check = answers(info(), files=files)["image bundles"]
    assert check.verdict == "warn"
    assert check.remedy == "k0sruntime-dockerd import-images"
    assert "a.tar from" in check.detail


@pytest.mark.parametrize(
    ("listed", "served", "verdict", "detail"),
    [
        (("crun",), ("crun",), "pass", "cri-dockerd serves it"),
        (("crun",), (), "fail", "does not serve it"),
        ((), (), "fail", "Docker does not list it"),
    ],
)
def test_a_runtime_is_listed_by_docker_and_served_by_cri_dockerd(
    answers, monkeypatch, listed, served, verdict, detail
):
    monkeypatch.setattr(checks, "RELOAD_SECONDS", 0.0)
    said = answers(info(runtimes=listed), "0.4.1", Cri(handlers=served), {"runtimes": CRUN})
    check = said["runtime crun"]
    assert (check.verdict, detail in check.detail) == (verdict, True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "Docker listens, and gives no answer"),
        (b"HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n", "Docker's API does not answer"),
        (b"SSH-2.0\r\n", "Docker's API does not answer"),
    ],
)
def test_a_docker_that_does_not_answer_says_how(tmp_path, answer, told):
    path = tmp_path / "d.sock"
    kept = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                    kept.append(client)
                    if answer is not None:
                        with contextlib.suppress(OSError):
                            client.sendall(answer)
                        client.close()
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(DockerError, match=told), docker_api.connected(str(path), 1):
            pass
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in kept:
            client.close()


def test_a_socket_that_is_not_there_says_so(tmp_path):
    with (
        pytest.raises(DockerError, match="there is no such socket"),
        docker_api.connected(str(tmp_path / "none.sock")),
    ):
        pass
