"""Every rule has a page, and the page's examples are true."""

from __future__ import annotations

import re

import pytest

from docs.generate.texts import filled
from k0sruntime.lint import RULES, Rule, check
from k0sruntime.lint.said import RULES as SAID
from tests.lint.pages import DOCS, page

CODES = [rule.code for rule in RULES]
JUDGED = [rule for rule in RULES if rule not in SAID]


def test_codes_and_names_are_unique_and_in_order() -> None:
    assert sorted(set(CODES)) == CODES
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_no_page_without_a_rule() -> None:
    assert {path.stem for path in DOCS.glob("K0R*.md")} == set(CODES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_page_says_what_the_rule_is(rule: Rule) -> None:
    text = page(rule.code).text
    assert text.startswith(f"# {rule.code} {rule.name}\n")
    flat = " ".join(text.split())
    assert (
        f"{rule.summary[0].upper()}{rule.summary[1:]}. Usually: *{rule.consequence}* ({rule.severity})."
        in flat
    )
    for section in ("Why", "Bad", "Good", "How to mend"):
        assert f"\n## {section}\n" in text


def test_the_table_of_rules_is_complete() -> None:
    rows = re.findall(
        r"^\| \[(K0R\d+)\]\(K0R\d+\.md\) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$",
        filled((DOCS / "index.md").read_text()),
        re.MULTILINE,
    )
    assert rows == [
        (r.code, r.name, r.summary, r.consequence, "machine" if r.machine else "") for r in RULES
    ]


@pytest.mark.parametrize("rule", JUDGED, ids=lambda rule: rule.code)
def test_the_bad_example_triggers_this_rule_only(rule: Rule) -> None:
    example = page(rule.code)
    findings = check(example.subject("Bad"), example.target(), example.files("Bad"))
    assert {finding.rule.code for finding in findings} == {rule.code}
    assert all(finding.consequence == rule.consequence for finding in findings)
    for finding in findings:
        assert finding.message
        assert not finding.message.endswith(".")
        assert finding.remedy
        assert finding.path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_good_example_triggers_nothing(rule: Rule) -> None:
    example = page(rule.code)
    assert check(example.subject("Good"), example.target(), example.files("Good")) == ()


@pytest.mark.parametrize("rule", [r for r in JUDGED if r.machine], ids=lambda rule: rule.code)
def test_a_rule_of_the_machine_rests_without_a_machine(rule: Rule) -> None:
    from dataclasses import replace

    example = page(rule.code)
    target = replace(example.target(), machine=None)
    assert check(example.subject("Bad"), target, example.files("Bad")) == ()
