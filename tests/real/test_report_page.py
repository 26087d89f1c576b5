"""The page in a real browser: light and dark, a phone and paper, keyboard, no scripts, and axe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from lab.browser import PROGRAM
from lab.screenshots import ALL, SHOTS, chromium, opened, page_of, take
from tests.real.conftest import LAB

pytestmark = pytest.mark.real

ONE = ("worker-6",)
FEW = ("worker-3", "worker-5")
DESK, PHONE = (1180, 900), (360, 740)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; fails, and does not skip, where there is none."""
    assert (LAB / "bin" / PROGRAM).exists(), "no browser in the lab: run `make lab-all`"
    with chromium() as found:
        yield found


def axe(page: Any) -> list[str]:
    """Return what axe-core finds wrong: rule, and the elements to blame."""
    script = resources.files("axe_playwright_python") / "axe.min.js"
    page.evaluate(script.read_text("utf-8"))
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run({runOnly: tags})", rules)
    assert len(found["passes"]) > 15, "axe has looked"
    return [
        f"{item['id']}: {[node['html'][:120] for node in item['nodes']]}"
        for item in found["violations"]
    ]


@pytest.mark.parametrize("names", [ONE, FEW], ids=["node", "fleet"])
def test_axe_finds_nothing_wrong_in_light_and_dark_and_on_a_phone(
    browser: Browser, names: tuple[str, ...], tmp_path: Path
) -> None:
    path = page_of(names, tmp_path)
    for scheme, size in (("light", DESK), ("dark", PHONE)):
        with opened(browser, *size, scheme, bypass_csp=True) as page:
            page.goto(path.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert axe(page) == [], (scheme, size)


def test_the_page_asks_for_nothing_and_says_nothing_wrong(browser: Browser, tmp_path: Path) -> None:
    path = page_of(ALL, tmp_path)
    asked, said = [], []
    with opened(browser, *DESK) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.get_by_label("Find a node").fill("worker")
    assert asked == [path.as_uri()]
    assert said == [], "the policy, too, has nothing to complain of"


def test_a_script_that_came_in_by_a_name_would_not_run(browser: Browser, tmp_path: Path) -> None:
    path = page_of(ONE, tmp_path)
    path.write_text(path.read_text().replace("</main>", "<script>window.bad = 1</script></main>"))
    with opened(browser, *DESK) as page:
        page.goto(path.as_uri())
        assert page.evaluate("window.bad") is None


@pytest.mark.parametrize("names", [ONE, ALL], ids=["node", "fleet"])
def test_nothing_is_wider_than_a_phone(
    browser: Browser, names: tuple[str, ...], tmp_path: Path
) -> None:
    path = page_of(names, tmp_path)
    with opened(browser, *PHONE) as page:
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_dark_is_dark_and_paper_is_light_and_unfolded(browser: Browser, tmp_path: Path) -> None:
    path = page_of(("worker-5",), tmp_path)
    with opened(browser, *DESK, "dark", scripts=True) as page:
        page.goto(path.as_uri())
        paper = "getComputedStyle(document.body).backgroundColor"
        checks = page.get_by_text("all take cgroupfs")
        assert page.evaluate(paper) == "rgb(16, 20, 26)"
        assert not checks.is_visible()
        page.emulate_media(media="print")
        assert page.evaluate(paper) == "rgb(255, 255, 255)"
        assert checks.is_visible(), "what is folded is printed all the same"
        assert not page.get_by_label("Find a key").is_visible()
        document = page.pdf(format="A4")
    assert document.startswith(b"%PDF")


def test_without_scripts_everything_is_there_but_the_filters(
    browser: Browser, tmp_path: Path
) -> None:
    path = page_of(ALL, tmp_path)
    with opened(browser, *DESK, scripts=False) as page:
        page.goto(path.as_uri())
        assert not page.get_by_label("Find a node").is_visible()
        page.get_by_role("link", name="worker-3").first.click()
        body = page.locator("#node-3")
        assert body.is_visible(), "a link opens what it leads to"
        body.get_by_role("link", name="configuration B").click()
        assert page.locator("#keys-B").get_by_text("enable_selinux").is_visible()


def test_filters_leave_what_is_looked_for(browser: Browser, tmp_path: Path) -> None:
    path = page_of(ALL, tmp_path)
    with opened(browser, *DESK) as page:
        page.goto(path.as_uri())
        nodes = page.locator("details.node:visible > summary strong")
        page.get_by_label("Find a node").fill("worker-2")
        assert nodes.all_inner_texts() == ["worker-2"]
        page.get_by_label("only those that need a look").check()
        assert nodes.all_inner_texts() == []
        assert page.get_by_text("No node matches.").is_visible()
        page.get_by_label("Find a node").fill("")
        assert nodes.all_inner_texts() == [f"worker-{number}" for number in range(3, 8)]


def test_a_key_is_found_in_the_tree(browser: Browser, tmp_path: Path) -> None:
    path = page_of(("worker-3",), tmp_path)
    with opened(browser, *DESK) as page:
        page.goto(path.as_uri())
        page.get_by_label("Find a key").fill("selinux")
        assert page.locator(".key:visible").count() == 1
        page.get_by_label("Find a key").fill("vendor.toml")
        assert page.locator(".key:visible dt code").first.inner_text() == "enable_selinux"
        page.get_by_label("Find a key").fill("")
        page.get_by_role("button", name="Fold all").click()
        assert page.locator(".key:visible").count() < 4
        page.get_by_role("button", name="Unfold all").click()
        assert page.locator(".key:visible").count() > 10


def test_the_keyboard_reaches_a_node_from_the_top(browser: Browser, tmp_path: Path) -> None:
    path = page_of(ALL, tmp_path)
    with opened(browser, *DESK) as page:
        page.goto(path.as_uri())
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        reached = []
        for _ in range(4):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent.trim()"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", "one sees where one is"
        assert reached[-1] == "worker-7"
        page.keyboard.press("Enter")
        assert page.locator("#node-7").is_visible()
        page.locator("details.node > summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("#node-1").is_visible()


def test_five_hundred_nodes_open_and_are_filtered_in_a_moment(
    browser: Browser, tmp_path: Path
) -> None:
    from k0sruntime.seen import page as page_
    from k0sruntime.seen import read

    usual = json.loads((Path("examples/fleet") / "worker-1.json").read_text())
    paths = []
    for number in range(500):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(json.dumps({**usual, "name": f"node-{number:03}"}))
    target = tmp_path / "fleet.html"
    target.write_text(page_.html(read.read_all([str(path) for path in paths]), usual["at"]))
    with opened(browser, *DESK) as page:
        page.goto(target.as_uri(), timeout=10_000)
        page.get_by_label("Find a node").fill("node-417")
        assert page.locator("details.node:visible").count() == 1


def test_the_pictures_in_the_docs_can_be_taken(browser: Browser, tmp_path: Path) -> None:
    docs = Path("docs/report.md").read_text()
    for shot in SHOTS:
        assert f"images/{shot.name}.png" in docs
        assert 10_000 < (Path("docs/images") / f"{shot.name}.png").stat().st_size < 250_000
    take(browser, SHOTS[-2], tmp_path)
    (picture,) = tmp_path.iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")
