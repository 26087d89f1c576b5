"""Man pages: one for each command, out of its own words, and without a fault to groff and mandoc."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from k0sruntime.cli.main import COMMANDS
from k0sruntime.cli.man import pages, write
from k0sruntime.errors import ExitCode
from tests.conftest import LAB, ROOT


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [Path(path) for path in write(str(tmp_path_factory.mktemp("man")))]


def test_every_command_has_a_page() -> None:
    assert set(pages()) == {"k0sruntime.1", *(f"k0sruntime-{name}.1" for name in COMMANDS)}


def test_a_page_has_every_option_with_its_variable_and_all_exit_codes() -> None:
    page = pages()["k0sruntime-plan.1"].replace(r"\-", "-")
    assert "--sandbox DIR" in page
    assert "[env var: K0SRUNTIME_PLAN_EXIT_CODE]" in page
    assert all(f"\n.TP\n{int(code)}\n" in page for code in ExitCode)


def test_the_same_commands_come_to_the_same_bytes() -> None:
    assert pages() == pages()


def said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr + done.stdout


@pytest.mark.real
def test_mandoc_and_groff_have_nothing_to_say(written: list[Path]) -> None:
    for page in written:
        found = said(LAB / "bin/mandoc", "-T", "lint", "-W", "warning", page).splitlines()
        assert [line for line in found if "missing date" not in line] == []
        assert said("groff", "-ww", "-Tutf8", "-mandoc", "-z", page) == ""


@pytest.mark.real
def test_man_shows_it(written: list[Path]) -> None:
    (page,) = [page for page in written if page.name == "k0sruntime-up.1"]
    shown = said("man", "--warnings", "-l", page)
    assert "k0sruntime up [OPTIONS]" in shown
    assert "warning" not in shown


def test_the_wheel_carries_them(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        tmp_path,
        ROOT,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (wheel,) = tmp_path.glob("*.whl")
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    assert {n.name for n in names if n.parent.as_posix().endswith("share/man/man1")} == set(pages())
