"""Shells complete commands, options and names: bash, zsh and fish are really asked."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from k0sruntime.cli.main import COMMANDS
from tests.conftest import LAB

BIN = Path(sys.executable).parent
DROPIN = b"""version = 3

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "crun"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.crun]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.nri.v1.nri"]
disable = true
"""
SHELLS = [
    "bash",
    pytest.param("zsh", marks=pytest.mark.real),
    pytest.param("fish", marks=pytest.mark.real),
]


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A sandbox with a drop-in, a broken one, and a provider that must not be imported."""
    dropins = tmp_path / "node/etc/k0s/containerd.d"
    dropins.mkdir(parents=True)
    (dropins / "10-crun.toml").write_bytes(DROPIN)
    (dropins / "20-broken.toml").write_bytes(b"= nonsense")
    (tmp_path / "node/etc/k0sruntime").mkdir()
    (tmp_path / "node/etc/k0sruntime/config.toml").write_text("[node\n")
    (tmp_path / "acme.py").write_text(
        f"open({str(tmp_path / 'imported')!r}, 'w')\nraise SystemExit\n"
    )
    info = tmp_path / "k0sruntime_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: k0sruntime-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[k0sruntime]\nacme = acme\n")
    return tmp_path


def environment(node: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("K0SRUNTIME")}
    return {
        **kept,
        "PATH": f"{BIN}:{LAB}/bin:/usr/bin:/bin",
        "PYTHONPATH": str(node),
        "HOME": str(node),
        "TERM": "dumb",
    }


def asked(shell: str, line: str, node: Path) -> list[str]:
    """Return what a shell offers at the end of a line."""
    if shell == "bash":
        return in_bash(line, node)
    if shell == "fish":
        script = f"k0sruntime completion fish | source; complete -C {line!r}"
        said = ran([str(LAB / "bin/fish"), "--no-config", "-c", script], node)
        return [offered.partition("\t")[0] for offered in said.splitlines()]
    return in_zsh(line, node)


def in_bash(line: str, node: Path) -> list[str]:
    words = " ".join(f"'{word}'" for word in line.split(" "))
    script = f"""eval "$(k0sruntime completion bash)"; complete -p k0sruntime >/dev/null || exit 1
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
$(complete -p k0sruntime | sed -E 's/.*-F ([^ ]+).*/\\1/') k0sruntime
printf '%s\\n' "${{COMPREPLY[@]}}\""""
    return ran(["bash", "--norc", "-c", script], node).split()


def ran(command: Sequence[str], node: Path) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(node), timeout=30, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


ZSHRC = """PS1='ready> '; setopt no_beep list_ambiguous; LISTMAX=1000
autoload -U compinit; compinit -u -D
eval "$(k0sruntime completion zsh)"
"""


def in_zsh(line: str, node: Path) -> list[str]:
    """Press the key in a terminal; what appears after the line are the offers."""
    (node / ".zshrc").write_text(ZSHRC)
    process, terminal = pty.fork()
    if not process:
        os.execve(LAB / "bin/zsh", ["zsh", "-i"], {**environment(node), "ZDOTDIR": str(node)})
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 1000, 0, 0))
        until(terminal, lambda seen: "ready> " in seen)
        os.write(terminal, line.encode() + b"\t")
        screen = until(terminal, lambda seen: len(seen.replace("\x07", "")) > len(line))
    finally:
        os.close(terminal)
        os.waitpid(process, 0)
    return screen.replace(line, line.rpartition(" ")[2], 1).split()


def until(terminal: int, done: Callable[[str], bool], seconds: float = 15) -> str:
    """Read a terminal until what is there will do, and what comes at once with it."""
    seen, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace").replace("\r", "\n")
        elif done(seen):
            return seen
    raise AssertionError(seen)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offer"),
    [
        ("k0sruntime quar", "quarantine"),
        ("k0sruntime plan --exit", "--exit-code"),
        ("k0sruntime providers mir", "mirrors"),
        ("k0sruntime up --without acm", "acme"),
        ("k0sruntime explain --sandbox {node}/node --handler cr", "crun"),
        (
            "k0sruntime explain --sandbox {node}/node containerd.def",
            "containerd.default_runtime_name",
        ),
        ("k0sruntime up --mode stand", "standalone"),
    ],
)
def test_a_shell_completes(shell: str, line: str, offer: str, node: Path) -> None:
    assert offer in asked(shell, line.format(node=node), node)
    assert not (node / "imported").exists()


def test_every_command_is_offered(node: Path) -> None:
    assert set(in_bash("k0sruntime ", node)) >= set(COMMANDS)


def test_keys_are_offered_as_explain_takes_them(node: Path) -> None:
    found = in_bash(f"k0sruntime explain --sandbox {node}/node containerd.runtimes.", node)
    assert found == ["containerd.runtimes.crun", "containerd.runtimes.crun.runtime_type"]


def test_generations_are_offered_the_newest_first(node: Path) -> None:
    folder = node / "node/var/lib/k0sruntime/generations"
    folder.mkdir(parents=True)
    for number in (1, 2, 10):
        (folder / f"{number}.json").write_text("{}")
    assert in_bash(f"k0sruntime rollback --sandbox {node}/node ", node) == ["10", "2", "1"]


LINES = [
    "k0sruntime ",
    "k0sruntime providers ",
    "k0sruntime explain ",
    "k0sruntime rollback ",
    "k0sruntime nonsense ",
    "k0sruntime up --mode nonsense --without ",
    "k0sruntime lint --k0s ",
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("sandbox", ["node", "not-there", "acme.py"])
def test_it_is_fast_writes_nothing_and_never_tells_an_error(
    line: str, sandbox: str, node: Path
) -> None:
    before = sorted(tree(node))
    started = burnt()
    done = subprocess.run(
        [BIN / "k0sruntime"],
        env={
            **environment(node),
            "K0SRUNTIME_SANDBOX": str(node / sandbox),
            "PYTHONDONTWRITEBYTECODE": "1",
            "_K0SRUNTIME_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        },
        capture_output=True,
        check=False,
    )
    assert burnt() - started < 1, "seconds of the processor, of which it takes a fifth"
    assert done.stderr == b""
    assert sorted(tree(node)) == before


def burnt() -> float:
    """Return the seconds of the processor that ended children have taken, whoever else wants it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tree(folder: Path) -> Iterator[tuple[str, float]]:
    for path in folder.rglob("*"):
        yield str(path), path.stat().st_mtime


def test_a_folder_that_cannot_be_read_offers_nothing(
    node: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a user sees it who is not root."""
    from k0sruntime import ledger
    from k0sruntime.cli.main import run

    def denied(_: object) -> list[int]:
        raise PermissionError

    monkeypatch.setattr(ledger.State, "generations", denied)
    monkeypatch.setenv("_K0SRUNTIME_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "k0sruntime rollback ")
    monkeypatch.setenv("COMP_CWORD", "2")
    run([])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_command_and_asks_it(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from k0sruntime.cli.main import run

    assert run(["completion", shell]) == 0
    assert f"_K0SRUNTIME_COMPLETE={shell}_complete" in capsys.readouterr().out
