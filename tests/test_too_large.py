"""A file that is larger than what is read is refused: what comes after the limit counts as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from k0sruntime.cli.main import run
from k0sruntime.toml import LARGEST

NODE = '[node]\nmode = "managed"\nk0s = "1.36"\n'
SETTINGS = "etc/k0sruntime/config.toml"
DROPIN = "etc/k0s/containerd.d/vendor.toml"
MAIN = "etc/k0s/containerd.toml"
IMPORTED = "etc/k0s/more.toml"
OURS = "etc/k0s/containerd.d/k0sruntime-node.toml"

CASES = {
    "settings": (SETTINGS, NODE, 'without = ["mirrors"]\n'),
    "a drop-in": (DROPIN, "version = 3\n", "= nonsense\n"),
    "a user's own main file": (MAIN, "version = 3\n", "= nonsense\n"),
    "what that imports": (IMPORTED, "version = 3\n", "= nonsense\n"),
    "a file under a name of ours": (OURS, "version = 3\n", "= nonsense\n"),
}
COMMANDS = {
    "up": ("up", "--dry-run", "--sandbox", "{node}"),
    "plan": ("plan", "--sandbox", "{node}"),
    "lint": ("lint", "{node}/etc/k0s", "--k0s", "1.36"),
    "render": ("render", "--dropins", "{node}/etc/k0s/containerd.d"),
    "migrate": ("migrate", "{file}"),
}
DOES_NOT_READ = {
    ("settings", "lint"),
    ("settings", "render"),
    ("settings", "migrate"),
    ("a user's own main file", "render"),
    ("what that imports", "render"),
}


def laid(path: Path, begin: str, end: str) -> None:
    """Write a file whose last line comes after the limit; it is TOML up to there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = "#" * 4095 + "\n"
    path.write_text(begin + line * (LARGEST // len(line) + 1) + end)


@pytest.mark.parametrize("case", CASES)
def test_no_command_believes_the_first_part_of_a_file(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, begin, end = CASES[case]
    node = tmp_path / "node"
    for path, text in ((SETTINGS, NODE), (DROPIN, "version = 3\n")):
        (node / path).parent.mkdir(parents=True, exist_ok=True)
        (node / path).write_text(text)
    if case == "what that imports":
        imports = [str(node / "etc/k0s/containerd.d/*.toml"), str(node / IMPORTED)]
        (node / MAIN).write_text(f"version = 3\nimports = {imports}\n")
    laid(node / place, begin, end)
    for name, command in COMMANDS.items():
        if (case, name) in DOES_NOT_READ:
            continue
        words = [word.format(node=node, file=node / place) for word in command]
        assert run(words) == 3, name
        said = capsys.readouterr()
        assert "larger than 16 MiB" in said.out + said.err, name
        assert Path(place).name in said.out + said.err, name
    assert not (node / "var").exists()
