"""The provider on made-up nodes; the conformance kit does the rest."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import tomlkit
from k0sruntime_stargz import StargzSettings, provider

from k0sruntime import CRIError, Inactive, RuntimeHandler
from k0sruntime.testing import LINES, MadeUpCRI, MadeUpFiles, compose, make_node, texts

HERE = "/run/containerd-stargz-grpc/containerd-stargz-grpc.sock"
ROOT = "/var/lib/containerd-stargz-grpc"
"""Snapshots lie here."""
FROM_STARGZ = f"overlay / overlay rw,lowerdir={ROOT}/snapshotter/snapshots/1/fs,upperdir=/x 0 0\n"


def node(*, sockets=(HERE,), binaries=(), line="1.36", probe_image="", **settings):
    found = StargzSettings(**settings)
    more = {"files": MadeUpFiles(sockets=sockets), "binaries": binaries, "line": line}
    mode = "managed" if LINES[line][0] else "standalone"
    return make_node("stargz", found, mode=mode, probe_image=probe_image, **more)


def files(line="1.36", **more):
    """Return its two drop-ins, read: CRI's keys, and all else."""
    made = texts(compose(provider, node(line=line, **more)), "stargz")
    cri, tables = (
        made[f"containerd.d/k0sruntime-stargz{suffix}.toml"] for suffix in ("", "-tables")
    )
    return tomlkit.parse(cri).unwrap(), tomlkit.parse(tables).unwrap()


@pytest.mark.parametrize("line", LINES)
def test_the_proxy_plugin_is_a_file_without_a_cri_table_that_every_line_imports(line):
    _, tables = files(line)
    assert tables["proxy_plugins"] == {
        "stargz": {"type": "snapshot", "address": HERE, "exports": {"root": ROOT}}
    }
    assert "plugins" not in tables


def test_the_keys_of_the_images_table_go_where_the_schema_has_them():
    wanted = {"snapshotter": "stargz", "disable_snapshot_annotations": False}
    old, _ = files("1.35")
    assert old["plugins"] == {"io.containerd." + "grpc.v1.cri": {"containerd": wanted}}
    new, _ = files("1.36")
    assert new["plugins"] == {"io.containerd." + "cri.v1.images": wanted}


def test_it_may_serve_the_handlers_of_others_alone():
    runsc = RuntimeHandler(name="runsc", runtime_type="io.containerd.runsc.v1")
    gvisor = type("Gvisor", (), {"contribute_dropin": lambda self, node: [runsc]})()
    made = compose(
        provider, node(default=False, handlers=["runsc"]), others={"gvisor": (gvisor, None)}
    )
    tables = {handler.name: handler.table for handler in made.handlers}
    assert tables["runsc"]["snapshotter"] == "stargz"
    assert "snapshotter" not in tables["runc"]
    assert (
        'snapshotter = "stargz"' not in texts(made, "gvisor")["containerd.d/k0sruntime-gvisor.toml"]
    )


def test_with_neither_program_nor_socket_it_rests_and_says_what_it_looked_for():
    with pytest.raises(Inactive, match="no containerd-stargz-grpc on the node's PATH, and no sock"):
        list(provider.contribute_dropin(node(sockets=())))


@pytest.mark.parametrize("there", [{"binaries": ["containerd-stargz-grpc"]}, {"socket": "/run/s"}])
def test_a_snapshotter_that_has_not_started_yet_is_warned_of_and_counts_all_the_same(there):
    warning, *rest = provider.contribute_dropin(node(sockets=(), **there))
    assert (warning.verdict, len(rest)) == ("warn", 3)
    assert "there is no socket /run/" in warning.detail


@pytest.mark.parametrize("wrong", [{"socket": "run/s.sock"}, {"root": "~/stargz"}])
def test_a_path_that_is_not_absolute_is_refused(wrong):
    with pytest.raises(ValueError, match="absolute"):
        StargzSettings(**wrong)


@pytest.fixture
def listening(tmp_path: Path):
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        yield path


def verdicts(node, cri):
    return [check.verdict for check in provider.post_start_check(node, cri)]


def test_a_container_whose_root_lies_in_its_folder_is_the_proof(listening):
    cri = MadeUpCRI(says=FROM_STARGZ, folders=[ROOT])
    here = node(socket=listening, probe_image="probe:1", handlers=["runsc"])
    assert verdicts(here, cri) == ["pass", "pass", "pass", "pass"]
    assert [handler for handler, _, _ in cri.ran] == ["runc", "runsc"]


def test_a_container_whose_root_lies_elsewhere_fails_the_proof(listening):
    cri = MadeUpCRI(says=FROM_STARGZ.replace("stargz", "overlayfs"))
    here = node(socket=listening, probe_image="probe:1")
    assert verdicts(here, cri) == ["pass", "fail", "fail"]


def test_a_kernel_that_does_not_tell_and_a_node_without_an_image_prove_nothing(listening):
    cri = MadeUpCRI(says="none / 9p rw 0 0\n", folders=[ROOT])
    assert verdicts(node(socket=listening, probe_image="probe:1"), cri)[2:] == ["unknown"]
    assert verdicts(node(socket=listening), cri)[2:] == ["unknown"]


def test_a_socket_that_nobody_listens_on_is_told_with_what_to_do(tmp_path):
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    (check,) = provider.post_start_check(node(socket=path), MadeUpCRI())
    assert check.verdict == "fail"
    assert "nobody listens on it" in check.detail
    assert "systemctl enable --now" in check.remedy


def test_a_cri_that_does_not_answer_fails_the_proof(listening):
    cri = MadeUpCRI(fails=CRIError("UNAVAILABLE", "connection refused"))
    assert verdicts(node(socket=listening, probe_image="probe:1"), cri) == ["pass", "fail", "fail"]
