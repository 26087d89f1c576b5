"""Whatever an operator does in whatever order, the node keeps its promises; on a real containerd.

Hypothesis draws the sequences: settings, foreign drop-ins, edits of our files, up, down, rollback,
and the death of containerd or of a command half-way.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from k0sruntime import pipeline, processes, rollback, staging, transaction
from k0sruntime.cli.story import Silent
from k0sruntime.cri import CRI
from k0sruntime.errors import CRIError, K0sRuntimeError, RefusedError, RolledBackError
from k0sruntime.ledger import State
from k0sruntime.paths import Paths
from k0sruntime.plan import digest
from k0sruntime.stages import Request
from tests.real.conftest import CONTAINERDS, LAB, RealNode, mounts
from tests.real.conftest import processes as living

pytestmark = pytest.mark.real

SEQUENCES = 50
"""A batch; there are four."""
STEPS = 7
BASE = '[node]\npause_image = "k0sruntime.local/probe:1"\nsupervisor = { enabled = false }\n'
HANDLERS = {
    "plain": BASE,
    "more": f'{BASE}[node.handlers.more]\nbinary = "{LAB}/bin/runc"\n',
    "broken": f'{BASE}[node.handlers.broken]\nbinary = "/bin/false"\n',
}
TABLE = '[plugins."io.containerd.cri.v1.runtime".containerd'
VENDOR = {
    "none": None,
    "good": f'version = 3\n{TABLE}.runtimes.vendor]\nruntime_type = "io.containerd.runc.v2"\n',
    "bad": f'version = 3\n{TABLE}]\ndefault_runtime_name = "nope"\n',
    "no TOML": "version = = 3\n",
}
SEEN: list[str] = []
"""One entry a sequence, so that the test can count them."""
BROKEN: list[str] = []
"""Every promise that was not kept, whatever Hypothesis makes of it: time plays a part here."""


def noted(step: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(step)
    def wrapper(*arguments: Any, **options: Any) -> None:
        try:
            step(*arguments, **options)
        except BaseException:
            BROKEN.append(traceback.format_exc())
            raise

    return wrapper


class Sequence(RuleBasedStateMachine):
    """An operator, a vendor, and an unlucky machine."""

    node: ClassVar[RealNode]

    def __init__(self) -> None:
        super().__init__()
        SEEN.append("")
        self.paths = Paths.in_sandbox(str(self.node.folder))
        self.vendor: str = "none"
        self.edited = False
        self.killed = False
        self.wanted = "plain"
        self.node.write_settings(BASE)

    def request(self, *, force: bool = False) -> Request:
        return Request(
            self.paths,
            without=frozenset(self.node.without),
            containerd=str(self.node.containerd),
            force=force,
        )

    def files(self) -> dict[str, bytes]:
        """Return what lies there, without what a killed command had staged; that is swept."""
        return {k: v for k, v in self.node.files().items() if staging.STAGING not in k}

    @property
    def ours(self) -> Path:
        return self.node.dropins / "k0sruntime-node.toml"

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Run a command; what it refuses must leave what ran running and proved."""
        before = processes.running(self.paths)
        proved = before is not None and bool(before.proofs)
        journal = transaction.unfinished(self.paths)
        files = self.files()
        failed: K0sRuntimeError | None = None
        try:
            yield
        except K0sRuntimeError as exc:
            failed = exc
            raise
        finally:
            self.killed = False
            now = processes.running(self.paths)
            if failed:
                assert not proved or now is not None, f"the node was lost by: {failed}"
            if isinstance(failed, RefusedError) and not journal:
                assert self.files() == files, "refused, and nothing was written"
                assert now is None or before is None or now.pid == before.pid
            if isinstance(failed, RolledBackError):
                assert self.wanted == "broken"

    @rule(wanted=st.sampled_from(list(HANDLERS)), force=st.booleans())
    @noted
    def up(self, wanted: str, force: bool) -> None:
        self.wanted = wanted
        self.node.write_settings(HANDLERS[wanted])
        refused = self.vendor in ("bad", "no TOML") or (self.edited and not force)
        try:
            with self.changing():
                pipeline.up(self.request(force=force), Silent())
        except RolledBackError:
            self.edited = self.edited and not force
            return
        except K0sRuntimeError:
            assert refused, "nothing stood in its way"
            return
        assert not refused
        assert wanted != "broken"
        self.edited = False
        expected = (
            {"runc"} | ({"more"} & {wanted}) | ({"vendor"} if self.vendor == "good" else set())
        )
        with CRI(self.paths.socket) as cri:
            assert set(cri.handlers()) == expected

    @rule(kind=st.sampled_from(list(VENDOR)))
    @noted
    def vendor_writes(self, kind: str) -> None:
        self.vendor = kind
        path = self.node.dropins / "vendor.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = VENDOR[kind]
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)

    @rule()
    @noted
    def edit_ours(self) -> None:
        if not self.ours.exists():
            return
        self.ours.write_text(self.ours.read_text() + "# by hand\n")
        self.edited = True

    @rule(force=st.booleans())
    @noted
    def down(self, force: bool) -> None:
        edited = self.edited
        try:
            with self.changing():
                pipeline.down(self.request(force=force), Silent(), pods=True, purge=False)
        except RefusedError:
            assert edited
            assert not force
            return
        self.edited = False
        assert processes.running(self.paths) is None
        left = {name for name in self.node.files() if "config.toml" not in name}
        assert left <= {"etc/k0s/containerd.d/vendor.toml"}

    @rule(force=st.booleans())
    @noted
    def rollback(self, force: bool) -> None:
        try:
            with self.changing():
                rollback.rollback(self.request(force=force), Silent(), None)
        except K0sRuntimeError:
            return
        self.edited = False

    @rule()
    @noted
    def containerd_dies(self) -> None:
        running = processes.running(self.paths)
        if running is not None:
            os.kill(running.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(running.pid, 0)

    @rule(seconds=st.floats(0.1, 0.6))
    @noted
    def up_is_killed(self, seconds: float) -> None:
        process = subprocess.Popen(
            self.node.command("up"),
            env=self.node.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        process.kill()
        process.wait()
        time.sleep(0.3)  # a containerd that it had told to stop is still on its way out
        with contextlib.suppress(CRIError), CRI(self.paths.socket) as cri:
            cri.wait(20.0, lambda: processes.running(self.paths) is not None)
        self.killed = True

    @invariant()
    @noted
    def other_hands_files_are_never_touched(self) -> None:
        path = self.node.dropins / "vendor.toml"
        text = VENDOR[self.vendor]
        assert (path.read_text() if path.exists() else None) == text

    @invariant()
    @noted
    def nothing_half_written_lies_in_the_watched_folder(self) -> None:
        names = {path.name for path in self.node.dropins.glob("*")} - {"vendor.toml", "certs.d"}
        assert all(name.startswith("k0sruntime-") and name.endswith(".toml") for name in names)

    @invariant()
    @noted
    def the_record_is_what_lies_there(self) -> None:
        if self.killed:
            return
        assert not transaction.unfinished(self.paths)
        for path, owned in State(self.paths).ledger().files.items():
            if path == str(self.ours) and self.edited:
                continue
            assert digest(Path(path).read_bytes()) == owned.digest, path

    def teardown(self) -> None:
        (self.node.dropins / "vendor.toml").unlink(missing_ok=True)
        pipeline.down(self.request(force=True), Silent(), pods=True, purge=False)
        shutil.rmtree(self.node.folder / "var/lib/k0sruntime", ignore_errors=True)


@pytest.fixture
def image() -> Iterator[RealNode]:
    """A node whose containerd knows the image already; its state is thrown away in between."""
    folder = Path(tempfile.mkdtemp(prefix="k0sr-", dir="/tmp"))
    node = RealNode(folder, CONTAINERDS["2.1"])
    node.write_settings(BASE)
    node.put_image()
    node.ok("up")
    node.ok("down")
    shutil.rmtree(folder / "var/lib/k0s/images")  # containerd keeps what it has imported
    yield node
    node.run("down", "--pods", "--force", "--purge")
    _end_lost_shims(folder)
    assert not living(folder), "the test left processes behind"
    assert not mounts(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _end_lost_shims(folder: Path) -> None:
    """End shims whose containerd was killed while it started them: no containerd knows of them."""
    for line in living(folder):
        pid, program, *_ = line.split()
        if "containerd-shim" in program:
            os.kill(int(pid), signal.SIGKILL)
    time.sleep(0.2)
    for point in reversed(mounts(folder)):
        subprocess.run(["umount", "-l", point], check=True)


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
@pytest.mark.parametrize("batch", range(4))
def test_any_sequence_keeps_the_nodes_promises(
    image: RealNode, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setenv("PATH", image.environment()["PATH"])
    Sequence.node = image
    SEEN.clear()
    BROKEN.clear()
    for attempt in range(5):
        if BROKEN or len(SEEN) >= SEQUENCES:
            break
        with contextlib.suppress(FlakyStrategyDefinition):  # the clock decides what comes next
            _run(seed(batch + 10 * attempt)(Sequence))
    assert not BROKEN, "\n".join(BROKEN)
    assert len(SEEN) >= SEQUENCES


def _run(machine: type[Sequence]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
