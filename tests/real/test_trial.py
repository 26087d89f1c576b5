"""A rehearsal starts the real containerd on trial: what it dies of is told, and nothing is touched.

Each of the deadly lines is one that ``config dump`` accepts.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import lint, namespaces, trial
from k0sruntime.cli.main import run
from tests.real.conftest import CONTAINERDS, RealNode, mounts, processes

pytestmark = pytest.mark.real

K0S = {"2.1": "1.36", "1.7": "1.35"}
RUNTIME = {"2.1": "io.containerd.cri.v1.runtime", "1.7": "io.containerd.grpc.v1.cri"}
IMAGES = {"2.1": "io.containerd.cri.v1.images", "1.7": "io.containerd.grpc.v1.cri"}
OF_SNAPSHOTTER = {"2.1": "", "1.7": ".containerd"}
SPEC = '[plugins."{runtime}".containerd.runtimes.x]\nruntime_type = "io.containerd.runc.v2"\n'
DEADLY = {
    'required_plugins = ["io.containerd.snapshotter.v1.btrfs"]': "must be a btrfs filesystem",
    'required_plugins = ["io.containerd.snapshotter.v1.devmapper"]': "devmapper not configured",
    '[metrics]\naddress = "999:1"': "failed to get listener for metrics endpoint",
    '[plugins."io.containerd.metadata.v1.bolt"]\ncontent_sharing_policy = "nope"': "unknown policy",
    '[plugins."io.containerd.service.v1.diff-service"]\ndefault = ["nope"]': "differ not loaded",
    '[plugins."{images}"]\nstats_collect_period = -1': "panic: non-positive interval",
    '[plugins."io.containerd.runtime.v2.task"]\nplatforms = ["linux/nope/x/y/z"]': "y/z",
    '[debug]\naddress = "999:1"': "",
}
HEALTHY = f"""oom_score = -999
temp = "{{folder}}/no/such/temp"
[cgroup]
path = "/k0sruntime-no-such"
[metrics]
address = "192.0.2.7:1338"
[debug]
level = "loud"
address = "{{folder}}/no/such/debug.sock"
[plugins."{{runtime}}".cni]
conf_dir = "{{folder}}/no/such/net.d"
[plugins."io.containerd.snapshotter.v1.overlayfs"]
root_path = "{{folder}}/snapshots"
{SPEC}base_runtime_spec = "{{folder}}/spec.json"
"""
"""What a node has, and a room of its own has not. k0s gives its own --log-level."""


KNOWN = {"K0R108", "K0R110", "K0R312", "K0R313", "K0R314", "K0R315"}
"""Rules that know such lines by now."""


@pytest.fixture
def no_rule_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take those rules away: where one finds something, nothing is started."""
    monkeypatch.setattr(lint, "RULES", [rule for rule in lint.RULES if rule.code not in KNOWN])


UNKNOWN = '[metrics]\naddress = "127.0.0.1:no-such-service"'
"""A line that no rule knows: whether a service has that name is the machine's to say."""


def lay(folder: Path, line: str, text: str, name: str = "10.toml") -> Path:
    """Lay a drop-in of a node, with the tables' names of its line in place."""
    names = {"{runtime}": RUNTIME[line], "{images}": IMAGES[line], "{folder}": str(folder)}
    for word, name_ in names.items():
        text = text.replace(word, name_)
    path = folder / "etc/k0s/containerd.d" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"version = {3 if line == '2.1' else 2}\n{text}\n")
    (folder / "spec.json").write_text('{"ociVersion": "1.0.2", "process": {}, "linux": {}}')
    return path


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what lies below a folder: inode, size and time."""
    found = {str(path): path.lstat() for path in sorted(folder.rglob("*"))}
    return {path: (s.st_ino, s.st_size, s.st_mtime_ns) for path, s in found.items()}


def rehearsed(folder: Path, line: str, capsys: Any, *more: str) -> tuple[int, dict[str, Any]]:
    """Rehearse a node in a folder, and see that nothing of it is touched."""
    settings = folder / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("")
    before = everything(folder), mounts(folder), processes(folder)
    binary = ["--containerd", str(CONTAINERDS[line])]
    where = ["--sandbox", str(folder), "--no-providers", "--json"]
    code = run(["rehearse", *binary, *where, *more])
    assert (everything(folder), mounts(folder), processes(folder)) == before
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("no_rule_knows")
@pytest.mark.parametrize("line", CONTAINERDS)
@pytest.mark.parametrize("text", DEADLY)
def test_what_the_real_one_dies_of_is_told_in_its_own_words(
    text: str, line: str, folder: Path, capsys
) -> None:
    lay(folder, line, text)
    code, said = rehearsed(folder, line, capsys, "--k0s", K0S[line])
    assert (code, said["comes_back"], said["comes_back_after"]) == (3, False, False)
    assert (said["judged_by"], said["judged_after_by"]) == ("a trial start", "a trial start")
    assert [f for f in said["findings"] if f["severity"] == "error"] == [], "no rule knows it"
    for (problem,) in (said["refused"], said["left"]):
        assert DEADLY[text] in problem["message"]
    assert namespaces.OWN not in json.dumps(said), "the room is nobody's business"


@pytest.mark.parametrize("line", CONTAINERDS)
def test_what_no_rule_knows_is_told_all_the_same(line: str, folder: Path, capsys) -> None:
    lay(folder, line, UNKNOWN)
    code, said = rehearsed(folder, line, capsys, "--k0s", K0S[line])
    assert (code, said["comes_back"], said["judged_by"]) == (3, False, "a trial start")
    assert "failed to get listener for metrics endpoint" in said["refused"][0]["message"]


@pytest.mark.parametrize("line", CONTAINERDS)
@pytest.mark.parametrize("text", ["", HEALTHY], ids=["nothing", "all that a node may have"])
def test_what_a_node_lives_with_comes_up(text: str, line: str, folder: Path, capsys) -> None:
    lay(folder, line, text)
    code, said = rehearsed(folder, line, capsys, "--k0s", K0S[line])
    assert (code, said["comes_back"], said["refused"], said["left"]) == (0, True, [], [])
    assert (said["judged_by"], said["judged_after_by"]) == ("a trial start", "a trial start")
    assert said["untried"] == ""


@pytest.mark.usefixtures("no_rule_knows")
@pytest.mark.parametrize("line", CONTAINERDS)
def test_certificates_that_are_not_there_are_told(line: str, folder: Path, capsys) -> None:
    """In a main file of the operator's; k0s takes the table in no drop-in."""
    text = (
        'imports = ["{folder}/etc/k0s/containerd.d/*.toml"]\n'
        '[plugins."io.containerd.grpc.v1.cri"]\nenable_tls_streaming = true\n'
        '[plugins."io.containerd.grpc.v1.cri".x509_key_pair_streaming]\n'
        'tls_cert_file = "/nope"\ntls_key_file = "/nope"\n'
    )
    lay(folder, line, text, "../containerd.toml")
    code, said = rehearsed(folder, line, capsys)
    assert (code, said["comes_back"], said["judged_by"]) == (3, False, "a trial start")
    assert "open /nope: no such file" in said["refused"][0]["message"]


@pytest.mark.usefixtures("no_rule_knows")
def test_what_migrate_would_make_of_files_is_started_as_well(folder: Path, capsys) -> None:
    """What imports name is read where it would lie, mended as well."""
    vendor = lay(folder, "1.7", SPEC, "vendor.d/a.toml")
    dropin = f'imports = ["{vendor}"]\n'
    lay(folder, "1.7", dropin + SPEC.replace("runtimes.x", "runtimes.y"))
    code, said = rehearsed(folder, "2.1", capsys, "--k0s", "1.36")
    assert (code, said["comes_back"], said["comes_back_after"]) == (3, False, True), said
    assert (said["judged_by"], said["judged_after_by"]) == (
        "config dump and rules",
        "a trial start",
    )
    lay(
        folder,
        "1.7",
        f'{SPEC}[plugins."io.containerd.metadata.v1.bolt"]\ncontent_sharing_policy = "nope"\n',
        "vendor.d/a.toml",
    )
    code, said = rehearsed(folder, "2.1", capsys, "--k0s", "1.36")
    assert (code, said["comes_back_after"]) == (3, False)
    assert "unknown policy" in said["left"][0]["message"]


@pytest.fixture
def listening(folder: Path) -> Iterator[dict[str, socket.socket]]:
    """Sockets of the node's own, at the places that drop-ins name."""
    sockets = {}
    for name in ("nri", "proxy", "ttrpc"):
        sockets[name] = socket.socket(socket.AF_UNIX)
        sockets[name].bind(str(folder / f"{name}.sock"))
        sockets[name].listen()
        sockets[name].settimeout(0)
    yield sockets
    for server in sockets.values():
        server.close()


@pytest.mark.parametrize("line", CONTAINERDS)
def test_no_socket_of_the_node_is_taken_or_asked(
    line: str, folder: Path, listening: dict[str, socket.socket], capsys
) -> None:
    """A containerd of no images, connected to the node's snapshotter, would clear that."""
    plugin = folder / "nri/plugins/10-told"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(f"#!/bin/sh\ntouch {folder}/nri-was-started\n")
    plugin.chmod(0o755)
    lay(
        folder,
        line,
        '[plugins."io.containerd.nri.v1.nri"]\ndisable = false\nsocket_path = "{folder}/nri.sock"\n'
        'plugin_path = "{folder}/nri/plugins"\n'
        '[ttrpc]\naddress = "{folder}/ttrpc.sock"\n'
        '[proxy_plugins.own]\ntype = "snapshot"\naddress = "{folder}/proxy.sock"\n'
        f'[plugins."{{images}}"{OF_SNAPSHOTTER[line]}]\nsnapshotter = "own"\n',
    )
    code, said = rehearsed(folder, line, capsys)
    assert (said["refused"], said["left"]) == ([], [])
    assert (code, said["judged_by"]) == (0, "a trial start")
    for name, server in listening.items():
        with pytest.raises(BlockingIOError):
            server.accept()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(folder / f"{name}.sock"))
            server.accept()[0].close()


def test_a_node_that_runs_goes_on_while_it_is_rehearsed(node: RealNode) -> None:
    node.ok("up")
    pid = int((node.folder / "run/k0s/containerd.pid").read_text())
    log, files = node.log(), node.files()
    network = Path("/proc/self/net/dev").read_text().splitlines()
    done = node.run("rehearse", "--containerd", str(node.containerd))
    assert done.returncode == 0, done.stderr + done.stdout
    told = "The node comes back, by a trial start: containerd came up with these files."
    assert told in done.stdout
    now = Path("/proc/self/net/dev").read_text().splitlines()
    assert [row.split(":")[0] for row in now] == [row.split(":")[0] for row in network]
    assert node.log() == log, "it has met nobody"
    assert node.files() == files
    assert int((node.folder / "run/k0s/containerd.pid").read_text()) == pid
    os.kill(pid, 0)
    assert node.ok("verify")["proofs"]


def in_a_room(command: str, folder: Path, **plan: Any) -> subprocess.CompletedProcess[str]:
    """Run a shell's words as a trial start runs containerd."""
    whole = {"hidden": [], "writable": [], "files": {}, **plan}
    whole["command"] = ["/bin/sh", "-c", command]
    return subprocess.run(
        [sys.executable, "-I", "-S", namespaces.__file__],
        input=json.dumps(whole),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_in_the_room_nothing_of_the_machine_can_be_written_or_reached(folder: Path) -> None:
    kept = folder / "kept"
    kept.mkdir()
    (kept / "old").write_text("old")
    (folder / "hidden").mkdir()
    (folder / "hidden/data").write_text("data")
    done = in_a_room(
        f"ls -A /run; cat /proc/net/dev | grep -c :; cat {kept}/new; ls -A {kept} {folder}/hidden;"
        f" for p in /etc /tmp /var /sys /dev/shm {folder}; do touch $p/nope && echo $p; done;"
        f" touch {kept}/more && echo made",
        folder,
        writable=[str(kept)],
        files={str(kept / "new"): "new\n", str(kept / "old"): None},
        hidden=[str(folder / "hidden")],
    )
    room = Path(namespaces.OWN).name
    # Some kernels give a new network namespace tunnels of its own.
    ls, _, *rest = done.stdout.splitlines()
    assert ls == room
    assert rest == ["new", f"{folder}/hidden:", "", f"{kept}:", "new", "made"], done.stderr
    assert done.stderr.count("Read-only file system") == 6
    assert [path.name for path in kept.iterdir()] == ["old"]
    assert not Path(namespaces.OWN).exists()


def test_it_ends_with_the_command_that_started_it(folder: Path) -> None:
    """A rehearsal that is killed leaves no containerd behind, however it is killed."""
    plan = {"hidden": [], "writable": [], "files": {}, "command": ["/bin/sleep", "300"]}
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-S', {namespaces.__file__!r}],"
        " stdin=subprocess.PIPE, start_new_session=True)\n"
        f"child.stdin.write({json.dumps(plan).encode()!r}); child.stdin.close()\n"
        "while open(f'/proc/{child.pid}/comm').read() != 'sleep\\n': time.sleep(0.01)\n"
        "print(child.pid, flush=True); time.sleep(300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def test_a_containerd_that_never_answers_is_ended_and_nothing_is_claimed(
    folder: Path, capsys, monkeypatch
) -> None:
    slow = folder / "containerd"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*|*dump*) exec {CONTAINERDS["2.1"]} "$@";; esac\n'
        f"exec sleep 300.{os.getpid()}\n"
    )
    slow.chmod(0o755)
    monkeypatch.setattr(trial, "SECONDS", 0.3)
    monkeypatch.setitem(CONTAINERDS, "2.1", slow)
    lay(folder, "2.1", "")
    code, said = rehearsed(folder, "2.1", capsys, "--k0s", "1.36")
    assert (code, said["judged_by"]) == (0, "config dump and rules")
    assert said["untried"] == "containerd 2.1.9 did not answer within 0.3 s"
    assert not processes(Path(f"300.{os.getpid()}"))


def test_where_none_is_made_that_is_said_and_why(folder: Path, capsys) -> None:
    lay(folder, "2.1", UNKNOWN)
    code, said = rehearsed(folder, "2.1", capsys, "--k0s", "1.36", "--no-start")
    assert (code, said["judged_by"]) == (0, "config dump and rules")
    assert said["untried"] == "it was not wanted (--no-start)"
    command = [sys.executable, "-m", "k0sruntime", "rehearse", "--sandbox", str(folder)]
    command += ["--no-providers", "--containerd", str(CONTAINERDS["2.1"])]
    bare = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    done = subprocess.run([*bare, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "The node comes back as far as config dump and rules can tell.\n" in done.stdout
    told = "No trial start was made: it was refused a room of its own: unshare: Operation not perm"
    assert told in done.stdout


def test_only_root_can_make_one(folder: Path, capsys) -> None:
    lay(folder, "2.1", "")
    folder.chmod(0o755)
    os.seteuid(65534)
    try:
        binary = ["--containerd", str(CONTAINERDS["2.1"]), "--k0s", "1.36"]
        code = run(["rehearse", *binary, "--sandbox", str(folder), "--no-providers", "--json"])
    finally:
        os.seteuid(0)
    said = json.loads(capsys.readouterr().out)
    assert (code, said["comes_back"], said["judged_by"]) == (0, True, "config dump and rules")
    assert said["untried"] == "it needs root"
