"""Every fenced block of the docs is run, parsed and judged, or says why it is not."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from ruamel.yaml import YAML

from k0sruntime import settings, toml
from k0sruntime.discovery import discover
from tests.docs import world
from tests.docs.blocks import COMMENTS, ROOT, Block, blocks, commands, pages
from tests.docs.needs import MACHINES, NAMES

PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks(page)]
SHOWN = ("text", "ini", "diff", "hcl", "dockerfile")
"""Languages of blocks that only show something, or are judged elsewhere (test_docs_sites)."""
NOT_RUN = {
    "README.md": 1,  # make test, which runs these tests
    "docs/operators.md": 2,  # a cluster; gVisor's own server
    "docs/prometheus.md": 1,  # a timer of systemd's
    "docs/vendors.md": 2,  # what would publish, and what is not published
}
"""How many blocks of a page are not run. Before a number here grows, look for a way to run it."""
ELSEWHERE = {
    "docs/air-gap.md": "tests/real/test_bundle.py",
    "docs/ansible.md": "tests/fleet/test_collection.py",
    "docs/images.md": "tests/real/test_image_root.py",
    "plugins/dockerd/README.md": "tests/real/test_dockerd.py",
    "plugins/gvisor/README.md": "tests/real/test_gvisor.py",
    "plugins/mirrors/README.md": "tests/real/test_mirror.py",
    "plugins/nvidia/README.md": "tests/real/test_nvidia.py",
}
"""Pages whose commands need what no page's machine has; they are run there, in another form."""


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def name(block: Block) -> str:
    return block.where


def test_there_is_no_language_that_nobody_looks_at() -> None:
    known = {"console", "toml", "python", "json", "yaml", *SHOWN}
    assert [b.where for b in BLOCKS if b.language not in known] == []


def test_a_block_that_is_not_run_says_why_and_they_stay_few() -> None:
    left = [block for block in BLOCKS if "not run" in block.said]
    assert all(len(block.said["not run"].split()) >= 4 for block in left)
    assert {b.page: sum(o.page == b.page for o in left) for b in left} == NOT_RUN


def test_no_marker_is_misspelt() -> None:
    """A comment that is no marker, or stands before no block, would silently mean nothing."""
    for page in PAGES:
        meant = len(COMMENTS.findall(page.read_text()))
        assert meant == sum(len(block.said) for block in blocks(page)), page


def test_every_need_is_known_and_every_known_need_is_used() -> None:
    asked = {(b.language == "python", b.said["with"]) for b in BLOCKS if "with" in b.said}
    assert {need for python, need in asked if python} == set(NAMES)
    assert {need for python, need in asked if not python} == set(MACHINES)


def test_commands_that_are_run_elsewhere_are_run_there() -> None:
    assert all((ROOT / test).exists() for test in ELSEWHERE.values())
    assert {block.page for block in of("console")} >= set(ELSEWHERE)


@pytest.mark.parametrize("block", of("toml"), ids=name)
def test_toml_is_toml_and_settings_are_valid(block: Block) -> None:
    """A table is one of a provider's, or the block is a drop-in or a part of a pyproject."""
    document = toml.load(block.text.encode(), block.where)
    if {"version", "plugins", "project", "tool"} & set(document):
        return
    kinds = {record.name: record.settings for record in discover().usable()}
    assert set(document) <= set(kinds), "a table that no provider has"
    for provider in document:
        settings.convert(settings.SettingsFile(block.where, document), provider, kinds[provider])


@pytest.mark.parametrize("block", of("json", "yaml"), ids=name)
def test_json_and_yaml_can_be_read(block: Block) -> None:
    assert json.loads(block.text) if block.language == "json" else YAML(typ="safe").load(block.text)


@pytest.mark.parametrize("block", of("python"), ids=name)
def test_python_runs(block: Block) -> None:
    module = ModuleType("a_block_of_the_docs")
    sys.modules[module.__name__] = module  # msgspec looks up annotations there
    if need := block.said.get("with"):
        module.__dict__.update(NAMES[need]())
    exec(compile(block.text, block.where, "exec"), module.__dict__)


CONSOLES = [page for page in PAGES if str(page.relative_to(ROOT)) not in ELSEWHERE]
CONSOLES = [page for page in CONSOLES if any(b.language == "console" for b in blocks(page))]


@pytest.mark.real
@pytest.mark.timeout(150)
@pytest.mark.parametrize("page", CONSOLES, ids=lambda page: page.name)
def test_commands_do_what_the_page_shows(page: Path) -> None:
    ran = world.run(blocks(page), MACHINES)
    assert ran
    faults = [
        f"{one.where}: $ {one.line}\n  {fault}\n{one.output}"
        for one in ran
        for fault in one.faults()
    ]
    assert not faults, "\n\n".join(faults)


# -- the tests' own tools ---------------------------------------------------------------------------


def test_output_may_differ_in_numbers_and_where_the_page_says_so() -> None:
    seen = "a table of 3 rows\nPID 12: started, v1.2.3\nthe end"
    assert world.unlike("PID 7: …, v9", seen) == ""
    assert world.unlike("a  table of 4 rows\nthe end", seen) == ""
    assert world.unlike("the end\nPID 7: …", seen) == "PID 7: …"
    assert world.unlike("PID 7: stopped, v9", seen) == "PID 7: stopped, v9"


def test_commands_are_told_from_what_they_print() -> None:
    block = Block("x.md", 1, "console", "$ one \\\n    more\nout\n# two\n")
    assert [(c.line, c.output) for c in commands(block)] == [
        ("one \\\n    more", "out"),
        ("two", ""),
    ]


def test_what_the_author_says_before_a_block_is_read() -> None:
    text = "<!-- with: a b -->\n<!-- exit: 3 -->\n\n```console\n$ x\n```\n\n```toml\n# /etc/a.toml\n```\n"
    page = ROOT / "docs" / "no-page-of-this-name.md"
    first, second = _read(page, text)
    assert first.said == {"with": "a b", "exit": "3"}
    assert (second.said, second.file, second.line) == ({}, "/etc/a.toml", 8)


def _read(page: Path, text: str) -> list[Block]:
    class Page(type(page)):  # type: ignore[misc]
        def read_text(self, *_: object, **__: object) -> str:
            return text

    return blocks(Page(page))


def test_links_within_the_repository_lead_somewhere() -> None:
    from docs.generate.links import led

    for page in PAGES:
        led(page.read_text(), str(page.relative_to(ROOT)))
    assert re.search(
        r"\]\(providers/gvisor.md\)", led("[x](plugins/gvisor/README.md)", "README.md")
    )
