"""What other hands wrote, as a fact for providers."""

from __future__ import annotations

from k0sruntime.compose import Existing
from k0sruntime.compose.foreign import ForeignFile, foreign_files
from k0sruntime.paths import Paths
from tests.compose.test_composition import CRI, RUNTIME

FOLDER = "/etc/k0s/containerd.d"


def test_files_come_in_containerds_order_and_ours_are_left_out() -> None:
    existing = Existing(
        main=b"version = 3\n",
        dropins={"b.toml": b"", "a.toml": b"version = 3\n", "k0sruntime-node.toml": b""},
        imports={"/etc/containerd/conf.d/x.toml": b""},
    )
    assert [file.path for file in foreign_files(existing, Paths())] == [
        "/etc/k0s/containerd.toml",
        "/etc/containerd/conf.d/x.toml",
        f"{FOLDER}/a.toml",
        f"{FOLDER}/b.toml",
    ]


def test_a_main_file_with_the_marker_is_not_foreign() -> None:
    existing = Existing(main=b"# k0s_managed=true\nversion = 3\n")
    assert foreign_files(existing, Paths()) == ()


def test_a_file_that_cannot_be_parsed_is_there_and_says_nothing() -> None:
    existing = Existing(dropins={"half.toml": b"version = ["})
    assert foreign_files(existing, Paths()) == (ForeignFile(f"{FOLDER}/half.toml", {}),)


def test_handlers_are_read_in_both_schemas() -> None:
    for plugin, version in ((CRI, 2), (RUNTIME, 3), (RUNTIME, 4)):
        text = (
            f'version = {version}\n[plugins."{plugin}".containerd]\ndefault_runtime_name = "x"\n'
            f'[plugins."{plugin}".containerd.runtimes.x]\nruntime_type = "a.b.c"\n'
        )
        (file,) = foreign_files(Existing(dropins={"x.toml": text.encode()}), Paths())
        assert file.version == version
        assert file.handlers == {"x": {"runtime_type": "a.b.c"}}
        assert file.default_handler == "x"


def test_odd_shapes_define_nothing() -> None:
    for document in (
        {"plugins": 3, "version": True},
        {"plugins": {RUNTIME: {"containerd": {"runtimes": [], "default_runtime_name": 3}}}},
    ):
        file = ForeignFile("/x", document)
        assert (file.version, file.handlers, file.default_handler) == (None, {}, "")
