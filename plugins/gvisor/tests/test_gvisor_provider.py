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
    with pytest.raises(Inactive, match=f"no {missing} on PATH.*/opt/gvisor/bin; gvisor.dev"):
        contributed(files=files)


def test_a_shim_outside_of_containerds_path_is_named_in_full():
    files = MadeUpFiles(executables=["/usr/bin/runsc", f"/opt/gvisor/bin/{SHIM}"])
    assert handler(contributed(files=files)).runtime_path == f"/opt/gvisor/bin/{SHIM}"


def test_a_shim_that_another_one_hides_is_named_in_full():
    shim = f"/usr/bin/{SHIM}"
    files = MadeUpFiles(executables=[*BOTH.executables, shim])
    assert handler(contributed(GVisorSettings(shim=shim), files)).runtime_path == shim


@pytest.mark.parametrize(
    ("settings", "executables"),
    [
        (GVisorSettings(), ["/opt/gvisor/bin/runsc", f"/usr/local/bin/{SHIM}"]),
        (GVisorSettings(runsc="/opt/gvisor/bin/runsc"), BOTH.executables),
    ],
)
def test_the_shim_is_told_of_a_runsc_that_it_would_not_find_by_itself(settings, executables):
    parts = contributed(settings, MadeUpFiles(executables=executables))
    (file,) = [part for part in parts if isinstance(part, ConfigFile)]
    assert file.content == 'binary_name = "/opt/gvisor/bin/runsc"\n\n[runsc_config]\n'
    assert handler(parts).options["ConfigPath"] == "/etc/k0s/k0sruntime/gvisor/runsc.toml"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"runsc": "bin/runsc"}, "runsc = 'bin/runsc' must be an absolute path"),
        ({"shim": SHIM}, "shim = .* must be an absolute path"),
        ({"options": {"--platform": "kvm"}}, "'--platform' is no flag of runsc"),
        ({"options": {"a.b": "c"}}, "'a.b' is no flag of runsc"),
    ],
)
def test_settings_that_runsc_could_not_use_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        GVisorSettings(**wrong)


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


def test_a_value_with_control_characters_stays_one_toml_string():
    (file, *_) = contributed(GVisorSettings(options={"debug-log": "/a\n\x7fé/"}))
    assert file.content == '[runsc_config]\ndebug-log = "/a\\n\\u007fé/"\n'


@pytest.mark.parametrize(
    ("uname", "is_one"),
    [
        ("4.19.0-gvisor #1 SMP Sun Jan 10 15:06:54 PST 2016", True),
        ("4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016", True),
        ("6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1", False),
        ("4.4.0 #1 SMP Tue Mar 1 10:00:00 UTC 2016", False),
        ("6.1.0 #1 SMP built on gvisor-1", False),
        ("", False),
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
        assert (handler, image, command) == ("runsc", "busybox", ["uname", "-r", "-v"])
        return self.said


@pytest.mark.parametrize(
    ("image", "said", "verdict"),
    [
        ("busybox", "4.19.0-gvisor #1 SMP\n", "pass"),
        ("busybox", "6.1.0 #1 SMP\n", "fail"),
        ("", "", "unknown"),
        ("not-at-hand", "", "unknown"),
    ],
)
def test_the_check_looks_from_inside_or_says_why_it_cannot(image, said, verdict):
    node = make_node("gvisor", GVisorSettings(probe_image=image), files=BOTH)
    (check,) = provider.post_start_check(node, Cri(said))
    assert check.verdict == verdict
