"""What is no file is never waited for: a FIFO at any name that we read is refused, or told."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

import k0sruntime_mirrors.cli as mirrors
from k0sruntime import regular
from k0sruntime.cli import complete, export
from k0sruntime.cli.main import run
from k0sruntime.contributions import KubeletProfile
from k0sruntime.errors import RefusedError
from k0sruntime.ledger import State
from k0sruntime.lint.subject import HOSTS_FILE
from k0sruntime.modes.images import import_bundles
from k0sruntime.node import Program, Version
from k0sruntime.paths import Paths
from k0sruntime.real_files import RealFiles
from k0sruntime.testing import make_node
from k0sruntime_dockerd.bundles import import_bundle
from tests.conftest import LAB

pytestmark = pytest.mark.timeout(20)
PACKAGE = Path(regular.__file__).parent
OF_THE_KERNEL = ("/proc/",)
NOT_THE_NODES = ("testing/", "bundle/script.py")
"""A vendor's own tests, and a program that is packed into a bundle."""


def made(kind: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path has 107 characters at most
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
        os.chdir(here)
    return path


KINDS = ("a FIFO", "a socket", "a device", "a folder")
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("K0SRUNTIME_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    settings = tmp_path / "node/etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[node]\nk0s = "1.36"\nmode = "managed"\n')
    return tmp_path / "node"


@kinds
def test_what_is_no_file_is_not_opened_and_says_what_it_is(kind: str, tmp_path: Path) -> None:
    path = str(made(kind, tmp_path / "x"))
    with pytest.raises(OSError, match=r"directory" if kind == "a folder" else kind) as refused:
        regular.opened(path)
    assert refused.value.filename == path
    assert regular.other_kind(path) == kind
    assert RealFiles(Paths()).read(path) is None


def test_one_that_becomes_a_fifo_between_two_looks_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = str(made("a FIFO", tmp_path / "x")), tmp_path / "file"
    file.write_text("")
    plain = os.stat(file)
    monkeypatch.setattr(regular.os, "stat", lambda _: plain)
    with pytest.raises(OSError, match="a FIFO"):
        regular.opened(path)


def test_a_link_to_dev_null_is_an_empty_file_as_containerd_reads_it(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("/dev/null")
    assert regular.content(str(tmp_path / "x")) == b""
    assert regular.other_kind(str(tmp_path / "x")) == ""


def test_a_pipe_that_a_shell_hands_over_is_read_to_its_end(tmp_path: Path) -> None:
    code = "import sys; from k0sruntime import regular; print(regular.content(sys.argv[1]))"
    line = f"python -c '{code}' <(sleep 0.1; echo late)"
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=env, check=True)
    assert done.stdout == "b'late\\n'\n"


def test_nothing_else_opens_the_nodes_files_for_reading() -> None:
    """Every other ``open`` creates, appends, or reads what the kernel makes."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if name == "regular.py" or name.startswith(NOT_THE_NODES):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "gzip.open"):
                mode = node.args[1] if len(node.args) > 1 else ast.Constant("r")
                what = ast.unparse(node.args[0])
                reads = not set(ast.unparse(mode)) & set("wax")
                if reads and not what.strip("f'\"").startswith(OF_THE_KERNEL):
                    found.append(f"{name}: {ast.unparse(node)}")
    assert found == [
        # A container's log, which the proof's own pod wrote; /proc/PID/cgroup and the like.
        "cri.py: open(path, encoding='utf-8')",
        "modes/beside.py: open(path, encoding='utf-8', errors='replace')",
    ]


REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "a drop-in": ("etc/k0s/containerd.d/x.toml", ("plan",)),
    "a drop-in, at up": ("etc/k0s/containerd.d/x.toml", ("up",)),
    "a drop-in that is linted": (
        "etc/k0s/containerd.d/x.toml",
        ("lint", "--k0s", "1.36", "{path}"),
    ),
    "a folder that is linted": (
        "etc/k0s/containerd.d/x.toml",
        ("lint", "--k0s", "1.36", "{root}/etc/k0s/containerd.d"),
    ),
    "a drop-in that is rehearsed": ("etc/k0s/containerd.d/x.toml", ("rehearse", "--k0s", "1.36")),
    "a folder that is rehearsed": (
        "d/x.toml",
        ("rehearse", "--k0s", "1.36", "--dropins", "{root}/d"),
    ),
    "the main file": ("etc/k0s/containerd.toml", ("plan",)),
    "the settings": ("etc/k0sruntime/other.toml", ("plan", "--settings", "{path}")),
    "the node's own settings": ("etc/k0sruntime/config.toml", ("plan",)),
    "a file to migrate": ("x.toml", ("migrate", "{path}")),
    "a bundle": ("x.bundle", ("up", "--bundle", "{path}")),
    "the bundle to list": ("x.bundle", ("bundle", "--list", "{path}")),
    "the ledger": ("var/lib/k0sruntime/ledger.json", ("plan",)),
    "the journal": ("var/lib/k0sruntime/journal.json", ("up",)),
    "a k0sctl.yaml": ("k0sctl.yaml", ("export", "k0sctl", "--into", "{path}")),
    "a file at our name": ("etc/k0s/containerd.d/k0sruntime-gvisor.toml", ("plan",)),
    "a node's report": ("node.json", ("report", "{path}")),
}
NO_ROOT = ("lint", "migrate", "report", "bundle")


@kinds
@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_by_every_command_that_reads_it(
    what: str, kind: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, arguments = REFUSED[what]
    path = root / place
    path.unlink(missing_ok=True)
    made(kind, path)
    if what == "a file at our name":
        with (root / "etc/k0sruntime/config.toml").open("a") as file:
            file.write("[gvisor]\n")
    line = [word.format(path=path, root=root) for word in arguments]
    line += [] if line[0] in NO_ROOT else ["--root", str(root)]
    code = run(line)
    said = capsys.readouterr()
    if kind == "a folder" and (code == 2 or ("{path}" in arguments and line[0] == "lint")):
        assert code == 0 or "is a directory" in said.err, "click knows it; a folder may be linted"
        return
    assert code == 3, said
    text = " ".join((said.out + said.err).split())
    known = (kind, "Is a directory", "IsADirectoryError") if kind == "a folder" else (kind,)
    assert any(word in text for word in known), text
    assert path.name in text or (kind, place) == ("a device", "k0sctl.yaml"), "the link's target"


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device"])
def test_a_k0s_yaml_is_refused_before_a_profile_goes_into_it(kind: str, tmp_path: Path) -> None:
    path = str(made(kind, tmp_path / "k0s.yaml"))
    profile = KubeletProfile(name="docker", values={"cgroupDriver": "systemd"})
    with pytest.raises(RefusedError, match=f"it is {kind}"):
        export._merge(path, profile)
    with pytest.raises(RefusedError, match=f"it is {kind}"):
        export._given(path)


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device"])
def test_image_bundles_and_what_is_imported_by_providers_are_files(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = made(kind, tmp_path / "var/lib/k0s/images/x.tar")
    socket_path = str(tmp_path / "docker.sock")
    assert import_bundle(str(bundle), socket_path, "x86_64").problem == (
        f"no image bundle: it is {kind}"
    )
    paths = Paths.in_sandbox(str(tmp_path))
    node = replace(make_node("node", None), paths=paths, files=RealFiles(paths))
    ctr = tmp_path / "bin/ctr"
    ctr.parent.mkdir()
    ctr.write_text("#!/bin/sh\ncat >/dev/null\n")
    ctr.chmod(0o755)
    node = replace(node, containerd=Program(f"{ctr.parent}/containerd", Version(2, 1, 9)))
    assert import_bundles(node) == [f"{bundle} was not imported: it is {kind}"]
    assert mirrors.run(["import", str(bundle)]) == 3
    assert f"it is {kind}, and no file" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device"])
def test_a_kept_content_is_never_waited_for(kind: str, tmp_path: Path) -> None:
    state = State(Paths.in_sandbox(str(tmp_path)))
    key = state.keep(b"x")
    path = Path(f"{state.folder}/objects/{key}")
    path.unlink()
    made(kind, path)
    with pytest.raises(RefusedError, match="a kept file is not to be read in"):
        state.kept(key)


@kinds
def test_an_import_of_the_main_file_is_refused(
    kind: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = root / "etc/k0s/containerd.toml"
    main.parent.mkdir(parents=True)
    main.write_text('version = 3\nimports = ["/etc/x.d/*.toml"]\n')
    made(kind, root / "etc/x.d/x.toml")
    assert run(["plan", "--root", str(root)]) == 3
    said = capsys.readouterr().err
    assert f"the import cannot be read: it is {kind}, and no file" in said
    assert "where: /etc/x.d/x.toml" in said


@pytest.mark.real
@pytest.mark.parametrize("containerd", ["bin/containerd", "containerd-1.7/bin/containerd"])
def test_containerd_itself_waits_for_a_fifo_and_takes_dev_null_for_an_empty_file(
    containerd: str, tmp_path: Path
) -> None:
    def dumped() -> int:
        version = 2 if "1.7" in containerd else 3
        main = tmp_path / "main.toml"
        main.write_text(f'version = {version}\nimports = ["{tmp_path}/d/*.toml"]\n')
        command = [LAB / containerd, "--config", main, "config", "dump"]
        return subprocess.run(command, capture_output=True, timeout=1, check=False).returncode

    path = tmp_path / "d/x.toml"
    made("a FIFO", path)
    with pytest.raises(subprocess.TimeoutExpired):
        dumped()
    path.unlink()
    made("a socket", path)
    assert dumped() == 1
    path.unlink()
    path.symlink_to("/dev/null")
    assert dumped() == 0


def test_a_hosts_file_that_is_a_fifo_makes_pulls_hang_and_lint_says_so(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made("a FIFO", root / "etc/k0s/certs.d/docker.io" / HOSTS_FILE)
    assert run(["lint", "--k0s", "1.36", "--format", "json", str(root / "etc/k0s/certs.d")]) == 0
    said = capsys.readouterr().out
    assert "a FIFO under the name of a file" in said
    assert '"breaks pods"' in said


def test_completion_passes_over_it(tmp_path: Path) -> None:
    made("a FIFO", tmp_path / "etc/k0s/containerd.d/x.toml")
    good = tmp_path / "etc/k0s/containerd.d/y.toml"
    good.write_text(
        'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.crun]\n'
        'runtime_type = "io.containerd.runc.v2"\n'
    )
    asked = click.Context(click.Command("verify"))
    asked.params = {"sandbox": str(tmp_path)}
    offered = complete.handlers(asked, click.Option(["--handler"]), "")
    assert [item.value for item in offered] == ["crun"]
