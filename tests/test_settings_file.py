"""Settings that a command brings are in place when the change is, and never before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from k0sruntime import recover, settings_file
from k0sruntime.cli.main import run
from k0sruntime.ledger import State, as_proved
from k0sruntime.paths import Paths
from k0sruntime.stages import Silent
from tests.test_crash import dies_at

OWN = '# by hand\n[node]\nk0s = "1.36"\nmode = "managed"\n[node.handlers.own]\n'
NEW = OWN.replace("by hand", "by a playbook") + '[node.handlers.crun]\nbinary = "/usr/bin/crun"\n'
NEWER = NEW + "[node.handlers.more]\n"


class Image:
    """An image root, which needs no containerd to be composed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "root"
        self.settings = self.folder / "etc/k0sruntime/config.toml"
        self.settings.parent.mkdir(parents=True)
        self.brought = folder / "brought.toml"

    @property
    def dropin(self) -> str:
        path = self.folder / "etc/k0s/containerd.d/k0sruntime-node.toml"
        return path.read_text() if path.exists() else ""

    def up(self, text: str = "", *arguments: str) -> int:
        self.brought.write_text(text)
        more = ["--settings-from", str(self.brought)] if text else []
        return run(["up", "--root", str(self.folder), *more, *arguments])

    def paths(self) -> Paths:
        return Paths(root=str(self.folder), image=True)

    def left(self) -> list[str]:
        return [path.name for path in self.settings.parent.iterdir()]


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


def test_a_first_settings_file_is_readable_for_its_owner_alone(image: Image, capsys) -> None:
    assert image.up(NEW) == 0
    assert image.settings.read_text() == NEW
    assert image.settings.stat().st_mode & 0o777 == 0o600
    assert image.left() == ["config.toml"]
    assert "crun" in image.dropin


def test_one_that_is_there_keeps_its_permissions(image: Image, capsys) -> None:
    image.settings.write_text(OWN)
    image.settings.chmod(0o640)
    assert image.up(NEW) == 0
    assert image.settings.read_text() == NEW
    assert image.settings.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_one_but_none_leads_out_of_an_image(
    image: Image, tmp_path: Path, capsys
) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text(OWN)
    image.settings.symlink_to(elsewhere)
    assert image.up(NEW) == 0
    assert (image.settings.read_text(), elsewhere.read_text()) == (NEW, OWN)

    node = tmp_path / "node"
    settings = node / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.symlink_to(elsewhere)
    own = settings_file.Brought("", "", 0).place(Paths.in_sandbox(str(node)))
    assert own == str(elsewhere)


@pytest.mark.parametrize("text", ["[node\n", "[node]\nnope = 1\n"])
def test_what_is_refused_leaves_the_old_ones(image: Image, capsys, text: str) -> None:
    image.settings.write_text(OWN)
    assert image.up(text) == 3
    assert image.settings.read_text() == OWN
    assert image.left() == ["config.toml"]
    assert "brought.toml" in capsys.readouterr().err


def test_a_plan_with_them_brings_nothing(image: Image, capsys) -> None:
    image.settings.write_text(OWN)
    assert image.up(NEW, "--dry-run") == 0
    assert "crun" in capsys.readouterr().out
    assert (image.settings.read_text(), image.dropin) == (OWN, "")


@pytest.mark.parametrize("option", ["--last-good", "--foreground"])
def test_what_contradicts_them_is_refused(image: Image, capsys, option: str) -> None:
    assert run(["up", option, "--settings-from", __file__]) == 2
    assert "--settings-from" in capsys.readouterr().err


def test_a_second_time_nothing_changes(image: Image, capsys) -> None:
    assert image.up(NEW) == 0
    before = image.settings.stat().st_mtime_ns
    capsys.readouterr()
    assert image.up(NEW, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["applied"], said["generation"], said["before"]) == (False, 1, 1)
    assert image.settings.read_text() == NEW
    assert image.settings.stat().st_mtime_ns == before


def test_going_back_brings_the_settings_of_then(image: Image, capsys) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    assert image.up(NEW) == 0
    assert image.up(NEWER) == 0
    for generation, text in ((2, NEW), (3, NEWER), (1, OWN)):
        capsys.readouterr()
        assert run(["rollback", "--root", str(image.folder), str(generation)]) == 0
        assert image.settings.read_text() == text
        assert "settings of generation" in capsys.readouterr().out


def test_settings_that_somebody_edited_since_stay(image: Image, capsys) -> None:
    assert image.up(NEW) == 0
    assert image.up(NEWER) == 0
    image.settings.write_text(NEWER + "# mine\n")
    assert run(["rollback", "--root", str(image.folder), "1"]) == 0
    assert image.settings.read_text() == NEWER + "# mine\n"


def test_settings_that_nobody_brought_stay(image: Image, capsys) -> None:
    for text in (OWN, NEW):
        image.settings.write_text(text)
        assert image.up() == 0
    assert run(["rollback", "--root", str(image.folder), "1"]) == 0
    assert image.settings.read_text() == NEW


def every_death(image: Image, action: Callable[[], None], check: Callable[[], None]) -> int:
    """Let a command die right before each of its changes of the disk; return how many it makes."""
    step = 1
    while dies_at(step, before=True, action=action):
        recover.recover(image.paths(), Silent())
        check()
        step += 1
    return step


def test_killed_at_any_instant_the_settings_are_those_that_the_files_come_of(
    image: Image, capsys
) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    seen = set()

    def action() -> None:
        assert image.up(NEW) == 0

    def check() -> None:
        settings = image.settings.read_text()
        assert settings in (OWN, NEW)
        assert settings == OWN or "crun" in image.dropin, "never settings that were not applied"
        assert image.left() == ["config.toml"]
        seen.add(settings)
        image.brought.write_text("")
        assert image.up() == 0  # what the machine does when it starts
        assert ("crun" in image.dropin) == (settings == NEW)
        if settings == NEW:
            assert run(["rollback", "--root", str(image.folder), "1"]) == 0
            assert image.settings.read_text() == OWN

    assert every_death(image, action, check) > 10
    assert seen >= {OWN}


def test_settings_whose_change_was_proved_are_put_in_place_by_the_next_command(
    image: Image, capsys
) -> None:
    """Killed between the proof and the file."""
    image.settings.write_text(OWN)
    assert image.up() == 0
    assert image.up(NEW) == 0
    state = State(image.paths())
    state.save(as_proved(state.ledger()))
    image.settings.write_text(OWN)
    with settings_file.bringing(image.paths(), NEW.encode(), state.ledger().generation):
        pass
    recover.recover(image.paths(), Silent())
    assert image.settings.read_text() == OWN, "it was given up by itself"
    for generation, expected in ((1, OWN), (state.ledger().generation, NEW)):
        ended = settings_file.bringing(image.paths(), NEW.encode(), generation)
        ended.__enter__()  # and then the power goes
        recover.recover(image.paths(), Silent())
        assert image.settings.read_text() == expected
        assert image.left() == ["config.toml"]
