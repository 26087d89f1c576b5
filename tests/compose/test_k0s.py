"""What k0s must be told: one socket, one profile, one command line."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from k0sruntime.compose import k0s
from k0sruntime.contributions import Contribution, CRISocket, KubeletProfile, Owner
from k0sruntime.errors import ConflictError

T = TypeVar("T")
SOCKET = CRISocket(url="unix:///run/cri-dockerd.sock")


def by(name: str, value: T) -> Contribution[T]:
    return Contribution(Owner(name, f"k0sruntime-{name}", "1.0", "hook"), value)


def profile(name: str, **values: Any) -> KubeletProfile:
    return KubeletProfile(name=name, values=values)


def test_no_provider_wants_a_socket() -> None:
    assert k0s.one_socket([]) is None


def test_two_providers_may_want_the_same_socket() -> None:
    found = k0s.one_socket([by("a", SOCKET), by("b", SOCKET)])
    assert found is not None
    assert found.value == SOCKET


def test_two_sockets_are_refused_and_both_sides_named() -> None:
    other = CRISocket(url="unix:///run/other.sock")
    with pytest.raises(ConflictError) as caught:
        k0s.one_socket([by("a", SOCKET), by("b", other)])
    (problem,) = caught.value.problems
    assert SOCKET.url in problem.message
    assert other.url in problem.message
    assert "k0sruntime-a 1.0" in problem.culprit
    assert "k0sruntime-b 1.0" in problem.culprit


def test_the_values_of_one_profile_come_together() -> None:
    found = k0s.one_profile([by("a", profile("p", x=1)), by("b", profile("p", y=[2], x=1))])
    assert found == profile("p", x=1, y=[2])


def test_no_provider_wants_a_profile() -> None:
    assert k0s.one_profile([]) is None


def test_two_names_for_the_profile_are_refused() -> None:
    with pytest.raises(ConflictError, match="two kubelet profiles: 'p' and 'q'"):
        k0s.one_profile([by("a", profile("p")), by("b", profile("q"))])


def test_two_values_of_one_key_are_refused_and_the_right_sides_named() -> None:
    parts = [by("a", profile("p")), by("b", profile("p", x=1)), by("c", profile("p", x=2))]
    with pytest.raises(ConflictError) as caught:
        k0s.one_profile(parts)
    (problem,) = caught.value.problems
    assert "k0sruntime-b" in problem.culprit
    assert "k0sruntime-c" in problem.culprit


def test_the_worker_flags_name_the_socket_as_remote() -> None:
    assert k0s.worker_flags(SOCKET, profile("docker")) == [
        "--cri-socket=remote:unix:///run/cri-dockerd.sock",
        "--profile=docker",
    ]
    assert k0s.worker_flags(None, None) == []


def test_there_is_a_command_line_for_workers_and_for_controllers_that_work() -> None:
    worker, controller = k0s.command_lines(["--profile=p"])
    assert worker.startswith("k0s install --force worker --profile=p")
    assert "--enable-worker --profile=p" in controller


def test_the_profile_fragment_is_the_same_for_the_same_values() -> None:
    fragment = k0s.profile_fragment(profile("p", b=True, a={"x": "y"}))
    assert fragment == (
        "spec:\n  workerProfiles:\n    - name: p\n      values:\n"
        '        a: {"x": "y"}\n        b: true\n'
    )
