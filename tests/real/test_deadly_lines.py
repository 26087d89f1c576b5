"""A line that lint and a rehearsal call deadly kills containerd or its CRI, and no other does.

``config dump`` says yes to most of them, so that only a containerd that runs can prove it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from k0sruntime.testing import MadeUpFiles
from tests.lint.test_real import cri_loads
from tests.real.conftest import CONTAINERDS

pytestmark = pytest.mark.real

TABLES = {
    "2.1": ("io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"),
    "1.7": ("io.containerd.grpc.v1.cri", "io.containerd.grpc.v1.cri"),
}
NEVER, BOTH, ONLY_1, ONLY_2 = (), ("1.7", "2.1"), ("1.7",), ("2.1",)
PROXY = '[proxy_plugins.stargz]\ntype = "snapshot"\naddress = "/run/stargz.sock"\n'
SCHEDULER = '[plugins."io.containerd.gc.v1.scheduler"]\n'
NRI = '["io.containerd.nri.v1.nri"]'
STREAMING = '[plugins."io.containerd.grpc.v1.cri"]\n'
BOLT = '[plugins."io.containerd.metadata.v1.bolt"]\n'
DIFF = '[plugins."io.containerd.service.v1.diff-service"]\n'
TASK = '[plugins."io.containerd.runtime.v2.task"]\n'
UNPACK = '[[plugins."io.containerd.transfer.v1.local".unpack_config]]\nsnapshotter = "overlayfs"\n'
BLOCKFILE = (
    '[plugins."io.containerd.snapshotter.v1.blockfile"]\nscratch_file = "/etc/hostname"\n'
    'fs_type = "ext4"\n'
)
LINES = {
    'required_plugins = ["io.containerd.nope.v1.x"]': BOTH,
    'required_plugins = ["io.containerd.grpc.v1.cri"]': NEVER,
    'required_plugins = ["io.containerd.cri.v1.images"]': ONLY_1,
    'required_plugins = ["io.containerd.snapshotter.v1.windows"]': BOTH,
    'required_plugins = ["io.containerd.snapshotter.v1.stargz"]': BOTH,
    f'required_plugins = ["io.containerd.snapshotter.v1.stargz"]\n{PROXY}': NEVER,
    f"required_plugins = {NRI}\ndisabled_plugins = {NRI}": BOTH,
    'required_plugins = ["cri"]': BOTH,
    'disabled_plugins = ["cri"]': BOTH,
    'disabled_plugins = ["io.containerd.zfs"]': ONLY_1,
    'disabled_plugins = ["snapshotter.v1.zfs"]': ONLY_1,
    'disabled_plugins = ["io.containerd.snapshotter.v1.nope"]': NEVER,
    'disabled_plugins = [""]': BOTH,
    "[plugins.cri]\nx = 1": ONLY_1,
    '[plugins."{images}"]\nimage_pull_progress_timeout = "5 minutes"': BOTH,
    '[plugins."{images}"]\nimage_pull_progress_timeout = "5"': BOTH,
    '[plugins."{images}"]\nimage_pull_progress_timeout = "1.5h3µs"': NEVER,
    '[plugins."{images}"]\nimage_pull_progress_timeout = ""': NEVER,
    '[plugins."{runtime}"]\ndrain_exec_sync_io_timeout = "1d"': BOTH,
    '[plugins."{runtime}"]\ndrain_exec_sync_io_timeout = "-5s"': NEVER,
    '[plugins."io.containerd.grpc.v1.cri"]\nstream_idle_timeout = "4 h"': BOTH,
    '[timeouts]\n"io.containerd.timeout.shim.load" = "5 seconds"': BOTH,
    '[timeouts]\n"io.containerd.timeout.shim.load" = ""': BOTH,
    '[timeouts]\n"any" = "3000000h"': BOTH,
    '[timeouts]\n"any" = "+.5s"': NEVER,
    f'{SCHEDULER}schedule_delay = "5 ms"': BOTH,
    f'{SCHEDULER}startup_delay = ""': BOTH,
    f'{SCHEDULER}startup_delay = "100ms"': NEVER,
    '[metrics]\naddress = "1338"': BOTH,
    '[metrics]\naddress = "999:1"': BOTH,
    '[metrics]\naddress = "http://127.0.0.1:1338"': BOTH,
    '[metrics]\naddress = "::1:1338"': BOTH,
    '[metrics]\naddress = "127.0.0.1:65536"': BOTH,
    '[metrics]\naddress = "*:0"': BOTH,
    '[metrics]\naddress = "localhost:"': NEVER,
    '[metrics]\naddress = "[127.0.0.1]:+0"': NEVER,
    '[grpc]\ntcp_address = "127.0.0.1"': BOTH,
    '[grpc]\ntcp_address = ":00"': NEVER,
    '[debug]\naddress = "debug.sock"': BOTH,
    '[debug]\nformat = "JSON"': BOTH,
    '[debug]\nformat = "json"': NEVER,
    '[debug]\nlevel = "WARNING"': NEVER,
    f'{STREAMING}stream_server_port = "65536"': BOTH,
    f'{STREAMING}stream_server_address = "127.1"': BOTH,
    f'{STREAMING}x509_key_pair_streaming = {{ tls_cert_file = "/c", tls_key_file = "/k" }}': BOTH,
    f'{STREAMING}enable_tls_streaming = true\nx509_key_pair_streaming.tls_cert_file = "/c"': BOTH,
    f'{BOLT}content_sharing_policy = "Isolated"': BOTH,
    f'{BOLT}content_sharing_policy = "isolated"': NEVER,
    f'{DIFF}default = ["walking", "nope"]': BOTH,
    f"{DIFF}default = []": NEVER,
    f'{DIFF}default = ["mine"]\n[proxy_plugins.mine]\ntype = "diff"\naddress = "/x"': NEVER,
    '[plugins."{images}"]\nstats_collect_period = 0': BOTH,
    '[plugins."{images}"]\nstats_collect_period = 9223372037': BOTH,
    '[plugins."{images}"]\nstats_collect_period = 9223372036': NEVER,
    f'{TASK}platforms = ["linux/nope/x/y/z"]': BOTH,
    f'{TASK}platforms = ["linux", "nope"]': BOTH,
    f'{TASK}platforms = ["linux/*"]': BOTH,
    f'{TASK}platforms = ["Linux/x86_64", "linux/arm/v7", "amd64", "linux/nope"]': NEVER,
    f'{UNPACK}platform = "a/b/c/d"': ONLY_2,
    f'{UNPACK}platform = "linux/amd64"\ndiffer = "nope"': ONLY_2,
    f'{UNPACK}platform = "linux/amd64"\ndiffer = "walking"': NEVER,
    'required_plugins = ["io.containerd.snapshotter.v1.devmapper"]': BOTH,
    'required_plugins = ["io.containerd.snapshotter.v1.blockfile"]': BOTH,
    f'required_plugins = ["io.containerd.snapshotter.v1.blockfile"]\n{BLOCKFILE}': NEVER,
}


def written(text: str, line: str) -> str:
    runtime, images = TABLES[line]
    version = 3 if line == "2.1" else 2
    return f"version = {version}\n" + text.replace("{runtime}", runtime).replace("{images}", images)


@pytest.mark.parametrize("line", ["1.7", "2.1"])
@pytest.mark.parametrize("text", LINES)
def test_what_lint_and_a_rehearsal_call_deadly_is(
    text: str, line: str, tmp_path: Path, capsys
) -> None:
    content, deadly = written(text, line), line in LINES[text]
    files = MadeUpFiles({"/etc/k0s/containerd.d/10.toml": content})
    loads = cri_loads(CONTAINERDS[line], files, tmp_path / "real", expected=not deadly)
    assert loads != deadly, "the real one"
    folder = tmp_path / "dropins"
    folder.mkdir()
    (folder / "10.toml").write_text(content)
    k0s = "1.36" if line == "2.1" else "1.35"
    for target in (["--containerd", str(CONTAINERDS[line])], ["--k0s", k0s]):
        code = run(["rehearse", *target, "--dropins", str(folder), "--json"])
        said = json.loads(capsys.readouterr().out)
        assert (code, said["comes_back"]) == ((3, False) if deadly else (0, True)), said
        migrated = bool(said["mends"])  # it takes the old CRI table out of a file of version 3
        assert said["comes_back_after"] is (migrated or not deadly)
    assert run(["lint", "--containerd", str(CONTAINERDS[line]), str(folder)]) == (
        3 if deadly else 0
    )


def test_a_short_name_of_version_1_takes_cri_away_where_it_is_still_read(tmp_path: Path) -> None:
    """Without a version, 2.x reads a file as one of version 1, and knows what ``cri`` was."""
    for line, content in (("2.1", ""), ("1.7", "version = 1\n")):
        (tmp_path / "10.toml").write_text(f'{content}disabled_plugins = ["cri"]\n')
        assert run(["lint", "--containerd", str(CONTAINERDS[line]), str(tmp_path)]) == 3
        files = MadeUpFiles({"/etc/k0s/containerd.d/10.toml": (tmp_path / "10.toml").read_bytes()})
        assert not cri_loads(CONTAINERDS[line], files, tmp_path / line)


ALONE = 'imports = ["/etc/k0s/containerd.d/*.toml"]\n'
SHORT = 'disabled_plugins = ["aufs"]\n'
OF_VERSION_1 = [
    # the main file, the drop-in, dead
    (SHORT, "", False),
    ("version = 1\n" + SHORT, "", False),
    ("version = 2\n" + SHORT, "", True),
    (SHORT, "oom_score = 0\n", False),
    (SHORT, "version = 2\n", True),
    ("version = 2\n" + SHORT, "version = 1\n", False),
    ("version = 2\n", SHORT, True),
    ("", SHORT, False),
    ('disabled_plugins = ["cri"]\n', "", True),
    ("", 'disabled_plugins = ["cri"]\n', True),
    ('disabled_plugins = ["io.containerd.grpc.v1.cri"]\n', "", False),
    ('required_plugins = ["cri"]\n', "", False),
    ('required_plugins = ["nope"]\n', "", True),
    ('required_plugins = ["io.containerd.grpc.v1.cri"]\n', "", True),
    ("", "[plugins.cri]\nstats_collect_period = 10\n", False),
    ("version = 2\n", "[plugins.cri]\nstats_collect_period = 10\n", True),
    # a table by its URI is not read in version 1, whatever it says
    ("", f"{STREAMING}stats_collect_period = 0\n", False),
    ("version = 2\n", f"{STREAMING}stats_collect_period = 0\n", True),
]


@pytest.mark.parametrize(("main", "dropin", "dead"), OF_VERSION_1)
def test_1_7_reads_short_names_where_the_files_together_are_of_version_1(
    main: str, dropin: str, dead: bool, tmp_path: Path
) -> None:
    main += ALONE
    contents = {"/etc/k0s/containerd.toml": main, "/etc/k0s/containerd.d/10.toml": dropin}
    files = MadeUpFiles(contents)
    loads = cri_loads(CONTAINERDS["1.7"], files, tmp_path, expected=not dead)
    assert loads != dead, "the real one"
    code = run(["lint", "--containerd", str(CONTAINERDS["1.7"]), f"{tmp_path}/etc/k0s"])
    assert code == (3 if dead else 0)


OLD_TABLE = f'{STREAMING}image_pull_progress_timeout = "5 minutes"\n'
OLD_DEFAULT = '[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "nope"\n'


@pytest.mark.parametrize("table", [OLD_TABLE, OLD_DEFAULT], ids=["duration", "default"])
@pytest.mark.parametrize(
    ("version", "next_one", "dead"),
    [
        ("version = 3\n", "", False),
        ("", "", False),
        ("version = 2\n", "", True),
        ("version = 2\n", "oom_score = 0\n", True),
        ("version = 2\n", "version = 3\n", False),
        ("version = 3\n", "version = 2\n", True),
    ],
)
def test_2_x_reads_the_old_table_where_the_last_file_is_of_version_2(
    version: str, next_one: str, dead: bool, table: str, tmp_path: Path
) -> None:
    contents = {
        "/etc/k0s/containerd.d/10.toml": version + table,
        "/etc/k0s/containerd.d/20.toml": next_one,
    }
    assert cri_loads(CONTAINERDS["2.1"], MadeUpFiles(contents), tmp_path) != dead, "the real one"
    dropins = f"{tmp_path}/etc/k0s/containerd.d"
    code = run(["lint", "--containerd", str(CONTAINERDS["2.1"]), dropins])
    assert code == (3 if dead else 0)


@pytest.mark.parametrize("line", ["1.7", "2.1"])
def test_a_log_level_that_is_none_counts_for_nothing_where_k0s_gives_one(
    line: str, tmp_path: Path, capsys
) -> None:
    content = written('[debug]\nlevel = "loud"\n', line)
    files = MadeUpFiles({"/etc/k0s/containerd.d/10.toml": content})
    assert not cri_loads(CONTAINERDS[line], files, tmp_path / "without")
    assert cri_loads(CONTAINERDS[line], files, tmp_path / "with", ("--log-level=info",))
    (tmp_path / "10.toml").write_text(content)
    assert run(["lint", "--containerd", str(CONTAINERDS[line]), str(tmp_path / "10.toml")]) == 0
    assert "is no log level" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["1.7", "2.1"])
@pytest.mark.parametrize("plugin", ["btrfs", "zfs", "aufs"])
def test_a_required_snapshotter_of_a_file_system_that_the_machine_lacks(
    plugin: str, line: str, tmp_path: Path, capsys
) -> None:
    """Told as deadly where the machine says so, and as a risk where nobody can tell."""
    content = written(f'required_plugins = ["io.containerd.snapshotter.v1.{plugin}"]\n', line)
    files = MadeUpFiles({"/etc/k0s/containerd.d/10.toml": content})
    assert not cri_loads(CONTAINERDS[line], files, tmp_path / "real")
    (tmp_path / "10.toml").write_text(content)
    judge = ["lint", "--containerd", str(CONTAINERDS[line]), str(tmp_path / "10.toml")]
    unknown = line == "2.1" and plugin == "aufs"
    assert run(judge) == (3 if unknown else 0)
    assert "K0R108" in capsys.readouterr().out
    assert run([*judge, "--host"]) == (0 if (plugin, line) == ("aufs", "1.7") else 3)
    assert "K0R108" in capsys.readouterr().out


@pytest.mark.parametrize("platform", ["linux/amd64", "a/b/c/d"])
def test_the_platform_of_a_handler(platform: str, tmp_path: Path) -> None:
    table = '[plugins."io.containerd.cri.v1.images".runtime_platforms.runc]'
    content = f'version = 3\n{table}\nplatform = "{platform}"\n'
    files = MadeUpFiles({"/etc/k0s/containerd.d/10.toml": content})
    loads = cri_loads(CONTAINERDS["2.1"], files, tmp_path / "real")
    (tmp_path / "10.toml").write_text(content)
    code = run(["lint", "--containerd", str(CONTAINERDS["2.1"]), str(tmp_path / "10.toml")])
    assert (loads, code) == ((True, 0) if platform == "linux/amd64" else (False, 3))


@pytest.mark.parametrize("line", ["1.7", "2.1"])
def test_files_of_the_streaming_server_that_are_not_there_kill_cri(
    line: str, tmp_path: Path
) -> None:
    content = written(
        f"{STREAMING}enable_tls_streaming = true\n"
        f'x509_key_pair_streaming = {{ tls_cert_file = "{tmp_path}/c", tls_key_file = "/k" }}\n',
        line,
    )
    files = MadeUpFiles({"/etc/k0s/containerd.d/10.toml": content})
    assert not cri_loads(CONTAINERDS[line], files, tmp_path / "real")
    (tmp_path / "10.toml").write_text(content)
    judge = ["lint", "--containerd", str(CONTAINERDS[line]), str(tmp_path / "10.toml")]
    assert run(judge) == 0, "without the machine nobody can tell"
    assert run([*judge, "--host"]) == 3
