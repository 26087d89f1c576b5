"""runsc found, configured, and recognised from inside."""

from __future__ import annotations

import pytest

from k0sruntime import ConfigFile, Inactive, RuntimeHandler
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_gvisor import provider
from k0sruntime_gvisor.provider import GVisorSettings, is_gvisor

SHIM = "containerd-shim-runsc-v1"
BOTH = MadeUpFiles(executables=["/usr/local/bin/runsc", f"/usr/local/bin/{SHIM}"])


def contributed(settings=None, files=BOTH, **facts):
    node = make_node("gvisor", settings or GVisorSettings(), files=files, **facts)
    return list(provider.contribute_dropin(node))


def handler(parts):
    (found,) = [part for part in parts if isinstance(part, RuntimeHandler)]
    return found


def test_the_handler_is_that_of_the_documentation():
    found = handler(contributed())
    assert (found.name, found.runtime_type) == ("runsc", "io.containerd.runsc.v1")
    assert found.runtime_class == "gvisor"
    assert found.runtime_path == ""
    assert found.options == {}
    assert list(found.programs) == ["/usr/local/bin/runsc", f"/usr/local/bin/{SHIM}"]


@pytest.mark.parametrize("missing", ["runsc", SHIM])
def test_it_rests_where_a_program_is_missing_and_names_it(missing):
    files = MadeUpFiles(executables=[p for p in BOTH.executables if not p.endswith(f"/{missing}")])
    with pytest.raises(Inactive, match=f"no {missing}"):
        contributed(files=files)


def test_a_shim_outside_of_containerds_path_is_named_in_full():
    files = MadeUpFiles(executables=["/usr/bin/runsc", f"/opt/gvisor/bin/{SHIM}"])
    assert handler(contributed(files=files)).runtime_path == f"/opt/gvisor/bin/{SHIM}"


def test_k0s_own_folder_comes_before_the_path():
    files = MadeUpFiles(executables=[*BOTH.executables, "/var/lib/k0s/bin/runsc"])
    assert "/var/lib/k0s/bin/runsc" in handler(contributed(files=files)).programs


def test_options_go_to_a_file_as_quoted_strings_and_the_handler_points_at_it():
    parts = contributed(GVisorSettings(options={"platform": "kvm", "debug-log": '/a"b/'}))
    (file,) = [part for part in parts if isinstance(part, ConfigFile)]
    assert file.content == '[runsc_config]\ndebug-log = "/a\\"b/"\nplatform = "kvm"\n'
    assert handler(parts).options == {
        "TypeUrl": "io.containerd.runsc.v1.options",
        "ConfigPath": "/etc/k0s/k0sruntime/gvisor/runsc.toml",
    }


@pytest.mark.parametrize(
    ("uname", "is_one"),
    [
        ("Linux h 4.19.0-gvisor #1 SMP Sun Jan 10 15:06:54 PST 2016 x86_64", True),
        ("Linux h 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016 x86_64 GNU/Linux", True),
        ("Linux h 6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1", False),
        ("Linux h 4.4.0 #1 SMP Tue Mar 1 10:00:00 UTC 2016 x86_64", False),
    ],
)
def test_gvisors_kernel_is_recognised_in_all_its_releases(uname, is_one):
    assert is_gvisor(uname) is is_one


class Cri:
    """A made-up CRI that answers one command."""

    def __init__(self, said):
        self.said = said

    def has_image(self, image):
        return image == "busybox"

    def run_in_sandbox(self, handler, image, command):
        assert (handler, image, command) == ("runsc", "busybox", ["uname", "-a"])
        return self.said


@pytest.mark.parametrize(
    ("image", "said", "verdict"),
    [
        ("busybox", "Linux x 4.19.0-gvisor", "pass"),
        ("busybox", "Linux x 6.1.0", "fail"),
        ("", "", "unknown"),
        ("not-at-hand", "", "unknown"),
    ],
)
def test_the_check_looks_from_inside_or_says_why_it_cannot(image, said, verdict):
    node = make_node("gvisor", GVisorSettings(probe_image=image), files=BOTH)
    (check,) = provider.post_start_check(node, Cri(said))
    assert check.verdict == verdict
