"""One transaction: what is written, what is left behind, and what comes back."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k0sruntime import apply as apply_
from k0sruntime import sandbox, staging, transaction
from k0sruntime.compose import Composition, DesiredFile
from k0sruntime.errors import ExitCode, RefusedError, RollbackFailedError
from k0sruntime.ledger import State
from k0sruntime.lock import locked
from k0sruntime.observe import existing, observe
from k0sruntime.paths import Paths
from k0sruntime.plan import Ledger, Plan, plan

MAIN = "etc/k0s/containerd.toml"
DROPIN = "etc/k0s/containerd.d/k0sruntime-a.toml"
HOSTS = "etc/k0s/containerd.d/certs.d/docker.io/hosts.toml"
CRI = "run/k0s/containerd-cri.toml"

Files = dict[str, tuple[str, int]]
OLD: Files = {MAIN: ("old main", 0o644), DROPIN: ("old", 0o644), HOSTS: ("old hosts", 0o644)}
NEW: Files = {MAIN: ("new main", 0o644), HOSTS: ("secret", 0o600), CRI: ("cri", 0o644)}


class Node:
    """A node in a folder, and the stages that change it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = Paths.in_sandbox(str(folder))
        self.state = State(self.paths)

    def plan(self, files: Files, *, force: bool = False) -> Plan:
        desired = tuple(
            DesiredFile(f"{self.folder}/{name}", content.encode(), "a", mode)
            for name, (content, mode) in files.items()
        )
        composition = Composition("standalone", 3, "native", desired)
        seen = observe(composition, self.paths, self.state.ledger())
        return plan(composition, seen, force=force)

    def apply(self, files: Files, *, force: bool = False) -> Ledger:
        return apply_.apply(self.plan(files, force=force), self.paths, self.state.ledger())

    def tree(self) -> Files:
        """Return the files in the node's own folders."""
        return {
            str(path.relative_to(self.folder)): (path.read_text(), path.stat().st_mode & 0o7777)
            for base in ("etc", "run")
            for path in sorted((self.folder / base).rglob("*"))
            if path.is_file()
        }

    def folders(self) -> set[str]:
        return {str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_dir()}

    def litter(self) -> list[str]:
        """Return what is neither a file of the node nor a finished record of ours."""
        return [
            str(path)
            for path in self.folder.rglob("*")
            if path.name.endswith(".new")
            or path.name == "put-back"
            or staging.STAGING in str(path)
            or path.name == "journal.json"
        ]


def restore(number: int, paths: Paths, state: State, present: Ledger) -> Ledger:
    return apply_.go_back(apply_.generation(number, state), paths, state, present)


def untouched(path: Path) -> tuple[int, int, int]:
    """Return what a write would change; a read may change the time of access."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_files_and_modes_are_written_and_nothing_else_is_left(node: Node) -> None:
    node.apply(NEW)
    assert node.tree() == NEW
    assert node.litter() == []


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_mode_of_a_file_does_not_depend_on_the_callers_mask(node: Node, mask: int) -> None:
    before = os.umask(mask)
    try:
        node.apply(NEW)
    finally:
        os.umask(before)
    assert {name: oct(mode) for name, (_, mode) in node.tree().items()} == {
        name: oct(mode) for name, (_, mode) in NEW.items()
    }


def test_folders_of_ours_can_be_entered_whatever_the_callers_mask_is(node: Node) -> None:
    before = os.umask(0o077)
    try:
        node.apply(NEW)
    finally:
        os.umask(before)
    folder = node.folder / "etc/k0s/containerd.d/certs.d"
    assert oct(folder.stat().st_mode & 0o7777) == oct(0o755)


def test_the_ledger_knows_path_digest_owner_mode_and_generation(node: Node) -> None:
    node.apply(OLD)
    ledger = node.apply(NEW)
    assert node.state.ledger() == ledger
    assert ledger.generation == 2
    owned = ledger.files[f"{node.folder}/{HOSTS}"]
    assert (owned.owner, owned.mode) == ("a", 0o600)
    assert node.state.kept(owned.digest) == b"secret"
    assert not ledger.proved
    assert node.state.generations() == [1, 2]


def test_a_change_of_mode_alone_is_written(node: Node) -> None:
    node.apply({HOSTS: ("x", 0o644)})
    node.apply({HOSTS: ("x", 0o600)})
    assert node.tree() == {HOSTS: ("x", 0o600)}


def test_nothing_to_do_touches_no_file(node: Node) -> None:
    node.apply(NEW)
    before = {p: p.stat().st_mtime_ns for p in node.folder.rglob("*") if p.is_file()}
    assert node.apply(NEW) == node.state.ledger()
    assert before == {p: p.stat().st_mtime_ns for p in node.folder.rglob("*") if p.is_file()}


def test_equal_files_of_another_hand_are_taken_over_untouched(node: Node) -> None:
    path = node.folder / MAIN
    path.parent.mkdir(parents=True)
    path.write_text("new main")
    path.chmod(0o644)
    before = untouched(path)
    node.apply({MAIN: NEW[MAIN]})
    assert untouched(path) == before
    assert set(node.state.ledger().files) == {str(path)}
    node.apply({})
    assert node.tree() == {}


def test_removal_takes_the_folders_that_we_made_and_no_other(node: Node) -> None:
    (node.folder / "etc/k0s").mkdir(parents=True)
    theirs = node.folder / "etc/k0s/theirs.yaml"
    theirs.write_text("x")
    node.apply(NEW)
    node.apply({})
    assert node.tree() == {"etc/k0s/theirs.yaml": ("x", 0o644)}
    assert {f for f in node.folders() if f.startswith(("etc", "run"))} == {"etc", "etc/k0s"}


def test_a_folder_with_a_file_of_another_hand_stays(node: Node) -> None:
    node.apply(OLD)
    theirs = node.folder / "etc/k0s/containerd.d/vendor.toml"
    theirs.write_text("x")
    node.apply({})
    assert list(node.tree()) == ["etc/k0s/containerd.d/vendor.toml"]
    assert not (node.folder / "etc/k0s/containerd.d/certs.d").exists()


def test_a_folder_that_another_hand_made_after_us_stays(node: Node) -> None:
    node.apply(OLD)
    node.apply({})
    folder = node.folder / "etc/k0s/containerd.d"
    folder.mkdir(parents=True)
    node.apply(OLD)
    node.apply({})
    assert folder.is_dir()


def test_going_up_and_down_for_ever_grows_no_record(node: Node) -> None:
    for _ in range(3):
        node.apply(OLD)
        node.apply({})
    node.apply(OLD)
    folders = node.state.ledger().folders
    assert len(folders) == len(set(folders))


def test_an_edited_file_is_kept_when_it_is_overwritten(node: Node) -> None:
    node.apply(OLD)
    (node.folder / DROPIN).write_text("edited by hand")
    (change,) = [c for c in node.plan(OLD, force=True).changes if c.action == "update"]
    assert change.before is not None
    node.apply(OLD, force=True)
    assert node.tree() == OLD
    assert node.state.kept(change.before.digest) == b"edited by hand"


def test_what_is_kept_is_its_owners_alone(node: Node) -> None:
    node.apply(NEW)
    objects = list((node.folder / "var/lib/k0sruntime/objects").iterdir())
    assert {oct(path.stat().st_mode & 0o7777) for path in objects} == {oct(0o600)}


def test_nothing_is_switched_before_it_is_approved(node: Node) -> None:
    node.apply(OLD)
    seen = []

    def refuses() -> None:
        seen.append(node.tree().items() >= OLD.items())
        raise RefusedError("containerd says no")

    with pytest.raises(RefusedError, match="containerd says no"):
        apply_.apply(node.plan(NEW), node.paths, node.state.ledger(), refuses)
    assert seen == [True]
    assert node.tree() == OLD
    assert node.litter() == []
    assert node.state.ledger().generation == 1


def test_no_unfinished_file_is_ever_seen_in_the_watched_folder(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = f"{node.folder}/etc/k0s/containerd.d/"
    opened: list[str] = []
    real = os.open

    def watching(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            opened.append(str(path))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", watching)
    node.apply(OLD)
    assert opened
    assert not [path for path in opened if path.startswith(watched)]


def failing(
    call: Callable[..., Any], number: int, error: Exception, *, once: bool = True
) -> Callable[..., Any]:
    """Return ``call`` that raises at its n-th call, and at all later ones unless ``once``."""
    count = 0

    def wrapper(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == number or (count > number and not once):
            raise error
        return call(*arguments, **named)

    return wrapper


SYSTEM = {
    errno.ENOSPC: "Free some space",
    errno.EROFS: "Mount the file system writable",
    errno.EACCES: "Run it as root",
    errno.EPERM: "Run it as root",
    errno.EDQUOT: "Free some quota",
    errno.EIO: "Mend the cause",
}


@pytest.mark.parametrize("number", list(SYSTEM), ids=lambda n: errno.errorcode[n])
def test_what_the_system_refuses_is_told_with_what_to_do(
    node: Node, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    error = OSError(number, os.strerror(number), "/some/place")
    monkeypatch.setattr(os, "open", failing(os.open, 1, error, once=False))
    with pytest.raises(RefusedError) as refused:
        node.apply(NEW)
    assert refused.value.exit_code == ExitCode.REFUSED
    (problem,) = refused.value.problems
    assert problem.message == f"{os.strerror(number)}; nothing was changed"
    assert problem.place == "/some/place"
    assert SYSTEM[number] in problem.remedy


def refused_at_every(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, check: Callable[[Node, int], None]
) -> int:
    """Refuse the n-th call of one function of ``os``, for every n; return how many there are."""
    for number in range(1, 200):
        node = Node(tmp_path / f"{number}")
        node.folder.mkdir()
        node.apply(OLD)
        real = getattr(os, name)
        refusal = failing(real, number, OSError(errno.ENOSPC, "No space left on device", "/x"))
        with monkeypatch.context() as patched:
            patched.setattr(os, name, refusal)
            try:
                node.apply(NEW)
            except RefusedError:
                pass
            else:
                return number - 1
        check(node, number)
    raise AssertionError("it never ended")


@pytest.mark.parametrize("name", ["open", "replace", "mkdir", "fsync", "fchmod", "unlink"])
def test_refused_at_any_call_the_old_files_are_there_and_the_next_apply_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def check(node: Node, number: int) -> None:
        assert node.tree() in (OLD, NEW), f"{name} {number}"
        assert not [f for f in node.litter() if "/etc/" in f or "/run/" in f], f"{name} {number}"
        transaction.undo(node.paths)
        node.apply(NEW)
        assert node.tree() == NEW, f"{name} {number}"
        assert node.litter() == [], f"{name} {number}"

    assert refused_at_every(tmp_path, monkeypatch, name, check) >= 1


@pytest.mark.parametrize("name", ["open", "replace", "mkdir", "fsync"])
def test_refused_at_any_call_nothing_half_written_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    found: dict[int, list[str]] = {}

    def check(node: Node, number: int) -> None:
        if litter := node.litter():
            found[number] = litter

    refused_at_every(tmp_path, monkeypatch, name, check)
    assert not found


@pytest.mark.parametrize("number", range(1, 8))
def test_folders_made_for_nothing_are_taken_away(
    node: Node, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = {folder for folder in node.folders() if "k0sruntime" not in folder}
    error = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", failing(os.mkdir, number, error))
        with pytest.raises(RefusedError):
            node.apply(OLD)
    assert {f for f in node.folders() if f.startswith(("etc", "run"))} == before


def test_nothing_was_changed_is_said_only_where_it_is_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that stays full from one moment on: the way back may be refused as well."""
    for number in range(1, 40):
        node = Node(tmp_path / f"{number}")
        node.folder.mkdir()
        node.apply(OLD)
        full = OSError(errno.ENOSPC, "No space left on device", "/x")
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", failing(os.replace, number, full, once=False))
            try:
                node.apply(NEW)
            except (RefusedError, RollbackFailedError) as exc:
                said = " ".join(problem.message for problem in exc.problems)
            else:
                return
        if "nothing was changed" in said:
            assert node.tree() == OLD, f"replace {number}"


def test_an_unfinished_journal_is_undone_wherever_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies at the n-th rename: nothing of ours runs after it."""

    class Death(BaseException):
        pass

    stopped = 0
    for number in range(1, 40):
        node = Node(tmp_path / f"{number}")
        node.folder.mkdir()
        node.apply(OLD)
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", failing(os.replace, number, Death(), once=False))
            patched.setattr(transaction, "undo", lambda paths: False)
            patched.setattr(transaction, "_discard", lambda steps, made: None)
            try:
                node.apply(NEW)
            except Death:
                stopped += 1
            else:
                break
        unfinished = transaction.unfinished(node.paths)
        assert transaction.undo(node.paths) is unfinished
        assert node.tree() in (OLD, NEW)
        assert node.litter() == [f for f in node.litter() if f.endswith(".new")]
        assert transaction.undo(node.paths) is False
        node.apply(NEW)
        assert node.tree() == NEW
    assert stopped >= 6


def test_a_generation_is_put_back_with_contents_and_modes(node: Node) -> None:
    first = node.apply(OLD)
    second = node.apply(NEW)
    restore(first.generation, node.paths, node.state, second)
    assert node.tree() == OLD
    assert node.state.ledger().generation == first.generation
    assert node.litter() == []


def test_generation_0_is_a_node_without_a_file_of_ours(node: Node) -> None:
    ledger = node.apply(OLD)
    restore(0, node.paths, node.state, ledger)
    assert node.tree() == {}


def test_a_generation_that_never_was_is_refused(node: Node) -> None:
    ledger = node.apply(OLD)
    with pytest.raises(RefusedError, match="there is no generation 7"):
        restore(7, node.paths, node.state, ledger)
    assert node.tree() == OLD


def test_a_generation_whose_content_is_lost_is_refused_and_nothing_changes(node: Node) -> None:
    node.apply(OLD)
    ledger = node.apply(NEW)
    for path in (node.folder / "var/lib/k0sruntime/objects").iterdir():
        path.unlink()
    with pytest.raises(RefusedError, match="kept file is missing"):
        restore(1, node.paths, node.state, ledger)
    assert node.tree() == NEW


def test_going_back_to_equal_files_is_recorded(node: Node) -> None:
    first = node.apply(OLD)
    node.apply(NEW)
    third = node.apply(OLD)
    assert third.generation == 3
    restore(first.generation, node.paths, node.state, third)
    assert node.state.ledger().generation == first.generation


def test_generations_go_on_counting_after_one_was_put_back(node: Node) -> None:
    node.apply(OLD)
    second = node.apply(NEW)
    restore(1, node.paths, node.state, second)
    assert node.apply(NEW).generation == 3


USERS = "# theirs\nversion = 3\n"


def hand_over(node: Node) -> Path:
    """Lay a main file there as its user would, and adopt it."""
    path = node.folder / MAIN
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(USERS)
    path.chmod(0o640)
    apply_.adopt(str(path), "node", node.paths, node.state)
    return path


def test_adopting_touches_no_file(node: Node) -> None:
    path = hand_over(node)
    assert path.read_text() == USERS
    assert existing(node.paths, node.state.ledger()).main is None


def test_an_adopted_file_is_replaced_by_up_and_comes_back_with_down(node: Node) -> None:
    hand_over(node)
    node.apply(NEW)
    assert node.tree() == NEW
    node.apply({})
    assert node.tree() == {MAIN: (USERS, 0o640)}


def test_an_adopted_file_comes_back_when_the_first_generation_is_not_proved(node: Node) -> None:
    hand_over(node)
    before = node.state.ledger()
    ledger = node.apply(NEW)
    restore(before.generation, node.paths, node.state, ledger)
    assert node.tree() == {MAIN: (USERS, 0o640)}


def test_an_adopted_file_comes_back_with_a_generation_before_it(node: Node) -> None:
    first = node.apply({DROPIN: OLD[DROPIN]})
    hand_over(node)
    ledger = node.apply(NEW)
    restore(first.generation, node.paths, node.state, ledger)
    assert node.tree() == {MAIN: (USERS, 0o640), DROPIN: OLD[DROPIN]}


def test_what_is_not_there_cannot_be_adopted(node: Node) -> None:
    with pytest.raises(RefusedError, match="no such file to adopt"):
        apply_.adopt(f"{node.folder}/{MAIN}", "node", node.paths, node.state)


def test_the_newest_proved_generation_before_the_present_one_is_found(node: Node) -> None:
    from k0sruntime.ledger import as_proved

    node.state.save(as_proved(node.apply(OLD)))
    ledger = node.apply(NEW)
    assert apply_.last_proved(node.state, ledger) == 1
    with pytest.raises(RefusedError, match="no proved generation before 1"):
        apply_.last_proved(node.state, Ledger(1))


def test_the_second_holder_of_the_lock_is_refused_in_time_and_told_by_whom(node: Node) -> None:
    said: list[str] = []
    with (
        locked(node.paths, 1, said.append),
        pytest.raises(RefusedError) as refused,
        locked(node.paths, 0.06, said.append),
    ):
        raise AssertionError("two hold the lock")
    assert said == [f"waiting for process {os.getpid()}, which holds the node's lock"]
    (problem,) = refused.value.problems
    assert problem.message == f"the node's lock is held by process {os.getpid()}"
    assert problem.place == f"{node.folder}/run/k0sruntime/lock"
    assert "--lock-timeout" in problem.remedy


def test_the_lock_is_free_again_even_after_an_error(node: Node) -> None:
    said: list[str] = []
    with pytest.raises(ZeroDivisionError), locked(node.paths, 1, said.append):
        raise ZeroDivisionError
    with locked(node.paths, 0, said.append):
        pass
    assert said == []


def test_a_lock_that_cannot_be_made_is_refused_with_what_to_do(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/run/k0sruntime")
    monkeypatch.setattr(os, "makedirs", failing(os.makedirs, 1, error))
    with (
        pytest.raises(RefusedError, match="Permission denied; nothing was changed"),
        locked(node.paths, 1, lambda _: None),
    ):
        raise AssertionError("it holds no lock")


def test_a_new_sandbox_is_made_and_marked_once(node: Node) -> None:
    sandbox.mark_sandbox(node.paths)
    mark = node.folder / sandbox.SANDBOX_MARK
    before = untouched(mark)
    sandbox.mark_sandbox(node.paths)
    assert untouched(mark) == before


def test_a_folder_with_other_things_is_no_sandbox(node: Node) -> None:
    (node.folder / "thesis.txt").write_text("x")
    with pytest.raises(RefusedError, match=r"thesis\.txt"):
        sandbox.mark_sandbox(node.paths)
    assert [path.name for path in node.folder.iterdir()] == ["thesis.txt"]


def test_a_purged_sandbox_is_gone_as_a_whole(node: Node) -> None:
    sandbox.mark_sandbox(node.paths)
    node.apply(NEW)
    assert str(node.folder) in sandbox.purge(node.paths)
    assert not node.folder.exists()


def test_without_the_mark_only_our_own_state_is_purged_and_nothing_else_is_claimed(
    node: Node,
) -> None:
    node.apply(NEW)
    (node.folder / "var/lib/k0s").mkdir(parents=True)
    (node.folder / "var/lib/k0s/theirs").write_text("x")
    said = sandbox.purge(node.paths)
    assert node.tree() == NEW
    assert (node.folder / "var/lib/k0s/theirs").read_text() == "x"
    assert not (node.folder / "var/lib/k0sruntime").exists()
    assert f"the sandbox {node.folder}" not in said


def test_a_purged_sandbox_keeps_what_a_stranger_laid_beside_it(node: Node) -> None:
    sandbox.mark_sandbox(node.paths)
    (node.folder / "thesis.txt").write_text("x")
    sandbox.purge(node.paths)
    assert [path.name for path in node.folder.iterdir()] == ["thesis.txt"]
