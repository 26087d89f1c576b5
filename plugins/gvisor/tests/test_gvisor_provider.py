"""runsc found or released, configured, and recognised from inside."""

from __future__ import annotations

import pytest
import rtoml

from k0sruntime import (
    Binary,
    Check,
    ConfigFile,
    CRIError,
    Inactive,
    Problem,
    Refused,
    RuntimeHandler,
)
from k0sruntime.node import Program, Version
from k0sruntime.testing import MadeUpFiles, make_node
from k0sruntime_gvisor import provider
from k0sruntime_gvisor.provider import is_gvisor
from k0sruntime_gvisor.settings import GVisorSettings, HandlerSettings, ReleaseSettings

SHIM = "containerd-shim-runsc-v1"
RUNSC = "/usr/local/bin/runsc"
BOTH = MadeUpFiles(executables=[RUNSC, f"/usr/local/bin/{SHIM}"])
RELEASED = "/var/lib/k0sruntime/bin/gvisor"


def contributed(settings=None, files=BOTH, **facts):
    node = make_node("gvisor", settings or GVisorSettings(), files=files, **facts)
    return list(provider.contribute_dropin(node))


def the(kind, parts):
    (found,) = [part for part in parts if isinstance(part, kind)]
    return found


def handlers(parts):
    return {part.name: part for part in parts if isinstance(part, RuntimeHandler)}


def file(parts, name="runsc.toml"):
    (found,) = [p for p in parts if isinstance(p, ConfigFile) and p.name == name]
    return rtoml.loads(found.content)


def refused(*arguments, **facts) -> list[Problem]:
    with pytest.raises(Refused) as raised:
        contributed(*arguments, **facts)
    return list(raised.value.problems)


# -- the handler ------------------------------------------------------------------------------------


def test_the_handler_is_that_of_the_documentation():
    found = the(RuntimeHandler, contributed())
    assert (found.name, found.runtime_type) == ("runsc", "io.containerd.runsc.v1")
    assert found.runtime_class == "gvisor"
    assert found.runtime_path == ""
    assert found.options == {
        "TypeUrl": "io.containerd.runsc.v1.options",
        "ConfigPath": "/etc/k0s/k0sruntime/gvisor/runsc.toml",
    }
    assert list(found.programs) == [RUNSC, f"/usr/local/bin/{SHIM}"]


def test_its_name_can_be_set_and_its_file_goes_with_it():
    found = the(RuntimeHandler, contributed(GVisorSettings(handler="gvisor")))
    assert found.name == "gvisor"
    assert found.options["ConfigPath"] == "/etc/k0s/k0sruntime/gvisor/gvisor.toml"


def test_several_handlers_have_options_of_their_own_and_share_the_others():
    settings = GVisorSettings(
        network="host",
        options={"net-disconnect-ok": "true"},
        handlers={
            "runsc-kvm": HandlerSettings(platform="kvm", runtime_class="gvisor-kvm"),
            "runsc-none": HandlerSettings(network="none", options={"net-disconnect-ok": "false"}),
        },
    )
    parts = contributed(settings)
    assert {name: h.runtime_class for name, h in handlers(parts).items()} == {
        "runsc": "gvisor",
        "runsc-kvm": "gvisor-kvm",
        "runsc-none": "",
    }
    shared = {"network": "host", "net-disconnect-ok": "true"}
    assert file(parts)["runsc_config"] == shared
    assert file(parts, "runsc-kvm.toml")["runsc_config"] == {**shared, "platform": "kvm"}
    own = {"network": "none", "net-disconnect-ok": "false"}
    assert file(parts, "runsc-none.toml")["runsc_config"] == own


def test_overhead_and_scheduling_go_to_the_runtime_class():
    settings = GVisorSettings(
        overhead={"memory": "64Mi"},
        node_selector={"sandboxed": "true"},
        tolerations=[{"key": "sandboxed", "operator": "Exists"}],
    )
    found = the(RuntimeHandler, contributed(settings))
    assert found.overhead == {"memory": "64Mi"}
    assert found.scheduling == {
        "nodeSelector": {"sandboxed": "true"},
        "tolerations": [{"key": "sandboxed", "operator": "Exists"}],
    }


# -- runsc.toml -------------------------------------------------------------------------------------


def test_every_flag_is_a_quoted_string_whatever_its_type():
    settings = GVisorSettings(
        platform="systrap",
        overlay2="root:self,size=2g",
        debug_log="/var/log/runsc",
        strace=True,
        net_raw=False,
        nvproxy=True,
        host_settings="check",
        options={"fdlimit": '1"0'},
    )
    flags = file(contributed(settings))["runsc_config"]
    assert flags == {
        "platform": "systrap",
        "overlay2": "root:self,size=2g",
        "debug": "true",
        "debug-log": "/var/log/runsc/",
        "strace": "true",
        "net-raw": "false",
        "nvproxy": "true",
        "host-settings": "check",
        "fdlimit": '1"0',
    }


def test_a_log_with_a_name_of_its_own_stays_as_it_is():
    flags = file(contributed(GVisorSettings(debug_log="/l/%ID%.%COMMAND%")))["runsc_config"]
    assert flags["debug-log"] == "/l/%ID%.%COMMAND%"


def test_a_value_with_control_characters_stays_one_toml_string():
    parts = contributed(GVisorSettings(options={"log": "/a\n\x7fé/"}))
    assert the(ConfigFile, parts).content == '[runsc_config]\nlog = "/a\\n\\u007fé/"\n'


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"runsc": "bin/runsc"}, "runsc = 'bin/runsc' must be an absolute path"),
        ({"shim": SHIM}, "shim = .* must be an absolute path"),
        ({"options": {"--fdlimit": "1"}}, "'--fdlimit' is no flag of runsc"),
        ({"options": {"a.b": "c"}}, "'a.b' is no flag of runsc"),
        ({"options": {"platform": "kvm"}}, "write platform = … beside options"),
        ({"options": {"host-uds": "all"}}, "write host_uds = … beside options"),
        ({"overlay2": "all"}, "overlay2 = 'all' must be none"),
        ({"overlay2": "root:dir=relative"}, "overlay2"),
        ({"debug_log": "logs/"}, "debug_log = 'logs/' must be an absolute path"),
        ({"handlers": {"runsc": HandlerSettings()}}, "the first handler's name as well"),
        ({"runtime_class": "Bad_Name"}, "RuntimeClass 'Bad_Name' must match"),
        ({"handler": "a/b"}, "handler 'a/b' must match"),
        ({"handlers": {"a/b": HandlerSettings()}}, "handler 'a/b' must match"),
        ({"handlers": {"a": HandlerSettings(runtime_class="B")}}, "RuntimeClass 'B' must match"),
        ({"overhead": {"memory": "128 MB"}}, "memory = '128 MB' is no quantity; write one such as"),
        ({"overhead": {"memory": ""}}, "memory = '' is no quantity"),
        ({"overhead": {"the memory": "1"}}, "resource in the overhead of handler runsc"),
        ({"runtime_class": "", "overhead": {"cpu": "1"}}, "need a runtime_class"),
        ({"runsc": RUNSC, "release": ReleaseSettings(date="20260817")}, "exclude each other"),
    ],
)
def test_settings_that_runsc_could_not_use_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        GVisorSettings(**wrong)


def test_in_a_sandbox_runsc_keeps_its_state_inside():
    from k0sruntime.paths import Paths

    parts = contributed(paths=Paths.in_sandbox("/s"))
    assert file(parts)["root"] == "/s/run/k0s/runsc"


# -- found on the node ------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["runsc", SHIM])
def test_it_rests_where_a_program_is_missing_and_names_it(missing):
    files = MadeUpFiles(executables=[p for p in BOTH.executables if not p.endswith(f"/{missing}")])
    with pytest.raises(Inactive, match=rf"no {missing} on PATH.*/opt/bin; name a release in"):
        contributed(files=files)


@pytest.mark.parametrize(
    "folder", ["/var/lib/k0s/bin", "/usr/local/bin", "/opt/gvisor/bin", "/opt/gvisor"]
)
def test_they_are_found_where_instructions_put_them(folder):
    files = MadeUpFiles(executables=[f"{folder}/runsc", f"{folder}/{SHIM}"])
    assert list(the(RuntimeHandler, contributed(files=files)).programs) == [
        f"{folder}/runsc",
        f"{folder}/{SHIM}",
    ]


def test_k0s_own_folder_comes_before_the_path():
    files = MadeUpFiles(executables=[*BOTH.executables, "/var/lib/k0s/bin/runsc"])
    assert "/var/lib/k0s/bin/runsc" in the(RuntimeHandler, contributed(files=files)).programs


def test_a_shim_outside_of_containerds_path_is_named_in_full():
    files = MadeUpFiles(executables=["/usr/bin/runsc", f"/opt/gvisor/bin/{SHIM}"])
    found = the(RuntimeHandler, contributed(files=files))
    assert found.runtime_path == f"/opt/gvisor/bin/{SHIM}"


def test_a_shim_that_another_one_hides_is_named_in_full():
    shim = f"/usr/bin/{SHIM}"
    files = MadeUpFiles(executables=[*BOTH.executables, shim])
    found = the(RuntimeHandler, contributed(GVisorSettings(shim=shim), files))
    assert found.runtime_path == shim


@pytest.mark.parametrize(
    ("settings", "executables"),
    [
        (GVisorSettings(), ["/opt/gvisor/bin/runsc", f"/usr/local/bin/{SHIM}"]),
        (
            GVisorSettings(runsc="/opt/gvisor/bin/runsc"),
            [*BOTH.executables, "/opt/gvisor/bin/runsc"],
        ),
    ],
)
def test_the_shim_is_told_of_a_runsc_that_it_would_not_find_by_itself(settings, executables):
    parts = contributed(settings, MadeUpFiles(executables=executables))
    assert file(parts)["binary_name"] == "/opt/gvisor/bin/runsc"


# -- a release --------------------------------------------------------------------------------------


def released(**more) -> GVisorSettings:
    return GVisorSettings(release=ReleaseSettings(**{"date": "20260817.0", **more}))


def test_a_release_is_installed_by_the_host_and_named_by_its_version():
    parts = contributed(released(), MadeUpFiles())
    found = the(RuntimeHandler, parts)
    binary = the(Binary, parts)
    folder = f"{RELEASED}/{binary.folder_name('x86_64')}"
    assert folder.startswith(f"{RELEASED}/gvisor-20260817.0-")
    assert list(found.programs) == [f"{folder}/runsc", f"{folder}/{SHIM}"]
    assert found.runtime_path == f"{folder}/{SHIM}"
    assert file(parts)["binary_name"] == f"{folder}/runsc"
    assert (binary.name, binary.version) == ("gvisor", "20260817.0")
    assert list(binary.programs) == ["runsc", SHIM]


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_the_archive_is_taken_for_each_architecture(arch):
    (download,) = the(Binary, contributed(released(), MadeUpFiles())).files_for(arch)
    base = "https://storage.googleapis.com/gvisor/releases/release/20260817.0"
    assert download.url == f"{base}/{arch}/gvisor.tar.bz2"
    assert download.sha512_url == f"{base}/{arch}/gvisor.tar.bz2.sha512"
    assert download.unpack


@pytest.mark.parametrize(
    ("date", "layout", "names"),
    [
        ("20260720.0", "auto", ["runsc", SHIM]),
        ("20260727.0", "auto", ["gvisor.tar.bz2"]),
        ("20260817", "files", ["runsc", SHIM]),
        ("20250101", "tarball", ["gvisor.tar.bz2"]),
    ],
)
def test_both_layouts_are_known(date, layout, names):
    binary = the(Binary, contributed(released(date=date, layout=layout), MadeUpFiles()))
    assert [download.file_name for download in binary.files_for("x86_64")] == names


@pytest.mark.parametrize("source", ["https://mirror.test/gvisor/", "/srv/gvisor"])
def test_a_mirror_or_a_folder_is_a_source(source):
    binary = the(Binary, contributed(released(source=source), MadeUpFiles()))
    (download,) = binary.files_for("x86_64")
    assert download.url == f"{source.rstrip('/')}/20260817.0/x86_64/gvisor.tar.bz2"


def test_a_pinned_checksum_needs_no_document():
    pins = {"x86_64/gvisor.tar.bz2": "a" * 128}
    binary = the(Binary, contributed(released(sha512=pins), MadeUpFiles()))
    (pinned,), (other,) = binary.files_for("x86_64"), binary.files_for("aarch64")
    assert (pinned.sha512, pinned.sha512_url) == ("a" * 128, "")
    assert other.sha512_url


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"date": "latest"}, "must name one release"),
        ({"date": "../x"}, "must name one release"),
        ({"source": "mirror.test"}, "must be an URL or an absolute path"),
        ({"source": "ftp://mirror.test"}, "must be an URL or an absolute path"),
    ],
)
def test_a_release_that_is_none_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        ReleaseSettings(**wrong)


@pytest.mark.parametrize("source", ["https://h/g?sig=TOK", "https://h/g?", "https://h/g#TOK"])
def test_a_source_with_a_query_is_refused_and_its_token_is_not_told(source):
    with pytest.raises(ValueError, match="must be an URL without a query") as refused_:
        ReleaseSettings(date="20260817", source=source)
    assert "TOK" not in str(refused_.value)
    assert ReleaseSettings(date="20260817", source="/srv/what?").source == "/srv/what?"


# -- what this node can have ------------------------------------------------------------------------


def test_kvm_must_be_usable_where_a_handler_asks_for_it():
    settings = GVisorSettings(handlers={"runsc-kvm": HandlerSettings(platform="kvm")})
    contributed(settings)
    (problem,) = refused(settings, kvm_problem="/dev/kvm is not there")
    assert problem.message == "platform = 'kvm' of runsc-kvm: /dev/kvm is not there"
    assert "systrap" in problem.remedy
    contributed(kvm_problem="/dev/kvm is not there")


def test_a_kernel_that_is_too_old_is_refused():
    contributed(kernel=Version(5, 6))
    (problem,) = refused(kernel=Version(5, 5, 19))
    assert "needs Linux 5.6, and this is 5.5.19" in problem.message


def test_another_machine_is_refused():
    assert "does not run on riscv64" in refused(arch="riscv64")[0].message


@pytest.mark.parametrize(
    "path",
    [
        RUNSC,
        f"/usr/local/bin/{SHIM}",
        "/usr/local/bin/gvisor-bin/gvisor_sentry",
        "/usr/local/bin/gvisor-bin",
    ],
)
def test_programs_must_be_readable_and_executable_for_everybody(path):
    executables = [*BOTH.executables, "/usr/local/bin/gvisor-bin/gvisor_sentry"]
    (problem,) = refused(files=MadeUpFiles(executables=executables, modes={path: 0o750}))
    assert problem.message.startswith(f"{path} is not readable and executable for everybody")
    assert problem.remedy == f"chmod a+rx {path}"


def test_a_program_that_is_named_must_be_there():
    (problem,) = refused(GVisorSettings(runsc="/opt/runsc"))
    assert problem.message == "/opt/runsc is not there"


def test_everything_that_is_wrong_is_told_at_once():
    settings = GVisorSettings(runsc="/opt/runsc", platform="kvm")
    assert len(refused(settings, kernel=Version(4, 19), kvm_problem="it is not there")) == 3


@pytest.mark.parametrize(("containerd", "least"), [((1, 7, 34), ""), ((2, 3, 3), "20260520.0")])
def test_an_old_release_is_told_where_containerd_hands_parameters_to_shims(containerd, least):
    program = Program("/var/lib/k0s/bin/containerd", Version(*containerd))
    parts = [p for p in contributed(containerd=program) if isinstance(p, Binary)]
    check, shim = (part.check for part in parts)
    assert check.least == least
    assert check.version_in("runsc version 0.0~20240729.0\nspec: 1.2.1") == "20240729.0"
    assert check.version_in("runsc version release-20260817.0\n") == "20260817.0"
    assert check.too_old("20240729.0") == bool(least)
    assert not check.too_old("20260817.0")
    assert shim.arguments == ["-v"]
    said = f"{SHIM}:\n  Version:  1.7.24+unknown\n  Revision: \n  Go version: go1.24.2\n\n"
    assert shim.version_in(said) == "1.7.24"
    assert shim.too_old("1.7.24") == bool(least)
    assert not shim.too_old("2.1.4")


def warnings(*arguments, **facts) -> list[Check]:
    return [part for part in contributed(*arguments, **facts) if isinstance(part, Check)]


def test_a_shim_of_another_folder_than_runsc_is_told_unless_both_are_named():
    assert warnings() == []
    shim = f"/opt/gvisor/bin/{SHIM}"
    mixed = MadeUpFiles(executables=["/usr/bin/runsc", shim])
    (check,) = warnings(files=mixed)
    assert check.verdict == "warn"
    assert check.detail == f"/usr/bin/runsc and {shim} lie in different folders"
    assert warnings(GVisorSettings(runsc="/usr/bin/runsc", shim=shim), mixed) == []


def test_a_folder_on_the_way_that_is_closed_to_others_is_told():
    files = MadeUpFiles(
        executables=["/opt/gvisor/bin/runsc", f"/opt/gvisor/bin/{SHIM}"],
        modes={"/opt/gvisor": 0o750},
    )
    (check,) = warnings(files=files)
    assert "/opt/gvisor is closed to others" in check.detail
    assert "chmod a+x /opt/gvisor" in check.remedy


@pytest.mark.parametrize(("patch", "told"), [(5, 1), (6, 0)])
def test_a_containerd_under_which_pods_hang_is_told_before_anything_is_written(patch, told):
    containerd = Program("/usr/bin/containerd", Version(2, 0, patch))
    checks = warnings(containerd=containerd)
    assert len(checks) == told
    assert len(warnings(released(), MadeUpFiles(), containerd=containerd)) == told


# -- the proof --------------------------------------------------------------------------------------


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
        self.asked = []

    def has_image(self, image):
        return image == "busybox"

    def run_in_sandbox(self, handler, image, command):
        self.asked.append(handler)
        assert (image, command) == ("busybox", ["uname", "-r", "-v"])
        if not self.said:
            raise CRIError("UNKNOWN", "exit status 127")
        return self.said


@pytest.mark.parametrize(
    ("image", "said", "verdict"),
    [
        ("busybox", "4.19.0-gvisor #1 SMP\n", "pass"),
        ("busybox", "6.1.0 #1 SMP\n", "fail"),
        ("busybox", "", "fail"),
        ("", "", "unknown"),
        ("not-at-hand", "", "unknown"),
    ],
)
def test_the_check_looks_from_inside_or_says_why_it_cannot(image, said, verdict):
    node = make_node("gvisor", GVisorSettings(probe_image=image), files=BOTH)
    (check,) = provider.post_start_check(node, Cri(said))
    assert check.verdict == verdict
    assert check.remedy or verdict == "pass"


def test_the_nodes_own_image_will_do():
    node = make_node("gvisor", GVisorSettings(), files=BOTH, probe_image="busybox")
    (check,) = provider.post_start_check(node, Cri("4.19.0-gvisor #1"))
    assert check.verdict == "pass"


def test_every_handler_is_looked_at_from_inside():
    settings = GVisorSettings(probe_image="busybox", handlers={"runsc-kvm": HandlerSettings()})
    cri = Cri("4.19.0-gvisor #1")
    assert len(list(provider.post_start_check(make_node("gvisor", settings), cri))) == 2
    assert cri.asked == ["runsc", "runsc-kvm"]


@pytest.mark.parametrize(
    ("version", "warned"),
    [((2, 0, 5), True), ((2, 0, 6), False), ((2, 1, 0), False), ((1, 7, 34), False)],
)
def test_a_containerd_under_which_pods_hang_is_told(version, warned):
    containerd = Program("/usr/bin/containerd", Version(*version))
    node = make_node("gvisor", GVisorSettings(), files=BOTH, containerd=containerd)
    checks = list(provider.post_start_check(node, Cri("")))
    assert [c.verdict for c in checks] == ["warn", "unknown"][not warned :]
