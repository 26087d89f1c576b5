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
ODD = b"""version = 3

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes."my handler"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes."odd$(touch ${HOME}/ran)`touch ran`"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes."it's"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes."glob*"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes."a:b=c,d"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes."bell\\u0007"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes."bell\\u001b[2Jerased"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes."bell\\ntwo"]
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


BASHRC = """PS1='ready> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'
eval "$(k0sruntime completion bash)"; eval "$(k0sruntime completion bash k0sruntime-nvidia)"
noted() { "$1" "${@:2}"; printf '%s\\n' "${COMPREPLY[@]}" > "$HOME/offers.new"; mv "$HOME/offers.new" "$HOME/offers"; }
ours() { noted _k0sruntime_completion "$@"; }; complete -o nosort -F ours k0sruntime
theirs() { noted _k0sruntime_nvidia_completion "$@"; }; complete -o nosort -F theirs k0sruntime-nvidia
words() { printf '%s\\n' "$@" > "$HOME/words.new"; mv "$HOME/words.new" "$HOME/words"; }
"""
"""What is offered is noted as bash is given it; ``words`` notes what a line comes to."""


def in_bash(line: str, node: Path) -> list[str]:
    """Return what is offered, in a bash that splits the line by itself."""
    return noted_in_bash(line + "\t", "offers", node)


def typed_in_bash(line: str, node: Path) -> list[str]:
    """Return the words of the line as bash reads it after the key."""
    return noted_in_bash(f"{line}\t\x01words \x05\n", "words", node)


def noted_in_bash(keys: str, what: str, node: Path) -> list[str]:
    (node / ".bashrc").write_text(BASHRC)
    (node / what).unlink(missing_ok=True)
    process, terminal = pty.fork()
    if not process:
        rc = str(node / ".bashrc")
        os.chdir(node)
        os.execve("/bin/bash", ["bash", "--noprofile", "--rcfile", rc, "-i"], environment(node))
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 1000, 0, 0))
        until(terminal, lambda seen: "ready> " in seen)
        os.write(terminal, keys.encode())
        screen = until(terminal, lambda _: (node / what).exists())
    finally:
        os.close(terminal)
        os.waitpid(process, 0)
    assert "\x1b[2J" not in screen
    return [line for line in (node / what).read_text().splitlines() if line]


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
    return drawn(screen).replace(line.rpartition(" ")[0], "", 1).split()


def drawn(screen: str) -> str:
    """Return what is left to be seen where a shell went back and wrote over it."""
    seen, at = [], 0
    for char in screen.replace("\x07", ""):
        if char == "\x08":
            at -= 1
        else:
            seen[at : at + 1] = [char]
            at += 1
    return "".join(seen)


def until(terminal: int, done: Callable[[str], bool], seconds: float = 15) -> str:
    """Read a terminal until what is there will do, and what comes at once with it."""
    seen, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace").replace("\r", "\n")
        elif done(seen):
            return seen
    raise AssertionError(seen)


@pytest.fixture
def odd(node: Path) -> Path:
    """The same, with a drop-in of another hand that has odd names."""
    (node / "node/etc/k0s/containerd.d/30-odd.toml").write_bytes(ODD)
    return node


EXPLAIN = "k0sruntime explain --sandbox {node}/node"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{EXPLAIN} --handler=cr", "--handler=crun"),
        (f"{EXPLAIN} --handler=", "--handler="),
        (f"{EXPLAIN} --handler my", "my handler"),
        (f"{EXPLAIN} --handler my\\ h", "my handler"),
        (f'{EXPLAIN} --handler "my h', "my handler"),
        (f"{EXPLAIN} --handler 'my h", "my handler"),
        (f"{EXPLAIN} --handler=my", "--handler=my handler"),
        (f'{EXPLAIN} --handler="my', "--handler=my handler"),
        (f"{EXPLAIN} --handler odd", "odd$(touch ${HOME}/ran)`touch ran`"),
        (f'{EXPLAIN} --handler "odd', "odd$(touch ${HOME}/ran)`touch ran`"),
        (f"{EXPLAIN} --handler 'odd", "odd$(touch ${HOME}/ran)`touch ran`"),
        (f"{EXPLAIN} --handler it", "it's"),
        (f"{EXPLAIN} --handler glob", "glob*"),
        (f"{EXPLAIN} --handler a:b", "a:b=c,d"),
        (f"{EXPLAIN} --handler=a:b", "--handler=a:b=c,d"),
        (f"{EXPLAIN} --handler a:b=", "a:b=c,d"),
        (f"{EXPLAIN} --handler bell", "bell"),
        ("k0sruntime plan --mode=stand", "--mode=standalone"),
        ("k0sruntime plan --exit", "--exit-code"),
        ("k0sruntime plan --root={node}/no", "--root={node}/node/"),
        ("A=1 k0sruntime explain --sandbox={node}/node --handler=cr", "--handler=crun"),
    ],
)
def test_what_bash_makes_of_an_offer_is_the_name_itself(line: str, words: str, odd: Path) -> None:
    """Pressed in a terminal: split at = and : by bash, and read by it again."""
    found = typed_in_bash(line.format(node=odd), odd)
    assert found[-1] == words.replace("{node}", str(odd))
    assert not list(odd.rglob("ran"))


def test_a_name_that_cannot_stand_in_the_quotes_that_are_open_is_not_offered(odd: Path) -> None:
    assert in_bash(EXPLAIN.format(node=odd) + " --handler 'it", odd) == []


def test_options_with_an_equals_sign_before_the_key_count(odd: Path) -> None:
    assert "crun" in in_bash(f"k0sruntime explain --sandbox={odd}/node --handler cr", odd)


@pytest.mark.parametrize("shell", SHELLS)
def test_no_shell_is_offered_what_a_terminal_cannot_show(shell: str, odd: Path) -> None:
    found = asked(shell, f"k0sruntime explain --sandbox {odd}/node --handler ", odd)
    assert "crun" in found
    assert not [name for name in found if name.startswith("bell") or not name.isprintable()]


@pytest.mark.parametrize("shell", SHELLS[1:])
def test_the_other_shells_complete_behind_an_equals_sign(shell: str, node: Path) -> None:
    line = f"k0sruntime explain --sandbox={node}/node --handler=cr"
    found = asked(shell, line, node)
    assert found == ["--handler=crun"]


@pytest.mark.real
def test_zsh_completes_a_folder_behind_an_equals_sign(node: Path) -> None:
    assert in_zsh(f"k0sruntime plan --root={node}/nod", node) == [f"--root={node}/node/"]


@pytest.mark.parametrize(
    ("line", "offer"),
    [
        ("k0sruntime-nvidia oper", "operator-values"),
        ("k0sruntime-nvidia operator-values --no-t", "--no-toolkit"),
        ("k0sruntime-nvidia status --js", "--json"),
    ],
)
def test_the_command_of_a_provider_is_completed_in_the_same_way(
    line: str, offer: str, node: Path
) -> None:
    assert in_bash(line, node) == [offer]


def test_commands_of_providers_are_offered_where_they_can_be_named(node: Path) -> None:
    offers = [f"k0sruntime-{name}" for name in ("dockerd", "mirrors", "nvidia")]
    assert in_bash("k0sruntime completion bash k0s", node) == offers
    assert in_bash(f"k0sruntime man {node} k0s", node) == offers


def test_a_command_that_no_provider_brings_gets_no_script(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The key would run it."""
    from k0sruntime.cli.main import run

    assert run(["completion", "bash", "k0sruntime-nvdia"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Did you mean k0sruntime-nvidia?" in said.err


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
