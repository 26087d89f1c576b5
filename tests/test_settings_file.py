"""Settings that a command brings are in place when the change is, and never before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from k0sruntime import durable, recover, settings_file
from k0sruntime.cli.main import run
from k0sruntime.ledger import State
from k0sruntime.paths import Paths
from k0sruntime.plan import Ledger
from k0sruntime.stages import Silent
from tests.test_crash import DEATH, dies_at

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

    def back(self, generation: int) -> int:
        return run(["rollback", "--root", str(self.folder), str(generation)])


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


HALF = OWN + '[node.handlers.own2]\nbinry = "/usr/bin/x"\n'
"""An edit that nobody has applied, and that nothing can be made of."""
REFUSED = 'version = 3\nrequired_plugins = ["io.containerd.nope.v1.x"]\n'


def piped(text: str) -> str:
    """Return the path of a pipe that says a text once, as a shell's ``<(…)`` does."""
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    return f"/dev/fd/{read}"


def packed(image: Image, tmp_path: Path) -> str:
    """Return a bundle with the settings of a file."""
    site = tmp_path / "site.toml"
    site.write_text(OWN)
    out = str(tmp_path / "site.tar")
    home = ["--sandbox", str(tmp_path / "home"), "--no-wheels", "--no-images"]
    assert run(["bundle", out, *home, "--settings", str(site)]) == 0
    return out


@pytest.mark.parametrize("bundled", [False, True], ids=["alone", "with a bundle"])
def test_a_pipe_is_read_once_and_to_its_end(
    image: Image, tmp_path: Path, capsys, bundled: bool
) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    more = ["--bundle", packed(image, tmp_path)] if bundled else []
    assert image.up("", *more, "--settings-from", piped(NEW)) == 0
    assert image.settings.read_text() == NEW
    assert "crun" in image.dropin
    assert "own" in image.dropin


def test_settings_out_of_a_pipe_are_planned_and_rehearsed_with(image: Image, capsys) -> None:
    image.settings.write_text(OWN)
    root = ["--root", str(image.folder)]
    for command in (["plan"], ["rehearse", "--k0s", "1.36"]):
        capsys.readouterr()
        assert run([*command, *root, "--settings", piped(NEW)]) == 0
        assert "crun" in capsys.readouterr().out, command


def test_settings_come_to_no_pipe(image: Image, capsys) -> None:
    assert image.up(NEW, "--settings", piped(OWN)) == 2
    assert "a pipe is none" in capsys.readouterr().err


@pytest.mark.parametrize("refused", [False, True], ids=["done", "refused"])
def test_a_file_of_another_hand_beside_it_is_left_alone(
    image: Image, capsys, refused: bool
) -> None:
    image.settings.write_text(OWN)
    beside = image.settings.with_name("config.toml.new")
    beside.write_text(NEW)
    other = image.settings.with_name("config.toml.new.d")
    other.mkdir()
    if refused:
        dropins = image.folder / "etc/k0s/containerd.d"
        dropins.mkdir(parents=True)
        (dropins / "vendor.toml").write_text(REFUSED)
    assert image.up("", "--settings-from", str(beside)) == (3 if refused else 0)
    assert image.settings.read_text() == (OWN if refused else NEW)
    assert beside.read_text() == NEW
    assert sorted(image.left()) == ["config.toml", "config.toml.new", "config.toml.new.d"]


def test_a_folder_beside_it_hides_no_refusal(image: Image, capsys) -> None:
    image.settings.write_text(OWN)
    image.settings.with_name("config.toml.new").mkdir()
    assert image.up("[node]\nnope = 1\n") == 3
    assert "nope" in capsys.readouterr().err
    assert image.up(NEW) == 0
    assert sorted(image.left()) == ["config.toml", "config.toml.new"]


@pytest.mark.parametrize("there", [True, False], ids=["of another hand", "made for it"])
def test_an_empty_folder_goes_only_where_it_was_made(image: Image, capsys, there: bool) -> None:
    """The gate refuses when the new file lies there already, beside the old one."""
    if not there:
        image.settings.parent.rmdir()
    dropins = image.folder / "etc/k0s/containerd.d"
    dropins.mkdir(parents=True)
    (dropins / "vendor.toml").write_text(REFUSED)
    assert image.up(NEW) == 3
    assert image.settings.parent.exists() == there


def test_an_edit_that_was_never_applied_is_kept_and_told_and_no_generation_has_it(
    image: Image, capsys
) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    image.settings.write_text(HALF)
    capsys.readouterr()
    assert image.up(NEW) == 0
    told = capsys.readouterr().out
    assert "had an edit that was not applied" in told
    kept = Path(told.partition("it is kept as ")[2].split()[0])
    assert kept.read_text() == HALF
    assert kept.stat().st_mode & 0o777 == 0o600
    assert image.back(1) == 0
    assert image.settings.read_text() == OWN, "what it was made of"
    assert image.up() == 0, "what the machine does when it starts"


def test_an_applied_edit_is_that_of_its_generation_also_where_no_file_changed(
    image: Image, capsys
) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    image.settings.write_text(OWN + "# more to say\n")
    assert image.up() == 0
    capsys.readouterr()
    assert image.up(NEW) == 0
    assert "an edit" not in capsys.readouterr().out
    assert image.back(1) == 0
    assert image.settings.read_text() == OWN + "# more to say\n"


def test_an_edit_during_the_proof_is_kept_and_told_as_well(
    image: Image, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    ends = State.save

    def edited(state: State, ledger: Ledger) -> None:
        ends(state, ledger)
        image.settings.write_text(HALF)

    monkeypatch.setattr(State, "save", edited)
    capsys.readouterr()
    assert image.up(NEW) == 0
    told = capsys.readouterr().out
    assert Path(told.partition("it is kept as ")[2].split()[0]).read_text() == HALF
    assert image.settings.read_text() == NEW


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The file system takes no new settings file, until it is called."""
    with_room = durable.put

    def refuse(staged: str, path: str) -> None:
        raise OSError(30, "Read-only file system", path)

    monkeypatch.setattr(settings_file, "put", refuse)
    return lambda: monkeypatch.setattr(settings_file, "put", with_room)


def test_a_change_that_is_done_is_done_though_its_settings_cannot_be_written(
    image: Image, capsys, full: Callable[[], None]
) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    capsys.readouterr()
    assert image.up(NEW, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["applied"] is True
    assert any("could not be written (Read-only file system)" in note for note in said["notes"])
    assert image.settings.read_text() == OWN

    assert run(["plan", "--exit-code", "--root", str(image.folder)]) == 0, "nothing is to do"
    assert image.up() == 0, "what the machine does when it starts"
    assert "crun" in image.dropin, "it takes nothing away"
    assert "the next command tries again" in capsys.readouterr().err

    full()
    assert image.up() == 0
    assert image.settings.read_text() == NEW
    assert image.left() == ["config.toml"]


def test_settings_that_could_not_be_written_leave_nothing_where_the_old_ones_are_asked_for(
    image: Image, capsys, full: Callable[[], None]
) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    assert image.up(NEW) == 0
    assert len(image.left()) == 2, "the new file waits beside the old one"
    assert image.up(OWN) == 0
    assert image.left() == ["config.toml"]
    assert "crun" not in image.dropin
    assert image.up() == 0
    assert "crun" not in image.dropin


def test_going_back_stops_at_no_settings_file_that_cannot_be_written(
    image: Image, capsys, full: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = settings_file.put
    full()
    for text in (OWN, NEW):
        assert image.up(text) == 0
    monkeypatch.setattr(settings_file, "put", refuse)
    capsys.readouterr()
    assert image.back(1) == 0
    assert "could not be written" in capsys.readouterr().out
    assert "crun" not in image.dropin
    assert image.up() == 0
    assert "crun" not in image.dropin, "the settings of generation 1 count"
    full()
    assert image.back(2) == 0
    assert (image.settings.read_text(), image.left()) == (NEW, ["config.toml"])


def dies_with_only_the_file_left(image: Image) -> None:
    """Let ``up`` die when all has passed, right before it puts the settings in place."""
    child = os.fork()
    if child == 0:
        settings_file.put = lambda *_: os._exit(DEATH)
        assert_done(image)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DEATH


def test_what_somebody_writes_after_a_death_stays(image: Image, capsys) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    dies_with_only_the_file_left(image)
    image.settings.write_text(OWN + "# mine\n")
    capsys.readouterr()
    assert image.up() == 0
    assert "was edited since, and stays" in capsys.readouterr().err
    assert image.settings.read_text() == OWN + "# mine\n"
    assert image.left() == ["config.toml"]
    assert "crun" not in image.dropin


def test_after_a_death_no_command_composes_of_the_older_text(image: Image, capsys) -> None:
    """Those that change nothing put nothing in place, and know it all the same."""
    image.settings.write_text(OWN)
    assert image.up() == 0
    dies_with_only_the_file_left(image)
    assert image.settings.read_text() == OWN
    root = ["--root", str(image.folder)]
    assert run(["plan", "--exit-code", *root]) == 0
    capsys.readouterr()
    assert run(["rehearse", "--k0s", "1.36", *root]) == 0
    assert "crun" in capsys.readouterr().out
    assert image.back(1) == 0
    assert (image.settings.read_text(), image.left()) == (OWN, ["config.toml"])


def assert_done(image: Image) -> None:
    assert image.up(NEW) == 0


def every_death(
    image: Image, action: Callable[[], None], check: Callable[[], None], *, stride: int = 1
) -> int:
    """Let a command die right before each of its changes of the disk; return how many it makes."""
    step = 1
    while dies_at(step, before=True, action=action):
        recover.recover(image.paths(), Silent())
        check()
        step += stride
    return step


def test_killed_at_any_instant_the_settings_are_those_that_the_files_come_of(
    image: Image, capsys
) -> None:
    """Of an image, whose change is done when it is applied; tests/real has those with a proof."""
    image.settings.write_text(OWN)
    assert image.up() == 0
    seen = set()

    def check() -> None:
        settings = image.settings.read_text()
        assert settings == OWN or "crun" in image.dropin, "never settings that were not applied"
        assert image.left() == ["config.toml"]
        seen.add(settings)
        assert image.up() == 0  # what the machine does when it starts
        assert ("crun" in image.dropin) == (settings == NEW)
        if settings == NEW:
            assert image.back(1) == 0
            assert image.settings.read_text() == OWN

    assert every_death(image, lambda: assert_done(image), check) > 10
    assert seen == {OWN, NEW}


def test_killed_on_the_way_back_as_well(image: Image, capsys) -> None:
    seen = set()

    def action() -> None:
        assert image.back(1) == 0

    def check() -> None:
        settings = image.settings.read_text()
        assert image.left() == ["config.toml"]
        seen.add(settings)
        assert image.up() == 0
        assert ("crun" in image.dropin) == (settings == NEW)
        assert image.up(NEW) == 0

    for text in (OWN, NEW):
        assert image.up(text) == 0
    assert every_death(image, action, check, stride=3) > 10
    assert seen == {OWN, NEW}


def test_dying_while_it_is_put_right_is_put_right_as_well(image: Image, capsys) -> None:
    image.settings.write_text(OWN)
    assert image.up() == 0
    dies_with_only_the_file_left(image)
    step = 1
    while dies_at(step, before=True, action=lambda: recover.recover(image.paths(), Silent())):
        step += 1
    assert step > 3
    assert (image.settings.read_text(), image.left()) == (NEW, ["config.toml"])
