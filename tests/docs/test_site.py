"""The site builds, strictly, and every page and every name that it promises is there.

This is the build of the gate as well: `.ci/run` makes no other.
"""

from __future__ import annotations

import fnmatch
import html
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import k0sruntime
import k0sruntime.testing
from docs.generate.links import PAGES
from k0sruntime.cli.main import COMMANDS
from k0sruntime.errors import ExitCode
from k0sruntime.lint import RULES
from tests.docs.blocks import ROOT

CONFIG: dict[str, Any] = YAML().load((ROOT / "mkdocs.yml").read_text())
SECONDS = 100


def built(target: Path, config: str = "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("mkdocs") is None:
        pytest.fail("this environment has no mkdocs: make .venv/.dev brings the group docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    return subprocess.run(
        [*command, "--config-file", config],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = built(target)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def shown(site: Path, page: str) -> str:
    """Return the built page of a source, as text and tags."""
    place = page.removesuffix(".md")
    place = place.removesuffix("index").rstrip("/") if place.endswith("index") else place
    return html.unescape((site / place / "index.html").read_text())


def in_nav(entries: Any) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            else:
                yield from in_nav(value)


def test_the_site_builds_and_every_entry_of_its_navigation_is_a_page(site: Path) -> None:
    entries = list(in_nav(CONFIG["nav"]))
    assert len(entries) > 35
    assert len(set(entries)) == len(entries)
    for page in entries:
        assert "<h1" in shown(site, page), page


def test_every_page_is_in_the_navigation_or_said_not_to_be() -> None:
    sources = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    aside = CONFIG["not_in_nav"].split()
    left = (sources | set(PAGES.values())) - set(in_nav(CONFIG["nav"]))
    alone = [p for p in left if not any(fnmatch.fnmatch(p, f"{one.rstrip('/')}*") for one in aside)]
    assert alone == []


def test_the_reference_has_what_the_code_has(site: Path) -> None:
    anchors = set(
        re.findall(r'id="k0sruntime\.[\w.]*?(\w+)"', shown(site, "reference/contract.md"))
    )
    plain = {"CONTRACT", "__version__"}
    assert set(k0sruntime.__all__) - plain - anchors == set()
    kit = set(re.findall(r'id="k0sruntime\.[\w.]*?(\w+)"', shown(site, "reference/testing.md")))
    assert set(k0sruntime.testing.__all__) - kit == set()
    commands = shown(site, "reference/commands.md")
    assert [name for name in COMMANDS if f"k0sruntime {name}" not in commands] == []
    codes = shown(site, "reference/exit-codes.md")
    assert [code.name for code in ExitCode if code.name not in codes] == []
    rules = shown(site, "rules/index.md")
    assert [rule.code for rule in RULES if rule.code not in rules] == []
    for rule in RULES:
        assert rule.name in shown(site, f"rules/{rule.code}.md")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a](nowhere.md)", "nowhere.md"),
        ("<!-- generated: nosuch -->", "no text 'nosuch'"),
        ("::: k0sruntime.contributions.NoSuch", "NoSuch"),
        ("[a](index.md#nowhere)", "nowhere"),
    ],
    ids=["dead link", "a text that nobody makes", "no such name", "dead anchor"],
)
def test_what_leads_to_nowhere_fails_the_build(text: str, told: str, tmp_path: Path) -> None:
    """With the site's own configuration and hooks, on one page."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# A page\n\n{text}\n")
    (tmp_path / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT}/mkdocs.yml\ndocs_dir: {docs}\nnav: [index.md]\n"
        f"hooks: [{tmp_path}/hooks.py]\nnot_in_nav: '*'\nexclude_docs: ''\n"
    )
    (tmp_path / "hooks.py").write_text("from docs.generate.hooks import on_page_markdown\n")
    done = built(tmp_path / "site", str(tmp_path / "mkdocs.yml"))
    assert done.returncode != 0, done.stdout + done.stderr
    assert told in done.stdout + done.stderr
