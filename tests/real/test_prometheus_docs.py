"""What docs/prometheus.md tells an operator to install is taken by Prometheus and by systemd."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.real.conftest import LAB, ROOT

pytestmark = pytest.mark.real
TEXT = (ROOT / "docs/prometheus.md").read_text()
UNIT_TEST = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'k0sruntime_configuration_info{instance="odd", digest="bbb"}', values: "1x120"}
%s
      - {series: 'k0sruntime_rollbacks_total{instance="n1"}', values: "0x60 1x60"}
      - {series: 'k0sruntime_handler_proof{instance="n1",handler="runsc",verdict="fail"}', values: "1x120"}
    alert_rule_test:
      - eval_time: 90m
        alertname: RuntimeOddOneOut
        exp_alerts:
          - exp_labels: {digest: bbb}
            exp_annotations: {summary: "fewer than a tenth of the nodes run with configuration bbb"}
      - eval_time: 90m
        alertname: RuntimeRolledBack
        exp_alerts:
          - exp_labels: {instance: n1}
            exp_annotations: {summary: "n1: a change failed its proof and was taken back"}
      - eval_time: 10m
        alertname: RuntimeHandlerFails
        exp_alerts:
          - exp_labels: {instance: n1, handler: runsc, verdict: fail}
            exp_annotations: {summary: "n1: no pod starts under handler runsc"}
"""


def block(language: str, holding: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    (text,) = [text for text in found if holding in text]
    return str(text)


def promtool(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [LAB / "bin/promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_rules_and_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(block("yaml", "groups:"))
    usual = "\n".join(
        f"""      - {{series: 'k0sruntime_configuration_info{{instance="n{n}", digest="aaa"}}', values: "1x120"}}"""
        for n in range(15)
    )
    (tmp_path / "test.yml").write_text(UNIT_TEST % usual)
    promtool(tmp_path, "check", "rules", "rules.yml")
    promtool(tmp_path, "test", "rules", "test.yml")


def test_the_timer_and_its_service_are_units(tmp_path: Path) -> None:
    for kind, holding in (("service", "[Service]"), ("timer", "[Timer]")):
        text = block("ini", holding).replace("/usr/local/bin/k0sruntime", "/bin/true")
        (tmp_path / f"k0sruntime-metrics.{kind}").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "k0sruntime-metrics.timer"],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "k0sruntime-metrics" in line]
    assert (done.returncode, ours) == (0, []), done.stderr
