"""The provider on made-up nodes; the conformance kit does the rest."""

from __future__ import annotations

import pytest
from k0sruntime_crun import CrunSettings, provider

from k0sruntime import CRIError, Inactive
from k0sruntime.testing import LINES, MadeUpCRI, compose, make_node


def node(*, binaries=("crun",), line="1.36", probe_image="", **settings):
    found = CrunSettings(**settings)
    return make_node("crun", found, binaries=binaries, line=line, probe_image=probe_image)


def test_the_program_on_the_node_gives_the_handler():
    _, handler = provider.contribute_dropin(node())
    assert handler.name == "crun"
    assert handler.options == {"BinaryName": "/usr/bin/crun"}


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_k0s_and_containerd_gets_the_handler(line):
    composed = compose(provider, node(line=line))
    assert "crun" in {handler.name for handler in composed.handlers}


def test_without_the_program_it_rests_and_says_why():
    with pytest.raises(Inactive, match="no crun on the node's PATH"):
        list(provider.contribute_dropin(node(binaries=())))


def test_a_path_that_is_not_absolute_is_refused():
    with pytest.raises(ValueError, match="absolute"):
        CrunSettings(binary="bin/crun")


def test_what_a_container_says_is_the_proof():
    cri = MadeUpCRI(says="Linux 6.12")
    (check,) = provider.post_start_check(node(probe_image="probe:1"), cri)
    assert (check.verdict, check.detail) == ("pass", "Linux 6.12")


def test_a_container_that_does_not_run_fails_the_proof():
    cri = MadeUpCRI(fails=CRIError("UNKNOWN", "no such runtime"))
    (check,) = provider.post_start_check(node(probe_image="probe:1"), cri)
    assert check.verdict == "fail"
    assert "no such runtime" in check.detail
