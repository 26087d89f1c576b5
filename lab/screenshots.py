"""``python -m lab.screenshots``: the pictures of docs/report.md, as Chromium shows the pages.

The pages are made of ``examples/fleet``, which real nodes wrote, so that a picture changes only
where the page does.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.browser import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
NODES = ROOT / "examples" / "fleet"
MADE_AT = "2026-11-25T20:00:00+00:00"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
"""As root Chromium has no sandbox of its own; it asks nothing of any network."""


@dataclass(frozen=True)
class Shot:
    """A picture: of which nodes, how wide and high, and how the page is looked at."""

    name: str
    nodes: tuple[str, ...]
    width: int
    height: int
    scheme: Literal["light", "dark"] = "light"
    media: Literal["screen", "print"] = "screen"
    at: str = ""
    """Fragment that is gone to."""


ALL = tuple(f"worker-{number}" for number in range(1, 8))
SHOTS = (
    Shot("report-fleet", ALL, 1180, 1240),
    Shot("report-node-light", ("worker-5",), 1180, 1000),
    Shot("report-node-dark", ("worker-4",), 1180, 1180, scheme="dark", at="#pending"),
    Shot("report-tree", ("worker-3",), 1180, 900, at="#configuration"),
    Shot("report-history", ("worker-5",), 900, 420, at="#history"),
    Shot("report-phone", ("worker-7",), 390, 1000),
    Shot("report-print", ("worker-5",), 720, 1018, scheme="dark", media="print"),
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the lab's Chromium."""
    from playwright.sync_api import sync_playwright

    lab = Path(os.environ.get("K0SRUNTIME_LAB", ROOT / ".lab")).absolute()
    with sync_playwright() as playwright:
        program = str(lab / "bin" / PROGRAM)
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser,
    width: int,
    height: int,
    scheme: Literal["light", "dark"] = "light",
    *,
    scripts: bool = True,
    bypass_csp: bool = False,
) -> Iterator[Page]:
    """Open an empty page, without a network.

    Args:
        browser: the one to open it in.
        width: of the window, in CSS pixels.
        height: of the window.
        scheme: what the person prefers.
        scripts: let the page's own run.
        bypass_csp: let scripts in that the page's policy keeps out, such as a checker's.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        java_script_enabled=scripts,
        bypass_csp=bypass_csp,
        offline=True,
        reduced_motion="reduce",
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def page_of(names: tuple[str, ...], folder: Path) -> Path:
    """Write the page of some of the example's nodes and return where it lies."""
    from k0sruntime.seen import page, read

    nodes = read.read_all([str(NODES / f"{name}.json") for name in names])
    path = folder / "page.html"
    path.write_text(page.html(nodes, MADE_AT), encoding="utf-8")
    return path


def take(browser: Browser, shot: Shot, folder: Path) -> None:
    """Take one picture into a folder."""
    with tempfile.TemporaryDirectory() as work:
        path = page_of(shot.nodes, Path(work))
        with opened(browser, shot.width, shot.height, shot.scheme) as page:
            page.emulate_media(media=shot.media)
            page.goto(f"{path.as_uri()}{shot.at}")
            page.screenshot(path=str(folder / f"{shot.name}.png"))


def main() -> int:
    """Take all pictures and return the exit code."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for shot in SHOTS:
        with chromium() as browser:
            take(browser, shot, IMAGES)
        print(f"lab: {IMAGES / shot.name}.png", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
