"""An image is composed for nodes like it: of the machine that makes it, nothing is taken for theirs."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import pytest

from k0sruntime import facts, host
from k0sruntime.cli.main import run
from k0sruntime.facts import ask_programs, observe_node
from k0sruntime.node import GPU, Version
from k0sruntime.node_provider import NodeSettings
from k0sruntime.paths import Paths

MACHINES = {"x86_64": 62, "aarch64": 183}
OTHER = {"x86_64": "aarch64", "aarch64": "x86_64"}[platform.machine()]
NO_PLUGINS = ["--no-providers"]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("K0SRUNTIME_")]:
        monkeypatch.delenv(name)


def elf(machine: str) -> bytes:
    """Return the beginning of a program for a machine; it runs nowhere."""
    return b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0" + MACHINES[machine].to_bytes(2, "little")


def put(root: Path, path: str, content: bytes, mode: int = 0o755) -> Path:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(mode)
    return target


def settings(root: Path, text: str) -> None:
    put(root, "/etc/k0sruntime/config.toml", text.encode(), 0o600)


def test_the_machine_is_that_of_the_images_own_programs(tmp_path: Path) -> None:
    assert host.machine(str(tmp_path)) == platform.machine(), "an empty one tells nothing"
    put(tmp_path, "/usr/bin/dash", elf(OTHER))
    (tmp_path / "bin").symlink_to("/usr/bin")
    (tmp_path / "usr/bin/sh").symlink_to("/usr/bin/dash")
    assert host.machine(str(tmp_path)) == OTHER, "links are followed as the image sees them"
    assert host.machine("/") == platform.machine()


@pytest.mark.parametrize("root", ["/", "elsewhere"])
def test_nothing_of_the_machine_that_makes_it_is_taken_for_the_nodes(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container build the image is the very root: --root / says so."""
    gpu = GPU("0000:41:00.0", 0x10DE, 0x0302, "nvidia")
    monkeypatch.setattr(facts, "_gpus", lambda _: (gpu,))
    monkeypatch.setattr(facts, "_has_capability", lambda _: False)
    monkeypatch.setattr(facts, "_cgroups", lambda _: 1)
    monkeypatch.setattr(host, "kvm_problem", lambda *_: "no KVM in a build")
    monkeypatch.setattr(host, "kernel", lambda _: Version(4, 19))
    monkeypatch.setenv("PATH", "/of/the/builder")
    own = NodeSettings(k0s="1.36", mode="managed")
    paths = Paths(root=root if root == "/" else str(tmp_path), image=True)
    node = observe_node(paths, own, ask_programs(paths, own))
    assert (node.gpus, node.kernel, node.kvm_problem) == ((), None, "")
    assert (node.can_lower_oom_score, node.cgroups) == (True, 2)
    assert "/of/the/builder" not in node.search_path
    here = Paths()
    assert observe_node(here, own, ask_programs(here, own)).gpus == (gpu,)


def test_the_command_line_takes_every_root_for_an_image() -> None:
    from k0sruntime.cli.options import paths

    assert paths(None, "/").image
    assert not paths(None, None).image


def test_a_k0s_that_does_not_run_here_is_no_standalone_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another machine's k0s tells no version, and a guess would be the wrong mode."""
    put(tmp_path, "/usr/local/bin/k0s", elf(OTHER))
    assert run(["up", "--root", str(tmp_path), *NO_PLUGINS]) == 3
    said = capsys.readouterr().err
    assert "the image's k0s does not run on this machine" in said
    assert '[node] k0s = "1.36"' in said
    assert not (tmp_path / "etc/k0s").exists()
    settings(tmp_path, '[node]\nk0s = "1.36"\npause_image = "pause:1"\n')
    assert run(["up", "--root", str(tmp_path), *NO_PLUGINS]) == 0
    assert list((tmp_path / "etc/k0s/containerd.d").iterdir())


def test_modes_and_owners_are_right_whatever_the_umask_of_the_build(tmp_path: Path) -> None:
    settings(tmp_path, '[node]\nmode = "managed"\nk0s = "1.36"\npause_image = "pause:1"\n')
    before = os.umask(0o077)
    try:
        assert run(["up", "--root", str(tmp_path), *NO_PLUGINS]) == 0
    finally:
        os.umask(before)
    for path in ("etc/k0s", "etc/k0s/containerd.d"):
        assert (tmp_path / path).stat().st_mode & 0o777 == 0o755, path
    for path in (tmp_path / "etc/k0s").rglob("*.toml"):
        found = path.stat()
        assert (found.st_mode & 0o777, found.st_uid) == (0o644, os.geteuid())


def test_nothing_volatile_stays_in_it(tmp_path: Path) -> None:
    settings(tmp_path, '[node]\nmode = "managed"\nk0s = "1.36"\n')
    assert run(["up", "--root", str(tmp_path), *NO_PLUGINS]) == 0
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not (tmp_path / "run/k0sruntime").exists()


@pytest.mark.real
def test_programs_that_run_in_their_image_alone_are_asked_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stand-in for a containerd that needs the image's own libraries: its loader is a shell."""
    from tests.conftest import LAB

    (busybox,) = LAB.glob("packages/*/busybox-static/bin/busybox")
    put(tmp_path, "/only-here/sh", busybox.read_bytes())
    words = "containerd github.com/containerd/containerd 2.1.9 0"
    told = '[ "$1" = --version ] || [ -e "${1#--config=}" ] || exit 9'
    script = f"#!/only-here/sh\n{told}\necho {words}\n"
    put(tmp_path, "/usr/bin/containerd", script.encode())
    assert run(["up", "--root", str(tmp_path), *NO_PLUGINS, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["generation"] == 1
    assert (tmp_path / "etc/k0s/containerd.toml").read_text().startswith("# k0s_managed=true\n")


@pytest.mark.parametrize(("said", "restricted"), [("", False), ("true", True), ("false", False)])
def test_an_image_says_what_its_nodes_may_not(tmp_path: Path, said: str, restricted: bool) -> None:
    line = f"restrict_oom_score_adj = {said}\n" if said else ""
    settings(tmp_path, f'[node]\nmode = "managed"\nk0s = "1.36"\npause_image = "p:1"\n{line}')
    assert run(["up", "--root", str(tmp_path), *NO_PLUGINS]) == 0
    text = "".join(p.read_text() for p in (tmp_path / "etc/k0s/containerd.d").iterdir())
    assert ("restrict_oom_score_adj = true" in text) is restricted
