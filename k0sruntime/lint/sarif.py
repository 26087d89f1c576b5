"""Findings as SARIF 2.1.0, which code hosts and editors show beside the line.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0, sections 3.14 (run), 3.27 (result),
3.29 (physicalLocation), 3.49 (reportingDescriptor).
"""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

from k0sruntime.__about__ import __version__
from k0sruntime.lint.finding import DOCS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.lint.finding import Finding, Rule

UNRESERVED = string.ascii_letters + string.digits + "-._~/"
"""What stands in a path of an URI as it is (RFC 3986, 2.3 and 3.3)."""
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Sequence[Finding], rules: Sequence[Rule]) -> str:
    """Return all findings as one SARIF run, with every rule and the address of its page."""
    numbers = {rule.code: number for number, rule in enumerate(rules)}
    driver = {
        "name": "k0sruntime",
        "version": __version__,
        "informationUri": f"{DOCS}/index.md",
        "rules": [_descriptor(rule) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, numbers[finding.rule.code]) for finding in findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": f"{rule.summary[0].upper()}{rule.summary[1:]}."},
        "helpUri": rule.page,
        "help": {"text": f"What it means and how to mend it: {rule.page}"},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"consequence": rule.consequence},
    }


def _result(finding: Finding, number: int) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.path)}}
    if finding.line:
        region = {"startLine": finding.line}
        if finding.column:
            region["startColumn"] = finding.column
        location["region"] = region
    return {
        "ruleId": finding.rule.code,
        "ruleIndex": number,
        "level": finding.severity,
        "message": {"text": f"{finding.message}. {finding.remedy}"},
        "locations": [{"physicalLocation": location}],
        "properties": {"consequence": finding.consequence, "key": finding.key},
    }


def _uri(path: str) -> str:
    """Return an URI: a relative path stays relative, so that a code host finds the file."""
    octets = path.encode(errors="surrogateescape")
    escaped = "".join(chr(o) if chr(o) in UNRESERVED else f"%{o:02X}" for o in octets)
    return f"file://{escaped}" if path.startswith("/") else escaped
