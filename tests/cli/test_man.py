"""Man pages: one for each command, out of its own words, and without a fault to groff and mandoc."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from k0sruntime import provider_commands
from k0sruntime.cli.main import COMMANDS, run
from k0sruntime.cli.man import pages, write
from k0sruntime.errors import ExitCode
from tests.conftest import LAB, ROOT


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = str(tmp_path_factory.mktemp("man"))
    found = write(folder)
    for name in provider_commands.names():
        found += write(folder, provider_commands.load(name), name)
    return [Path(path) for path in found]


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


def host(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "k0sruntime", *words],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


VENDOR = """
import click, sys
from k0sruntime import run_command

@click.command()
@click.option("--deep", is_flag=True, help="Look into everything.")
def cli(deep):
    \"\"\"Look at acme's state.\"\"\"

def entry():
    sys.exit(run_command(cli, sys.argv[1:], "k0sruntime-acme"))

NONE = 1
"""


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """A vendor's distribution with a command, and one that is none."""
    (tmp_path / "acme_cli.py").write_text(VENDOR)
    info = tmp_path / "k0sruntime_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: k0sruntime-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[k0sruntime.commands]\nk0sruntime-acme = acme_cli:cli\nacme-none = acme_cli:NONE\n"
        "acme-gone = acme_cli:GONE\nodd$(name) = acme_cli:cli\n"
    )
    return tmp_path


def test_a_vendors_command_gets_a_page_and_completion_like_ours(vendor: Path) -> None:
    done = host(vendor, "man", vendor / "man", "k0sruntime-acme", "k0sruntime-nvidia")
    assert (done.returncode, done.stderr) == (0, "")
    pages = {path.name for path in (vendor / "man").iterdir()}
    assert {"k0sruntime-acme.1", "k0sruntime-nvidia.1", "k0sruntime-nvidia-status.1"} <= pages
    assert "k0sruntime.1" not in pages
    assert r"\-\-deep" in (vendor / "man/k0sruntime-acme.1").read_text()
    asked = f"import os, acme_cli; {SHELL}; acme_cli.entry()"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={"PYTHONPATH": str(vendor)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "plain,--deep\n", done.stderr


SHELL = """os.environ.update(
    _K0SRUNTIME_ACME_COMPLETE="bash_complete", COMP_WORDS="k0sruntime-acme --d", COMP_CWORD="1"
)""".replace("\n", "")


def test_all_pages_are_written_where_no_command_is_named(tmp_path: Path) -> None:
    assert host(tmp_path, "man", tmp_path / "man").returncode == 0
    found = {path.name for path in (tmp_path / "man").iterdir()}
    assert found >= {"k0sruntime.1", "k0sruntime-up.1", "k0sruntime-mirrors-import.1"}


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("acme-none", 4, "acme_cli:NONE is a int, not a click command"),
        ("acme-gone", 4, "k0sruntime-acme 1.0"),
        ("acme", 2, "no installed provider brings a command 'acme'"),
        ("odd$(name)", 2, "no installed provider brings a command"),
    ],
)
def test_what_is_no_command_is_refused_and_nothing_is_written(
    name: str, code: int, told: str, vendor: Path
) -> None:
    done = host(vendor, "man", vendor / "man", name)
    assert done.returncode == code
    assert told in done.stderr
    assert not (vendor / "man").exists()


THEIRS = """
import click

@click.command()
def cli():
    \"\"\"Theirs.\"\"\"

@click.group()
def odd():
    \"\"\"Theirs.\"\"\"

@odd.command("../../escaped")
def escaped():
    \"\"\"Theirs.\"\"\"

@click.group()
def k0sruntime_x():
    \"\"\"Theirs.\"\"\"

k0sruntime_x.add_command(cli, "b")

class Sly(click.Command):
    def get_params(self, ctx):
        import sys
        sys.exit(0)

sly = Sly("sly")
"""
TAKES = {
    "ours": ("k0sruntime = THEIRS:cli", "its page k0sruntime.1 would take another's place"),
    "ours in capitals": ("K0sruntime = THEIRS:cli", "its page K0sruntime.1 would take"),
    "our command's": ("k0sruntime-up = THEIRS:cli", "its page k0sruntime-up.1 would take"),
    "somebody else's": (
        "acme-x = THEIRS:k0sruntime_x\nacme-x-b = THEIRS:cli",
        "its page acme-x-b.1 would take",
    ),
    "another folder's": ("acme-odd = THEIRS:odd", "no name of a file"),
    "nobody's, for it does not come": ("acme-gone = THEIRS:GONE", "it cannot be imported"),
    "nobody's, for it ends": ("acme-sly = THEIRS:sly", "SystemExit: 0"),
}


def brings(folder: Path, name: str, commands: str, code: str = THEIRS) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (folder / f"{name}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = commands.replace("THEIRS", name)
    (info / "entry_points.txt").write_text(f"[k0sruntime.commands]\n{lines}\n")


def man(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, dict[str, str]]:
    """Write pages with what lies in a folder; return the code and the pages."""
    monkeypatch.syspath_prepend(str(folder))
    settings = folder / "settings.toml"
    settings.touch()
    code = run(["man", str(folder / "man"), *words, "--settings", str(settings)])
    return code, {path.name: path.read_text() for path in folder.glob("man/*")}


@pytest.mark.parametrize("page", TAKES)
def test_no_page_of_theirs_stands_in_anothers_place_and_ours_are_written_all_the_same(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands, told = TAKES[page]
    module = f"man_theirs_{list(TAKES).index(page)}"
    brings(tmp_path, module, commands)
    code, found = man(tmp_path, monkeypatch)
    said = capsys.readouterr()
    assert code == 0
    assert told in said.err
    assert {name: found[name] for name in pages()} == dict(pages())
    assert len({name.casefold() for name in found}) == len(found)
    assert len(said.out.splitlines()) == len(found), "each page is written once"
    assert not (tmp_path / "escaped.1").exists()
    named = commands.splitlines()[0].partition(" ")[0]
    if page != "somebody else's":
        assert man(tmp_path, monkeypatch, named)[0] == 4


def test_two_that_bring_one_command_have_no_page_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    brings(tmp_path, "man_one", "acme-two = THEIRS:cli")
    brings(tmp_path, "man_two", "acme-two = THEIRS:cli")
    code, found = man(tmp_path, monkeypatch)
    assert (code, "acme-two.1" in found, "k0sruntime.1" in found) == (0, False, True)
    said = capsys.readouterr().err
    assert "man_one 1.0 and man_two 1.0 bring one of this name" in said
    assert man(tmp_path, monkeypatch, "acme-two")[0] == 4


def test_the_man_page_of_one_that_is_left_out_is_refused_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = f"from pathlib import Path\nPath({str(tmp_path / 'imported')!r}).touch()\n{THEIRS}"
    brings(tmp_path, "man_left", "acme-left = THEIRS:cli", marks)
    assert man(tmp_path, monkeypatch, "acme-left", "--no-providers") == (3, {})
    assert "left out with --no-providers" in capsys.readouterr().err
    assert not (tmp_path / "imported").exists()
    assert man(tmp_path, monkeypatch, "acme-left")[0] == 0
    assert (tmp_path / "imported").exists()


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
