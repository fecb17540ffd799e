"""The page in a real browser: does it show what is so, as it changes, to everybody, and as nothing but text?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import gossamer
from gossamer import web

from ..rpc.standin import DEADLINE_S
from . import picture
from .stage import CHROMIUM, NAMES, staged

if shutil.which("chromium") is None:
    pytest.skip("chromium is not installed; on Debian: apt install chromium", allow_module_level=True)

HOSTILE = '<img src=x onerror="document.title=1">'
MARKUP = "</script><script>document.title=1</script>"

CONTRASTS = """() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parts = (css) => css.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = parts(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility() || element.closest("script, style, noscript")) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), walker.currentNode.textContent.trim()]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose errors are the test's."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(DEADLINE_S * 1000)
    wrong: list[Any] = []
    page.on("pageerror", lambda error: wrong.append(error))  # playwright marks what it is given
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said.type, said.text) else None)
    yield page
    context.close()
    assert wrong == []


def _is_wrong(kind: str, text: str) -> bool:
    """That the node went away, as it does at the end of a test, is no mistake of the page."""
    return kind == "error" and not text.startswith("Failed to load resource")


def row(page: Page, section: str, name: str) -> str:
    return page.locator(
        f"#{section} tr", has=page.get_by_role("rowheader", name=name, exact=True)
    ).inner_text()


def test_it_shows_what_is_so(page: Page, tmp_path: Path) -> None:
    with staged(tmp_path) as node:
        page.goto(web.serve(node, "127.0.0.1:0"))
        page.locator("#live", has_text="live").wait_for()
        assert page.title() == "orders-1 – Gossamer"
        assert page.locator("h1").inner_text() == "orders-1"
        assert "this node" in row(page, "members", NAMES[0])
        page.locator("#members").get_by_text("linked", exact=True).wait_for()
        assert "linked" in row(page, "members", NAMES[1])
        assert "away" in row(page, "members", NAMES[2])
        default = page.locator("article", has=page.get_by_role("heading", name="default"))
        matrix = default.get_by_role("table")
        assert matrix.get_by_role("columnheader").all_inner_texts() == ["Has", *NAMES]
        lacks = [line.get_by_role("cell").all_inner_texts() for line in matrix.locator("tbody tr").all()]
        assert lacks == [["–", "0", "1"], ["0", "–", "1"], ["0", "0", "–"]]
        assert node.status()["keyspaces"]["default"]["digest"] in default.inner_text()
        default.get_by_text("equal", exact=True).wait_for()  # told every few seconds
        conflicts = page.locator("#conflicts").inner_text()
        assert "map:price/register:salt" in conflicts
        assert "register:note" in conflicts
        assert "from the" not in page.content()  # no values
        assert "Clean-up waits for: stock-1" in default.inner_text()
        assert "none" in page.locator("#damage").inner_text()


def test_it_follows_and_stops_when_told_to(page: Page, tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a") as node:
        page.goto(web.serve(node, "127.0.0.1:0"))
        default = page.locator("article", has=page.get_by_role("heading", name="default"))
        default.get_by_text("0 events").wait_for()
        node.counter("sold").add(1)
        default.get_by_text("1 events").wait_for()
        pause = page.get_by_role("button", name="Pause")
        pause.focus()
        page.keyboard.press("Enter")
        assert pause.get_attribute("aria-pressed") == "true"
        node.counter("sold").add(1)
        with page.expect_event("console", lambda said: said.text == "heard") as _:
            page.evaluate("source.addEventListener('message', () => console.log('heard'), { once: true })")
        assert "1 events" in default.inner_text()
        page.keyboard.press("Enter")
        default.get_by_text("2 events").wait_for()
    page.get_by_text("the node is closed").wait_for()


def test_names_are_text_and_no_markup(page: Page, tmp_path: Path) -> None:
    with staged(tmp_path, names=(HOSTILE, MARKUP, "<b>c</b>"), keyspace="<i>k</i>") as node:
        node.register(f"{HOSTILE}").set(1)
        page.goto(web.serve(node, "127.0.0.1:0"))
        page.locator("#live", has_text="live").wait_for()
        assert page.locator("h1").inner_text() == HOSTILE
        assert page.title() == f"{HOSTILE} – Gossamer"
        for text in (MARKUP, "<b>c</b>"):
            assert text in page.locator("#members").inner_text()
        assert "<i>k</i>" in page.locator("#keyspaces").inner_text()
        assert page.locator("main img, main script, main b, main i").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_either_light(page: Page, tmp_path: Path, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    with staged(tmp_path) as node:
        page.goto(web.serve(node, "127.0.0.1:0"))
        page.locator("#live", has_text="live").wait_for()
        contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [(round(ratio, 2), text) for ratio, text in contrasts if ratio < 4.5] == []  # WCAG 2.1 AA
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(ground) > 384) == (scheme == "light")


def test_it_fits_a_narrow_screen_and_the_keyboard(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    with staged(tmp_path) as node:
        page.goto(web.serve(node, "127.0.0.1:0"))
        page.locator("#live", has_text="live").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        for wide in page.locator(".scroll").all():  # what scrolls can be reached, and says what it is
            assert wide.get_attribute("tabindex") == "0"
            assert wide.get_attribute("aria-label") or wide.get_attribute("aria-labelledby")
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.get_by_role("main").count() == 1
        assert page.locator("table:not(:has(caption))").count() == 0
        assert page.get_by_role("status").count() == 1


def test_nothing_comes_from_elsewhere(page: Page, tmp_path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with gossamer.open(tmp_path / "a", name="a") as node:
        address = web.serve(node, "127.0.0.1:0")
        page.goto(address)
        page.locator("#live", has_text="live").wait_for()
    assert {url for url in asked if not url.startswith("data:")} == {address, f"{address}events"}


def test_the_picture_can_be_made(browser: Browser, tmp_path: Path) -> None:
    picture.take(browser, tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes()[1:4] == b"PNG"
    shown = Path(__file__).parents[2] / "docs" / "status-page.png"
    width, height = (int.from_bytes(shown.read_bytes()[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (picture.WIDTH, picture.HEIGHT)
