"""Pages in Chromium, headless: drawn, readable, usable."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_store import PLAN, SAMPLES, webp, write_search, write_table

from s2hand_dashboards import report
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables import MeasuredTable

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine; on Debian: apt-get install chromium"
)

PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1180, "height": 900}
DRAWN = "[...document.querySelectorAll('.plot')].map(e => e.querySelectorAll('.main-svg').length)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with a picture of each sample, a search, a plan without results; their pages."""
    folder = tmp_path_factory.mktemp("workspace")
    store = ResultStore(folder / "store")
    write_table(store, pictures={name: {"input": webp(9)} for name in SAMPLES})
    write_search(store)
    for name in ("tiny", "grid"):
        report(name, folder / f"{name}.html", workspace=folder)
    return folder


def until(page: Any, statement: str) -> None:
    """Wait until something holds; the page's own policy forbids to evaluate texts in it."""
    for _ in range(1200):
        if page.evaluate(statement):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never came true: {statement}")


def opened(browser: Any, path: Path, **context: Any) -> tuple[Any, list[str]]:
    """Open a page, unfold it, and wait until it is drawn; return it with what it complained of."""
    page = browser.new_context(**{"viewport": WIDE, **context}).new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=120_000)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    until(page, f"{DRAWN}.every(Boolean)")
    return page, told


@pytest.mark.parametrize(
    ("name", "plots", "context"),
    [
        ("tiny", 8, {"color_scheme": "dark", "viewport": WIDE}),
        ("tiny", 8, {"color_scheme": "light", "viewport": PHONE}),
        ("grid", 3, {"color_scheme": "light", "viewport": PHONE}),
    ],
)
def test_a_page_is_whole(
    browser: Any, workspace: Path, name: str, plots: int, context: dict[str, Any]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path = workspace / f"{name}.html"
    page, told = opened(browser, path, **context)
    assert told == [path.as_uri()]  # no console message, nothing asked of the network
    assert len(page.evaluate(DRAWN)) == plots
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    faults = Axe().run(page).response["violations"]
    assert [
        (each["id"], [node["html"][:200] for node in each["nodes"]])
        for each in faults
        if each["impact"] in {"serious", "critical"}
    ] == []


def test_the_table_on_the_screen_is_that_of_the_json(browser: Any, workspace: Path) -> None:
    page, _ = opened(browser, workspace / "tiny.html")
    table = MeasuredTable.build(PLAN, ResultStore(workspace / "store"))
    content = json.loads(page.text_content("#content"))
    assert content == json.loads(json.dumps(table.to_json()))
    shown = page.evaluate(
        "[...document.querySelectorAll('table.cells tbody tr')].map(line => "
        "[...line.querySelectorAll('button')].map(e => e.innerText.replace(/\\s+/g, ' ')))"
    )
    assert shown == [[cell.text for cell in line[1:]] for line in table.grids()[0].rows]


def test_a_number_opens_its_card_and_escape_closes_it(browser: Any, workspace: Path) -> None:
    page, _ = opened(browser, workspace / "tiny.html")
    page.get_by_role("button", name="1.10 ± 0.25 (3)").first.click()
    card = page.locator("dialog[open]")
    assert "with curvature, error_cm" in card.inner_text()
    assert "1.10 cm (rounded from 1.095 to 1.105)" in card.inner_text()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.locator("table.cells tr", has_text="not yet").get_by_role("button").first.click()
    assert "s2hand run tiny" in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Close").click()
    assert page.locator("dialog[open]").count() == 0


def test_the_theme_follows_the_reader_and_print_is_light(browser: Any, workspace: Path) -> None:
    page, _ = opened(browser, workspace / "tiny.html", color_scheme="dark")
    ink = "getComputedStyle(document.querySelector('.xtick text')).fill"
    assert page.evaluate(ink) == "rgb(232, 234, 237)"
    page.emulate_media(color_scheme="light")
    until(page, f"{ink} === 'rgb(27, 31, 36)'")
    page.emulate_media(color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    until(page, f"{ink} === 'rgb(27, 31, 36)'")
    width = "document.querySelector('.main-svg').getBoundingClientRect().width"
    until(page, f"{width} === 660")
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_decompression_the_page_says_so(browser: Any, workspace: Path) -> None:
    page = browser.new_page()
    page.add_init_script("delete globalThis.DecompressionStream")
    page.goto((workspace / "tiny.html").as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    assert "This figure cannot be drawn here (DecompressionStream" in page.inner_text(".plot")
    page.get_by_role("button", name="1.10 ± 0.25 (3)").first.click()
    assert page.locator("dialog[open]").count() == 1
