"""What the pages on air-gapped sites and image builds tell people to type is what we take."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from k0sruntime import toml
from k0sruntime.cli.main import COMMANDS
from k0sruntime.node_provider import NodeSettings
from k0sruntime.settings import SettingsFile, convert
from tests.console import blocks, ours

PAGES = ("air-gap.md", "images.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_there_with_its_options(page: str) -> None:
    found = ours(page)
    assert len(found) > 3
    for line in found:
        name, *words = line.split()
        assert name in COMMANDS, line
        command = importlib.import_module(f"k0sruntime.cli.{name.replace('-', '_')}").command
        context = command.context_class(command)
        command.make_parser(context).parse_args(words)  # it raises for what it does not know


def test_what_runs_in_an_image_build_runs_with_the_image_as_its_root() -> None:
    inside = [line for line in ours("images.md") if "/mnt/image" not in line]
    assert len(inside) == 6
    assert all("--root / " in f"{line} " for line in inside)


def test_the_snippets_install_as_the_air_gap_page_does() -> None:
    (console,) = (block for block in blocks("air-gap.md", "console") if "install.sh" in block)
    assert "manifest.json install.sh wheels" in console
    for language in ("hcl", "dockerfile", "text"):
        (snippet,) = blocks("images.md", language)
        assert "manifest.json install.sh wheels" in snippet


@pytest.mark.parametrize("line", ['k0s = "1.36"', "restrict_oom_score_adj = true"])
def test_the_settings_that_an_image_may_need_are_settings(line: str) -> None:
    assert f"`[node] {line}`" in (Path(__file__).parent.parent / "docs/images.md").read_text()
    file = SettingsFile("docs", toml.load(f"[node]\n{line}\n".encode(), "docs"))
    assert convert(file, "node", NodeSettings)


def test_in_managed_mode_the_service_sees_that_the_files_are_right_and_ends(tmp_path: Path) -> None:
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[node]\nmode = "managed"\nk0s = "1.36"\npause_image = "p:1"\n')
    done = subprocess.run(
        [sys.executable, "-m", "k0sruntime", "up", "--foreground", "--sandbox", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "k0s is not running: the files are right" in done.stdout
