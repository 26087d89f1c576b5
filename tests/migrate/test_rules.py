"""Every key goes where the other containerd reads it, in both directions."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime import toml
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.migrate import Migration, migrate

H = "containerd.runtimes.x"

# What schema 2 has in its one CRI table, and what schema 3 has in two, of the same value.
MOVES = [
    ("sandbox_image = 'p'", IMAGES, "pinned_images.sandbox = 'p'"),
    ("registry.config_path = '/c'", IMAGES, "registry.config_path = '/c'"),
    ("registry.mirrors.a.endpoint = ['b']", IMAGES, "registry.mirrors.a.endpoint = ['b']"),
    ("image_decryption.key_model = 'node'", IMAGES, "image_decryption.key_model = 'node'"),
    ("max_concurrent_downloads = 9", IMAGES, "max_concurrent_downloads = 9"),
    ("image_pull_progress_timeout = '1m'", IMAGES, "image_pull_progress_timeout = '1m'"),
    ("image_pull_with_sync_fs = true", IMAGES, "image_pull_with_sync_fs = true"),
    ("stats_collect_period = 5", IMAGES, "stats_collect_period = 5"),
    ("containerd.snapshotter = 's'", IMAGES, "snapshotter = 's'"),
    ("containerd.disable_snapshot_annotations = false", IMAGES, "disable_snapshot_annotations = false"),
    ("containerd.discard_unpacked_layers = true", IMAGES, "discard_unpacked_layers = true"),
    ("containerd.default_runtime_name = 'x'", RUNTIME, "containerd.default_runtime_name = 'x'"),
    ("containerd.ignore_rdt_not_enabled_errors = true", RUNTIME, "containerd.ignore_rdt_not_enabled_errors = true"),
    (f"{H}.runtime_type = 't.t.t'", RUNTIME, f"{H}.runtime_type = 't.t.t'"),
    (f"{H}.options.BinaryName = '/b'", RUNTIME, f"{H}.options.BinaryName = '/b'"),
    (f"{H}.pod_annotations = ['a/*']", RUNTIME, f"{H}.pod_annotations = ['a/*']"),
    (f"{H}.snapshotter = 'n'", RUNTIME, f"{H}.snapshotter = 'n'"),
    (f"{H}.sandbox_mode = 'shim'", RUNTIME, f"{H}.sandboxer = 'shim'"),
    ("cni.bin_dir = '/b'", RUNTIME, "cni.bin_dirs = ['/b']"),
    ("cni.conf_dir = '/n'", RUNTIME, "cni.conf_dir = '/n'"),
    ("enable_cdi = true", RUNTIME, "enable_cdi = true"),
    ("cdi_spec_dirs = ['/c']", RUNTIME, "cdi_spec_dirs = ['/c']"),
    ("enable_unprivileged_ports = false", RUNTIME, "enable_unprivileged_ports = false"),
    ("ignore_deprecation_warnings = ['w']", RUNTIME, "ignore_deprecation_warnings = ['w']"),
]  # fmt: skip


def file(version: int, plugin: str, line: str) -> str:
    return f"version = {version}\n[plugins.'{plugin}']\n{line}\n"


def data(text: str) -> dict[str, Any]:
    return toml.load(text.encode(), "test")


def to(schema: Any, version: int, plugin: str, line: str) -> Migration:
    return migrate(file(version, plugin, line), schema)


@pytest.mark.parametrize(("two", "plugin", "three"), MOVES)
def test_a_key_of_schema_2_goes_to_its_place_in_schema_3(two: str, plugin: str, three: str) -> None:
    result = to(3, 2, CRI, two)
    assert data(result.text) == data(file(3, plugin, three))
    assert not [note for note in result.notes if note.lost]


@pytest.mark.parametrize(("two", "plugin", "three"), MOVES)
def test_a_key_of_schema_3_goes_to_its_place_in_schema_2(two: str, plugin: str, three: str) -> None:
    result = to(2, 3, plugin, three)
    assert data(result.text) == data(file(2, CRI, two))
    assert result.notes == ()


GONE_IN_3 = [
    ("systemd_cgroup = true", "SystemdCgroup = true"),
    ("disable_cgroup = true", "rootless"),
    ("containerd.no_pivot = true", "NoPivotRoot = true"),
    ("containerd.default_runtime.runtime_type = 't'", "default_runtime_name"),
    ("containerd.untrusted_workload_runtime.runtime_type = 't'", "RuntimeClass"),
    (f"{H}.runtime_engine = '/e'", "BinaryName"),
    (f"{H}.runtime_root = '/r'", "Root"),
    ("stream_server_port = '10010'", "main file"),
    ("x509_key_pair_streaming.tls_cert_file = '/c'", "main file"),
]
GONE_IN_2 = [
    (RUNTIME, f"{H}.cgroup_writable = true", "Leave it out"),
    (RUNTIME, f"{H}.io_type = 'streaming'", "Leave it out"),
    (RUNTIME, f"{H}.disable_pause_image_pull = true", "Leave it out"),
    (RUNTIME, "enable_criu = true", "Leave it out"),
    (RUNTIME, "stats_collect_period = '5s'", "images"),
    (RUNTIME, "stats_retention_period = '2m'", "Leave it out"),
    (RUNTIME, "cni.use_internal_loopback = true", "loopback"),
    (IMAGES, "concurrent_layer_fetch_buffer = 8", "Leave it out"),
    (IMAGES, "use_local_image_pull = true", "Leave it out"),
    (IMAGES, "pinned_images.other = 'i'", "Leave it out"),
    (IMAGES, "runtime_platforms.x.platform = 'linux'", "Leave it out"),
    (IMAGES, "runtime_platforms.x.snapshotter = 'n'", "runtimes.x.snapshotter"),
]


def assert_left_behind(result: Migration, line: str, remedy: str) -> None:
    (note,) = result.notes
    assert note.lost
    assert note.line == 3
    assert note.why
    assert remedy in note.instead
    assert f"# {line}\n" in result.text
    assert "plugins" not in data(result.text) or not any(data(result.text)["plugins"].values())


@pytest.mark.parametrize(("line", "remedy"), GONE_IN_3)
def test_what_containerd_2_has_no_place_for_is_said_and_left_as_a_comment(
    line: str, remedy: str
) -> None:
    assert_left_behind(to(3, 2, CRI, line), line, remedy)


@pytest.mark.parametrize(("plugin", "line", "remedy"), GONE_IN_2)
def test_what_containerd_1_7_has_no_place_for_is_said_and_left_as_a_comment(
    plugin: str, line: str, remedy: str
) -> None:
    assert_left_behind(to(2, 3, plugin, line), line, remedy)


@pytest.mark.parametrize(
    "line",
    [
        "systemd_cgroup = false",
        "containerd.no_pivot = false",
        f"{H}.runtime_engine = ''",
        "cni.bin_dir = ''",
    ],
)
def test_what_was_off_anyway_is_left_out_without_a_word(line: str) -> None:
    result = to(3, 2, CRI, line)
    assert result.notes == ()
    assert data(result.text) == {"version": 3}
    assert "#" not in result.text


def test_streaming_keys_stay_where_they_are_in_a_main_file() -> None:
    text = f"version = 2\nimports = []\n[plugins.'{CRI}']\nstream_server_port = '1'\n"
    assert data(migrate(text, 3).text)["plugins"] == {CRI: {"stream_server_port": "1"}}
    assert data(migrate(text.replace("= 2", "= 3"), 2).text)["plugins"] == {
        CRI: {"stream_server_port": "1"}
    }


def test_only_the_first_of_many_cni_folders_can_be_carried_to_1_7() -> None:
    result = to(2, 3, RUNTIME, "cni.bin_dirs = ['/a', '/b']")
    assert data(result.text)["plugins"][CRI] == {"cni": {"bin_dir": "/a"}}
    (note,) = result.notes
    assert "'/b'" in note.why


def test_a_handlers_platform_comes_back_as_its_snapshotter() -> None:
    text = (
        f"version = 3\n[plugins.'{RUNTIME}'.{H}]\nruntime_type = 't.t.t'\n"
        f"[plugins.'{IMAGES}'.runtime_platforms.x]\nsnapshotter = 'n'\n"
    )
    handlers = data(migrate(text, 2).text)["plugins"][CRI]["containerd"]["runtimes"]
    assert handlers == {"x": {"runtime_type": "t.t.t", "snapshotter": "n"}}


def test_a_platform_that_repeats_the_handler_is_dropped_without_a_word() -> None:
    text = (
        f"version = 3\n[plugins.'{RUNTIME}'.{H}]\nsnapshotter = 'n'\n"
        f"[plugins.'{IMAGES}'.runtime_platforms.x]\nsnapshotter = 'n'\n"
    )
    result = migrate(text, 2)
    assert result.notes == ()
    assert "runtime_platforms" not in result.text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"{H}.runtime_type = 'io.containerd.runtime.v1.linux'", "io.containerd.runc.v2"),
        (f"{H}.runtime_type = 'io.containerd.runc.v1'", "io.containerd.runc.v2"),
        (f"{H}.snapshotter = 'nydus'", "runtime_platforms.x.snapshotter"),
        (f"{H}.options.CriuPath = '/criu'", "PATH"),
    ],
)
def test_what_is_carried_over_but_works_otherwise_is_said(line: str, why: str) -> None:
    result = to(3, 2, CRI, line)
    (note,) = result.notes
    assert not note.lost
    assert why in note.instead
    assert data(result.text) == data(file(3, RUNTIME, line))


@pytest.mark.parametrize(
    ("two", "three", "line"),
    [
        ("io.containerd.internal.v1.restart", "io.containerd.monitor.container.v1.restart", "interval = '1s'"),
        ("io.containerd.monitor.v1.cgroups", "io.containerd.monitor.task.v1.cgroups", "no_prometheus = true"),
    ],
)  # fmt: skip
def test_a_plugin_with_another_id_in_containerd_2_is_renamed(
    two: str, three: str, line: str
) -> None:
    assert data(to(3, 2, two, line).text) == data(file(3, three, line))
    assert data(to(2, 3, three, line).text) == data(file(2, two, line))


@pytest.mark.parametrize(
    "plugin", ["io.containerd.runtime.v1.linux", "io.containerd.snapshotter.v1.aufs"]
)
def test_a_plugin_that_containerd_2_has_not_is_left_as_a_comment(plugin: str) -> None:
    result = to(3, 2, plugin, "root_path = '/a'")
    assert data(result.text) == {"version": 3}
    assert f"# [plugins.'{plugin}']\n" in result.text
    assert "# root_path = '/a'\n" in result.text


def test_a_folder_of_go_plugins_is_left_as_a_comment() -> None:
    result = migrate("version = 2\nplugin_dir = '/x'\n", 3)
    assert data(result.text) == {"version": 3}
    assert result.notes[0].key == "plugin_dir"


@pytest.mark.parametrize(
    ("four", "three"),
    [
        ("grpc'] address = '/s'", "grpc.address = '/s'"),
        ("grpc'] uid = 5", "grpc.uid = 5"),
        ("grpc-tcp'] address = ':1'", "grpc.tcp_address = ':1'"),
        ("grpc-tcp'] tls_ca = '/ca'", "grpc.tcp_tls_ca = '/ca'"),
        ("ttrpc'] address = '/t'", "ttrpc.address = '/t'"),
        ("debug'] uid = 5", "debug.uid = 5"),
        ("metrics'] address = ':2'", "metrics.address = ':2'"),
    ],
)
def test_a_server_table_of_version_4_goes_back_to_the_root(four: str, three: str) -> None:
    text = "version = 4\n[plugins.'io.containerd.server.v1." + four.replace("] ", "]\n") + "\n"
    for schema in (2, 3):
        assert data(migrate(text, schema).text) == data(f"version = {schema}\n{three}\n")


def test_the_histogram_of_version_4_goes_back_to_the_metrics_table() -> None:
    result = to(3, 4, "io.containerd.metrics.v1.grpc-prometheus", "grpc_histogram = true")
    assert data(result.text) == {"version": 3, "metrics": {"grpc_histogram": True}}


def test_a_debug_level_beside_the_debug_server_of_version_4_ends_in_one_table() -> None:
    text = (
        "version = 4\n[debug]\nlevel = 'info'\n[plugins.'io.containerd.server.v1.debug']\nuid = 5\n"
    )
    assert data(migrate(text, 3).text) == {"version": 3, "debug": {"level": "info", "uid": 5}}


def test_a_message_size_of_the_tcp_port_alone_cannot_be_carried_over() -> None:
    result = to(3, 4, "io.containerd.server.v1.grpc-tcp", "max_recv_message_size = 9")
    assert result.notes[0].lost
    assert data(result.text) == {"version": 3}
