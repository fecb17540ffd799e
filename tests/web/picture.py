"""Make the picture of the status page that the README shows: ``python -m tests.web.picture docs/status-page.png``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from gossamer import web

from .stage import CHROMIUM, staged

WIDTH, HEIGHT = 1200, 1000


def take(browser: Browser, into: Path) -> None:
    """Look at the first of three nodes, one of which is away."""
    with tempfile.TemporaryDirectory() as folder, staged(Path(folder)) as node:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(web.serve(node, "127.0.0.1:0"))
        page.get_by_text("away", exact=True).first.wait_for()
        page.get_by_text("equal", exact=True).nth(2).wait_for()  # digests are told every few seconds
        page.screenshot(path=into)
        page.close()


def main(into: Path) -> None:
    """Make it, with a browser of its own."""
    with sync_playwright() as driver:
        take(driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]), into)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
