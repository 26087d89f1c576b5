"""A node's document as metrics, in the text format that node-exporter's textfile collector reads.

Names and units follow https://prometheus.io/docs/practices/naming/. Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from k0sruntime.seen import fleet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k0sruntime.seen.document import NodeReport

Labels = dict[str, str]
VERDICTS = ("pass", "warn", "unknown", "fail")
"""From the best to the worst."""
NOT_RUN = "not_run"
"""A handler that nobody has proved since containerd was started."""


@dataclass(frozen=True)
class Metric:
    """A metric: its name without the prefix, its type, what it tells, and its labels."""

    name: str
    type: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...] = ()


PREFIX = "k0sruntime_"
METRICS = (
    Metric(
        "info", "gauge", "Versions and mode; always 1.", ("version", "mode", "k0s", "containerd")
    ),
    Metric("state", "gauge", "1 for the state that the node is in.", ("state",)),
    Metric("configuration_info", "gauge", "Digest of what is in force; always 1.", ("digest",)),
    Metric("generation", "gauge", "Number of the present generation; 0 for none."),
    Metric("generation_proved", "gauge", "1 where the present generation has passed its proof."),
    Metric(
        "handler_proof",
        "gauge",
        "1 for the verdict of the handler's last proof.",
        ("handler", "provider", "verdict"),
    ),
    Metric("proof_checks", "gauge", "Checks of the last proof.", ("verdict",)),
    Metric("last_proof_timestamp_seconds", "gauge", "When the last proof was; 0 for none."),
    Metric("provider_active", "gauge", "1 where the provider contributes.", ("provider",)),
    Metric("lint_findings", "gauge", "What lint finds in the composition.", ("severity",)),
    Metric("pending", "gauge", "1 where the next up would change something."),
    Metric("drift_files", "gauge", "Files of ours that somebody edited."),
    Metric("foreign_files", "gauge", "Files of other hands that containerd loads."),
    Metric("refused", "gauge", "1 where the next up would be refused."),
    Metric("held", "gauge", "1 where the node is held on its last good configuration."),
    Metric("held_since_timestamp_seconds", "gauge", "Since when; 0 where it is not held."),
    Metric("apply_unfinished", "gauge", "1 where an apply was killed half-way."),
    Metric("bounces_total", "counter", "Bounces of containerd because of us."),
    Metric("containerd_starts_total", "counter", "Starts of containerd by us."),
    Metric("rollbacks_total", "counter", "Changes that failed their proof and were taken back."),
    Metric("last_rollback_timestamp_seconds", "gauge", "When the last of them was; 0 for none."),
    Metric("containerd_up", "gauge", "1 where containerd runs."),
    Metric("containerd_start_timestamp_seconds", "gauge", "When it was started; 0 for not at all."),
    Metric("supervisor_up", "gauge", "1 where our supervisor runs."),
    Metric("gpus", "gauge", "GPUs on the PCI bus.", ("driver",)),
)
"""Every metric, in the order in which they are written."""


def text(node: NodeReport) -> str:
    """Return all metrics of a node."""
    samples = _samples(node)
    lines: list[str] = []
    for metric in METRICS:
        name = PREFIX + metric.name
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.type}"]
        lines += [f"{name}{_labels(labels)} {value:.15g}" for labels, value in samples[metric.name]]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    said = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{said}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


Samples = list[tuple[Labels, float]]


def _samples(node: NodeReport) -> Mapping[str, Samples]:
    facts = fleet.facts(node)
    info = {"version": node.version, "mode": node.mode}
    info |= {"k0s": facts["k0s"], "containerd": facts["containerd"]}
    found: dict[str, Samples] = {
        name: [({}, float(value))] for name, value in _numbers(node).items()
    }
    found["info"] = [(info, 1)]
    found["state"] = [
        ({"state": state.replace(" ", "_")}, node.state == state) for state in fleet.SEVERITY
    ]
    found["configuration_info"] = [({"digest": node.digest[:12]}, 1)] if node.digest else []
    found["handler_proof"] = list(_handlers(node))
    found["proof_checks"] = _counted("verdict", VERDICTS, Counter(p.verdict for p in node.proofs))
    found["provider_active"] = [
        ({"provider": provider.name}, provider.state == "active") for provider in node.providers
    ]
    severities = Counter(finding.severity for finding in node.findings)
    found["lint_findings"] = _counted("severity", ("error", "warning"), severities)
    drivers = Counter(gpu.driver or "none" for gpu in node.machine.gpus)
    found["gpus"] = _counted("driver", sorted(drivers), drivers) or [({"driver": "none"}, 0)]
    return found


def _counted(label: str, values: tuple[str, ...] | list[str], counts: Mapping[str, int]) -> Samples:
    return [({label: value}, counts.get(value, 0)) for value in values]


def _numbers(node: NodeReport) -> Mapping[str, float]:
    present = next((g for g in node.generations if g.present), None)
    containerd, supervisor, held = node.containerd, node.supervisor, node.held
    return {
        "generation": node.generation,
        "generation_proved": present is not None and present.proved,
        "last_proof_timestamp_seconds": seconds(node.proved_at),
        "pending": node.pending is not None,
        "drift_files": len(node.drift),
        "foreign_files": len(node.foreign),
        "refused": bool(node.problems),
        "held": held is not None,
        "held_since_timestamp_seconds": seconds(held.at) if held else 0,
        "apply_unfinished": node.unfinished,
        "bounces_total": node.counts.bounces,
        "containerd_starts_total": node.counts.starts,
        "rollbacks_total": node.counts.roll_backs,
        "last_rollback_timestamp_seconds": seconds(node.counts.last_roll_back),
        "containerd_up": containerd is not None and containerd.alive,
        "containerd_start_timestamp_seconds": containerd.started if containerd else 0,
        "supervisor_up": supervisor is not None and supervisor.alive,
    }


def _handlers(node: NodeReport) -> Iterator[tuple[Labels, float]]:
    """Yield a sample for every handler and verdict; a handler's verdict is its worst."""
    for handler in node.handlers:
        said = [p.verdict for p in node.proofs if p.handler == handler.name]
        worst = max(said, key=VERDICTS.index, default=NOT_RUN)
        for verdict in (*VERDICTS, NOT_RUN):
            labels = {"handler": handler.name, "provider": handler.owner, "verdict": verdict}
            yield labels, verdict == worst


def seconds(at: str) -> float:
    """Return a time in ISO 8601 as seconds since the epoch; 0 where there is none."""
    try:
        return datetime.fromisoformat(at).timestamp() if at else 0.0
    except ValueError:
        return 0.0
