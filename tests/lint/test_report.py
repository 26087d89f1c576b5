"""What lint prints: text, JSON and SARIF."""

from __future__ import annotations

import json

from k0sruntime.lint import RULES, check, report
from k0sruntime.lint.elf import machine_of, runs_on
from k0sruntime.lint.gather import gather
from k0sruntime.lint.sarif import sarif
from k0sruntime.lint.spelling import did_you_mean
from k0sruntime.lint.target import for_k0s
from k0sruntime.testing import MadeUpFiles

FILES = MadeUpFiles(
    {
        "/etc/k0s/containerd.d/10 a.toml": 'version = 3\n[plugins."io.containerd.cri.v1.runtme"]\n',
        "/etc/k0s/containerd.d/20.toml": "version = 2\n",
    }
)
SUBJECT = gather(["/etc/k0s/containerd.d"], FILES)
TARGET = for_k0s("1.36")
FINDINGS = check(SUBJECT, TARGET, FILES)


def test_text() -> None:
    assert report.text(FINDINGS, SUBJECT, TARGET).splitlines() == [
        (
            "/etc/k0s/containerd.d/10 a.toml:2: warning K0R101 unknown-plugin-id: containerd 2.3.3 has no plugin"
            " 'io.containerd.cri.v1.runtme'; did you mean 'io.containerd.cri.v1.runtime'?"
        ),
        '    key:  plugins."io.containerd.cri.v1.runtme"',
        "    then: it has no effect, and nobody says so (silently ignored)",
        "    do:   Correct the plugin ID, or take the table out.",
        "/etc/k0s/containerd.d/20.toml:1: error K0R202 version-too-low: version = 2, but k0s takes drop-ins of version 3 only",
        "    key:  version",
        "    then: containerd does not start, or starts no pod (stops the node)",
        "    do:   Rewrite it for version 3: k0sruntime migrate /etc/k0s/containerd.d/20.toml",
        "1 error and 1 warning in 2 files, judged for k0s 1.36 with containerd 2.3.3",
    ]


def test_text_shows_what_a_terminal_would_obey() -> None:
    files = MadeUpFiles({"/x/a.toml": '"\\u001b[2J" = 1\n'})
    subject = gather(["/x"], files)
    text = report.text(check(subject, TARGET, files), subject, TARGET)
    assert "\x1b" not in text
    assert "\\x1b[2J" in text


def test_json() -> None:
    document = json.loads(report.document(FINDINGS, SUBJECT, TARGET))
    assert {key: document[key] for key in ("kind", "schema", "target", "errors", "warnings")} == {
        "kind": "Lint",
        "schema": 1,
        "target": {"containerd": "2.3.3", "k0s": "1.36", "config_schema": 3, "machine": False},
        "errors": 1,
        "warnings": 1,
    }
    assert document["files"] == ["/etc/k0s/containerd.d/10 a.toml", "/etc/k0s/containerd.d/20.toml"]
    first = document["findings"][0]
    assert first["code"] == "K0R101"
    assert first["line"] == 2
    assert first["severity"] == "warning"
    assert first["consequence"] == "silently ignored"
    assert first["help"].endswith("/docs/rules/K0R101.md")


def test_sarif() -> None:
    document = json.loads(sarif(FINDINGS, RULES))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.code for rule in RULES]
    assert all(rule["helpUri"].startswith("https://") for rule in rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        (location,) = result["locations"]
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "file:///etc/k0s/containerd.d/10%20a.toml"


def test_did_you_mean() -> None:
    assert (
        did_you_mean("enable_CDi", ["enable_cdi", "enable_selinux"])
        == "; did you mean 'enable_cdi'?"
    )
    assert did_you_mean("zzz", ["enable_cdi"]) == ""
    assert did_you_mean("a" * 100_000, ["a"]) == ""


def test_elf() -> None:
    assert machine_of(b"#!/bin/sh") == ""
    assert machine_of(b"\x7fELF") == "?"
    assert machine_of(b"\x7fELF\x02\x02" + bytes(12) + b"\x00\x16") == "s390x"
    assert machine_of(b"\x7fELF\x02\x01" + bytes(12) + b"\xff\x00") == "machine 255"
    assert runs_on("i386", "x86_64")
    assert not runs_on("aarch64", "x86_64")
