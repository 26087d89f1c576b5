"""Metrics: what Prometheus' own parser makes of them, and what the docs say they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from k0sruntime.cli.main import run
from k0sruntime.seen import metrics, read
from k0sruntime.seen.document import (  # fmt: skip
    GPU,
    Counts,
    Handler,
    Held,
    Machine,
    NodeReport,
    Provider,
    Verdict,
)

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples/fleet"
AT = "2026-11-25T20:00:00+00:00"


def samples(node: NodeReport) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return every sample by name and label values, as Prometheus' own parser reads it."""
    return {
        (sample.name.removeprefix("k0sruntime_"), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.text(node))
        for sample in family.samples
    }


def test_every_metric_has_its_type_and_its_help() -> None:
    text = metrics.text(read.read(str(EXAMPLE / "worker-5.json")))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(families) == len(metrics.METRICS)
    for metric in metrics.METRICS:
        family = families[f"k0sruntime_{metric.name.removesuffix('_total')}"]
        assert (family.type, family.documentation) == (metric.type, metric.help)
        assert metric.name.endswith("_total") == (metric.type == "counter")
        for sample in family.samples:
            assert tuple(sample.labels) == metric.labels


def test_a_node_that_was_rolled_back_counts_it() -> None:
    found = samples(read.read(str(EXAMPLE / "worker-5.json")))
    assert found["generation", ()] == 1
    assert found["generation_proved", ()] == 1
    assert found["rollbacks_total", ()] == 1
    assert found["bounces_total", ()] == 2
    at = datetime.fromisoformat("2026-11-25T19:45:46+00:00").timestamp()
    assert found["last_rollback_timestamp_seconds", ()] == at
    assert found["handler_proof", ("crun", "node", "pass")] == 1
    assert found["handler_proof", ("crun", "node", "fail")] == 0


def test_a_node_that_is_held_says_since_when() -> None:
    found = samples(read.read(str(EXAMPLE / "worker-7.json")))
    assert found["held", ()] == 1
    assert found["held_since_timestamp_seconds", ()] == metrics.seconds("2026-11-25T19:48:57+00:00")
    assert found["refused", ()] == 1
    assert found["supervisor_up", ()] == 1
    assert found["state", ("held",)] == 1
    assert found["lint_findings", ("error",)] == 1


def test_a_handlers_verdict_is_its_worst() -> None:
    node = NodeReport(
        name="n",
        at=AT,
        state="failed",
        handlers=[Handler(name="a", owner="x"), Handler(name="b", owner="x")],
        proofs=[
            Verdict(name="program", verdict="pass", handler="a"),
            Verdict(name="sandbox", verdict="fail", handler="a"),
            Verdict(name="CRI", verdict="warn"),
        ],
        machine=Machine(gpus=[GPU(address="1", vendor=1, device_class=1, driver="nvidia")] * 2),
    )
    found = samples(node)
    assert found["handler_proof", ("a", "x", "fail")] == 1
    assert found["handler_proof", ("a", "x", "pass")] == 0
    assert found["handler_proof", ("b", "x", "not_run")] == 1
    assert found["proof_checks", ("warn",)] == 1
    assert found["gpus", ("nvidia",)] == 2


def test_names_that_are_hostile_stay_inside_their_quotes() -> None:
    nasty = 'a"} 1\n# TYPE x counter\\'
    node = NodeReport(
        name="n",
        at=AT,
        state="proved",
        handlers=[Handler(name=nasty, owner=nasty)],
        providers=[Provider(name=nasty, state="active")],
        held=Held(at="no time"),
        counts=Counts(last_roll_back="2026-13-45"),
    )
    found = samples(node)
    assert found["handler_proof", (nasty, nasty, "not_run")] == 1
    assert found["held_since_timestamp_seconds", ()] == 0
    assert found["last_rollback_timestamp_seconds", ()] == 0


def test_the_docs_have_every_metric_with_its_type_and_its_labels() -> None:
    text = (ROOT / "docs/prometheus.md").read_text()
    rows = re.findall(
        r"^\| `(k0sruntime_\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \| .+ \|$", text, re.MULTILINE
    )
    documented = [(name, kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels, _ in rows]
    assert documented == [(f"k0sruntime_{m.name}", m.type, list(m.labels)) for m in metrics.METRICS]
    for name, _, _, unit in rows:
        wanted = "seconds since the epoch" if name.endswith("_seconds") else None
        assert wanted is None or unit.strip() == wanted, name


def test_the_file_is_switched_at_once_and_everybody_may_read_it(tmp_path: Path) -> None:
    node, file = tmp_path / "node", tmp_path / "metrics/k0sruntime.prom"
    node.mkdir()
    file.parent.mkdir()
    arguments = ["status", "--sandbox", str(node), "--no-providers", "--mode", "managed"]
    settings = node / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[node]\nk0s = "1.36"\n')
    assert run([*arguments, "--prometheus", str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o644
    first = file.stat().st_ino
    assert run([*arguments, "--prometheus", str(file)]) == 0
    assert file.stat().st_ino != first, "another file, renamed: no collector sees a half one"
    assert os.listdir(file.parent) == ["k0sruntime.prom"]
    (info,) = [f for f in text_string_to_metric_families(file.read_text()) if f.name == "k0sruntime_info"]  # fmt: skip
    assert info.samples[0].labels["mode"] == "managed"


def test_a_node_that_up_would_refuse_has_metrics_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "etc/k0sruntime/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[nodes]\n")
    assert run(["status", "--sandbox", str(tmp_path), "--no-providers", "--prometheus", "-"]) == 0
    out = capsys.readouterr().out
    assert "k0sruntime_refused 1\n" in out
    assert 'k0sruntime_state{state="refused"} 1\n' in out


def test_a_file_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    where = str(tmp_path / "file/k0sruntime.prom")
    sandbox = ["--sandbox", str(tmp_path / "node"), "--no-providers"]
    assert run(["status", *sandbox, "--prometheus", where]) == 3
    assert "nothing was changed" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--json"], ["--prometheus", "-"]])
def test_watch_excludes_what_is_for_programs(more: list[str]) -> None:
    assert run(["status", "--watch", *more]) == 2


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("metrics/a.txt", 2, "node-exporter reads only files that end in .prom"),
        ("metrics/prom", 2, "node-exporter reads only files that end in .prom"),
        ("elsewhere/a.prom", 3, "there is no such folder"),
        ("metrics/fifo.prom", 3, "a FIFO lies there"),
    ],
)
def test_a_file_that_no_collector_would_read_is_refused_and_nothing_is_made(
    where: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics").mkdir()
    os.mkfifo(tmp_path / "metrics/fifo.prom")
    sandbox = ["--sandbox", str(tmp_path / "node"), "--no-providers"]
    assert run(["status", *sandbox, "--prometheus", str(tmp_path / where)]) == code
    told = capsys.readouterr().err
    assert said in told
    assert "do:" in told
    assert sorted(os.listdir(tmp_path)) == ["metrics"]
    assert os.listdir(tmp_path / "metrics") == ["fifo.prom"]


def watching(folder: Path, output: str) -> subprocess.Popen[bytes]:
    """Start a watch whose output goes where a shell says."""
    program = f"{sys.executable} -m k0sruntime status --watch --no-providers --sandbox {folder}"
    return subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", f"{program} {output}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_watch_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    out, err = watching(tmp_path, "| head -1").communicate(timeout=30)
    assert out.startswith(b"--- 20")
    assert err == b""


def test_watch_onto_a_full_disk_ends_and_says_why(tmp_path: Path) -> None:
    process = watching(tmp_path, "> /dev/full")
    _, err = process.communicate(timeout=30)
    said = err.decode()
    assert process.returncode == 1
    assert "the output cannot be written: No space left on device" in said
    assert "bug" not in said
    assert "Exception" not in said


def test_any_command_onto_a_full_disk_says_so(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "k0sruntime", "providers", "--sandbox", tmp_path],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert b"the output cannot be written" in done.stderr
    assert b"bug" not in done.stderr
