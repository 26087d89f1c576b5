"""A rewritten file is the operator's own file, with only what had to change changed."""

from __future__ import annotations

from typing import Any

import pytest

from k0sruntime import toml
from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.errors import RefusedError
from k0sruntime.migrate import migrate


def test_a_file_keeps_its_comments_its_order_and_its_spaces() -> None:
    text = f"""\
# Our node, since 2023

version = 2

[plugins]

  # the CRI plugin
  [plugins."{CRI}"]
    # behind the firewall
    sandbox_image = "mirror.local/pause:3.9"
    enable_cdi = true # GPUs

    # the folder of the CNI package
    [plugins."{CRI}".cni]
      bin_dir = "/opt/cni/bin"  # as packaged

    # handlers
    [plugins."{CRI}".containerd]
      snapshotter = "stargz"
      default_runtime_name = "runc"

      [plugins."{CRI}".containerd.runtimes.kata]
        runtime_type = "io.containerd.kata.v2"
        sandbox_mode   =   "shim"
        pod_annotations = [
          "io.katacontainers.*",  # all
        ]

    [plugins."{CRI}".registry]
      config_path = '/etc/containerd/certs.d'
# the end
"""
    assert (
        migrate(text, 3).text
        == f"""\
# Our node, since 2023

version = 3

[plugins]

  # the CRI plugin
  [plugins."{RUNTIME}"]
    enable_cdi = true # GPUs

  [plugins."{IMAGES}".pinned_images]
    # behind the firewall
    sandbox = "mirror.local/pause:3.9"

    # the folder of the CNI package
    [plugins."{RUNTIME}".cni]
      bin_dirs = ["/opt/cni/bin"]  # as packaged

    # handlers
    [plugins."{RUNTIME}".containerd]
      default_runtime_name = "runc"

    [plugins."{IMAGES}"]
      snapshotter = "stargz"

      [plugins."{RUNTIME}".containerd.runtimes.kata]
        runtime_type = "io.containerd.kata.v2"
        sandboxer   =   "shim"
        pod_annotations = [
          "io.katacontainers.*",  # all
        ]

    [plugins."{IMAGES}".registry]
      config_path = '/etc/containerd/certs.d'
# the end
"""
    )


def test_a_drop_in_with_one_handler_differs_in_two_places_only() -> None:
    text = f"# gVisor\nversion = 2\n[plugins.'{CRI}'.containerd.runtimes.runsc]\nruntime_type = 'x.y.z'\n"
    assert migrate(text, 3).text == text.replace("= 2", "= 3").replace(CRI, RUNTIME)


def test_two_tables_that_become_one_are_brought_together_with_their_comments() -> None:
    text = f"""\
version = 3
# what the kubelet asks
[plugins."{RUNTIME}"]
enable_cdi = true

# what is pulled
[plugins."{IMAGES}"]
# slow line
max_concurrent_downloads = 1

[debug]
level = "info"
"""
    assert (
        migrate(text, 2).text
        == f"""\
version = 2
# what the kubelet asks
[plugins."{CRI}"]
enable_cdi = true
# what is pulled
# slow line
max_concurrent_downloads = 1

[debug]
level = "info"
"""
    )


def test_a_header_whose_keys_have_all_left_goes_and_its_comment_stays() -> None:
    text = f'version = 2\n\n# pause\n[plugins."{CRI}"]\nsandbox_image = "p"\n'
    assert migrate(text, 3).text == (
        f'version = 3\n\n# pause\n\n[plugins."{IMAGES}".pinned_images]\nsandbox = "p"\n'
    )


def test_a_key_goes_to_a_header_that_comes_later_in_the_file() -> None:
    text = f'version = 3\n[plugins."{IMAGES}"]\nsnapshotter = "s"\n[plugins."{RUNTIME}".containerd]\ndefault_runtime_name = "x"\n'
    assert migrate(text, 2).text == (
        f'version = 2\n[plugins."{CRI}".containerd]\ndefault_runtime_name = "x"\nsnapshotter = "s"\n'
    )


def data(text: str) -> dict[str, Any]:
    return toml.load(text.encode(), "test")


HANDLER = {"runtime_type": "x.y.z", "options": {"BinaryName": "/b", "SystemdCgroup": False}}
TABLES_3 = {
    RUNTIME: {"containerd": {"runtimes": {"x": HANDLER}}},
    IMAGES: {"snapshotter": "s", "pinned_images": {"sandbox": "p"}},
}
TABLES_2 = {
    CRI: {"sandbox_image": "p", "containerd": {"snapshotter": "s", "runtimes": {"x": HANDLER}}}
}
SPELLINGS_2 = [
    f'plugins."{CRI}" = {{ sandbox_image = "p", containerd = {{ snapshotter = "s", runtimes = {{ x = {{ runtime_type = "x.y.z", options = {{ BinaryName = "/b", SystemdCgroup = false }} }} }} }} }}\n',
    f'[plugins]\n"{CRI}".sandbox_image = "p"\n"{CRI}".containerd.snapshotter = "s"\n"{CRI}".containerd.runtimes.x.runtime_type = "x.y.z"\n"{CRI}".containerd.runtimes.x.options = {{ BinaryName = "/b", SystemdCgroup = false }}\n',
    f'[plugins."{CRI}"]\nsandbox_image = "p"\ncontainerd = {{ snapshotter = "s", runtimes.x = {{ runtime_type = "x.y.z", options.BinaryName = "/b", options.SystemdCgroup = false }} }}\n',
    f'[plugins."{CRI}"]\nsandbox_image = "p"\ncontainerd.snapshotter = "s"\n[plugins."{CRI}".containerd.runtimes]\nx.runtime_type = "x.y.z"\nx.options.BinaryName = "/b"\nx.options.SystemdCgroup = false\n',
    f'plugins = {{ "{CRI}" = {{ sandbox_image = "p", containerd = {{ snapshotter = "s", runtimes.x = {{ runtime_type = "x.y.z", options = {{ BinaryName = "/b", SystemdCgroup = false }} }} }} }} }}\n',
]
SPELLINGS_3 = [
    f'[plugins."{RUNTIME}"]\ncontainerd = {{ runtimes.x = {{ runtime_type = "x.y.z", options.BinaryName = "/b", options.SystemdCgroup = false }} }}\n[plugins."{IMAGES}"]\nsnapshotter = "s"\npinned_images.sandbox = "p"\n',
    f'[plugins."{RUNTIME}"]\ncontainerd.runtimes.x.runtime_type = "x.y.z"\ncontainerd.runtimes.x.options.BinaryName = "/b"\ncontainerd.runtimes.x.options.SystemdCgroup = false\n[plugins."{IMAGES}"]\nsnapshotter = "s"\n[plugins."{IMAGES}".pinned_images]\nsandbox = "p"\n',
    f'[plugins."{RUNTIME}".containerd]\nruntimes = {{ x = {{ runtime_type = "x.y.z", options = {{ BinaryName = "/b", SystemdCgroup = false }} }} }}\n[plugins]\n"{IMAGES}" = {{ snapshotter = "s", pinned_images.sandbox = "p" }}\n',
    f'[plugins]\n"{RUNTIME}".containerd = {{ runtimes = {{ x = {{ runtime_type = "x.y.z", options = {{ BinaryName = "/b", SystemdCgroup = false }} }} }} }}\n"{IMAGES}" = {{ snapshotter = "s", pinned_images.sandbox = "p" }}\n',
]


@pytest.mark.parametrize("text", SPELLINGS_2)
def test_every_way_to_spell_a_table_of_schema_2_is_understood(text: str) -> None:
    text = f"version = 2\n{text}"
    assert data(text)["plugins"] == TABLES_2
    result = migrate(text, 3)
    assert data(result.text) == {"version": 3, "plugins": TABLES_3}
    assert not [note for note in result.notes if note.lost]


@pytest.mark.parametrize("text", SPELLINGS_3)
def test_every_way_to_spell_a_table_of_schema_3_is_understood(text: str) -> None:
    text = f"version = 3\n{text}"
    assert data(text)["plugins"] == TABLES_3
    assert data(migrate(text, 2).text) == {"version": 2, "plugins": TABLES_2}


def test_an_inline_table_whose_keys_stay_together_is_not_taken_apart() -> None:
    text = f"version = 2\n[plugins.'{CRI}']\nregistry = {{ config_path = '/c' }}  # mirrors\n"
    assert "registry = { config_path = '/c' }  # mirrors\n" in migrate(text, 3).text


@pytest.mark.parametrize("schema", [2, 3])
def test_a_file_that_is_right_already_is_returned_as_it_is(schema: Any) -> None:
    plugin = CRI if schema == 2 else RUNTIME
    text = f"version={schema}\n[plugins.'{plugin}']   # x\nenable_cdi=true"
    result = migrate(text, schema)
    assert result.text == text
    assert not result.changed
    assert result.notes == ()


@pytest.mark.parametrize("text", ["", "# nothing\n", "[debug]\nlevel = 'info'\n"])
def test_a_file_that_says_nothing_of_a_schema_stays_as_it_is(text: str) -> None:
    assert not migrate(text, 3).changed


def test_version_4_becomes_3_where_only_cri_tables_are_set() -> None:
    text = f"version = 4\n[plugins.'{RUNTIME}']\nenable_cdi = true\n"
    assert migrate(text, 3).text == text.replace("= 4", "= 3")


def test_tables_of_the_other_schema_under_the_right_version_are_put_right_and_that_is_said() -> (
    None
):
    result = migrate(f"version = 3\n[plugins.'{CRI}']\nenable_cdi = true\n", 3)
    assert result.text == f"version = 3\n[plugins.'{RUNTIME}']\nenable_cdi = true\n"
    (note,) = result.notes
    assert note.key == "version"
    assert not note.lost


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        ("# k0s_managed=true\n", "# more\n"),
        ("# my file\n# of 2023\n", "\n# handlers\n"),
        ("", "# handlers\n"),
    ],
)
def test_a_missing_version_is_written_below_the_heading(head: str, rest: str) -> None:
    table = f"[plugins.'{CRI}']\nenable_cdi = true\n"
    assert migrate(head + rest + table, 3).text == (
        f"{head}version = 3\n{rest}{table.replace(CRI, RUNTIME)}"
    )


def test_windows_line_ends_stay() -> None:
    text = f"version = 2\r\n# c\r\n[plugins.'{CRI}']\r\nsandbox_image = 'p'\r\nsystemd_cgroup = true\r\n"
    lines = migrate(text, 3).text.split("\n")
    assert all(line.endswith("\r") for line in lines[:-1])


def test_a_file_without_a_last_line_feed_is_no_trouble() -> None:
    text = f"version = 2\n[plugins.'{CRI}']\nsandbox_image = 'p'"
    assert data(migrate(text, 3).text)["plugins"] == {IMAGES: {"pinned_images": {"sandbox": "p"}}}


def test_of_two_values_for_one_place_the_one_that_is_there_wins_and_the_other_is_said() -> None:
    text = f"version = 2\n[plugins.'{CRI}']\nsandbox_image = 'old'\n[plugins.'{IMAGES}'.pinned_images]\nsandbox = 'new'\n"
    result = migrate(text, 3)
    assert data(result.text)["plugins"] == {IMAGES: {"pinned_images": {"sandbox": "new"}}}
    lost = [note for note in result.notes if note.lost]
    assert [note.line for note in lost] == [3]
    assert "'new'" in lost[0].why


def test_a_comment_at_a_key_that_is_left_out_stays_with_it() -> None:
    text = f"version = 2\n[plugins.'{CRI}']\n# never\nsystemd_cgroup = false\nenable_cdi = true\n"
    assert "# never\n# systemd_cgroup = false\n" in migrate(text, 3).text


def test_a_value_of_many_lines_is_commented_out_line_by_line() -> None:
    text = f"version = 2\n[plugins.'{CRI}'.containerd.untrusted_workload_runtime]\npod_annotations = [\n  'a',\n]\n"
    result = migrate(text, 3)
    assert data(result.text) == {"version": 3}
    assert "# pod_annotations = [\n#   'a',\n# ]\n" in result.text


def test_array_tables_and_strings_that_look_like_tables_are_left_alone() -> None:
    text = f'version = 2\nnote = """\n[plugins.\'{CRI}\']\n"""\n[[x]]\na = 1\n[x.y]\nb = 1\n[[x]]\na = 2\n[plugins.\'{CRI}\']\nenable_cdi = true\n'
    assert data(migrate(text, 3).text) == {
        **data(text),
        "version": 3,
        "plugins": {RUNTIME: {"enable_cdi": True}},
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("x = [\n", "f.toml:", "not TOML"),
        ("\ufeffversion = 2\n", "f.toml:1:1", "byte-order mark"),
        ("\nversion = 1\n", "f.toml:2", "version 1"),
        ("version = 5\n", "f.toml:1", "version = 5"),
        ("version = '3'\n", "f.toml:1", "version = '3'"),
        ("version = true\n", "f.toml:1", "version = True"),
        ("version = 2.0\n", "f.toml:1", "version = 2.0"),
        ("plugins = 3\n", "f.toml", "no table"),
        ("[plugins.cri]\nsandbox_image = 'p'\n", "f.toml", "version 1"),
        ("version = 4\n[plugins.'io.containerd.server.v1.new']\na = 1\n", "f.toml:2", "version 4"),
    ],
)
def test_a_file_that_cannot_be_rewritten_is_refused_with_its_place(
    text: str, place: str, words: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        migrate(text, 3, "f.toml")
    problem = caught.value.problems[0]
    assert problem.place.startswith(place)
    assert words in problem.message


@pytest.mark.parametrize(
    "text",
    [
        f"version = 2\n[plugins]\n'{CRI}' = 3\n",
        f"version = 2\n[plugins.'{CRI}']\ncontainerd = 'x'\n",
        f"version = 2\n[plugins.'{CRI}'.containerd]\nruntimes = 1\n",
        f"version = 2\n[plugins.'{CRI}'.cni]\nbin_dir = 3\n",
        f"version = 2\n[plugins.'{CRI}']\nregistry = []\n",
    ],
)
def test_a_wrong_type_is_carried_over_for_lint_to_judge(text: str) -> None:
    assert migrate(text, 3).changed
