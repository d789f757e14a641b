"""The pages in a real browser: nothing complains or overflows, all can be read, and the controls do their work."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from expunge.evaluation.evaluator import evaluate
from expunge.pictures.picture_store import PictureStore
from expunge.reports.certificate_page import render_certificate
from expunge.reports.evaluation_files import Shown, write_evaluation
from expunge.reports.takedown_report import render_report
from tests.evaluation.conftest import BLOB, CAT, SMALL, colour_case, load_tiny
from tests.release.test_certificate import VERSION, certify
from tests.reports.made_comeback import make_comeback, make_forgotten, make_original
from tests.reports.made_facts import make_facts, make_findings, make_requests
from tests.reports.made_look import look_page

pytestmark = pytest.mark.slow

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
PAGES = ("report", "certificate", "evaluation", "look")
WITH_PAIRS = ("report", "evaluation")
WITH_PICTURES = (*WITH_PAIRS, "look")
WIDTHS = (390, 1440)

# Ratio of luminances (WCAG 2.2, 1.4.3) of each visible text and what lies behind it; the worst dozen below 4.5.
LOW_CONTRAST = """() => {
  const parse = colour => {
    const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const luminance = rgb => rgb.map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility({visibilityProperty: true})) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), ground);
    const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.push(`${element.tagName} ${ratio.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
  }
  return found.slice(0, 12);
}"""
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
  .filter(each => !each.closest(".skip") && each.getBoundingClientRect().right > innerWidth + 0.5)
  .map(each => `${each.tagName} ${each.textContent.trim().slice(0, 40)}`)
  .slice(0, 5)"""
UNREAD = "() => [...document.images].filter(each => !each.alt.trim() || !each.naturalWidth).length"
FILTERS = """() => [...document.querySelectorAll(".target-pictures .picture img")]
  .map(each => getComputedStyle(each).filter)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, with a fresh profile."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(
            f"no browser: none of {', '.join(BROWSERS)} is installed; on Debian or Ubuntu: apt install chromium"
        )
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report, a certificate, a look, and the evaluation of a tiny model with comes-back tests of every sort."""
    folder = tmp_path_factory.mktemp("pages")
    comeback = (make_comeback(), make_comeback(make_original(), make_forgotten(), target="blob", kind="style"))
    report = folder / "report.html"
    report.write_text(render_report(make_facts(comeback=comeback)))
    certificate = folder / "certificate.html"
    issued = certify(make_requests()[1], make_findings(), VERSION, datetime(2026, 11, 23, tzinfo=UTC))
    certificate.write_text(render_certificate(issued), encoding="utf-8")
    (look := folder / "look.html").write_text(look_page(), encoding="utf-8")
    models = [load_tiny(folder / str(seed), seed) for seed in (0, 1)]
    done = evaluate(models[1], models[0], colour_case(CAT, BLOB), SMALL, PictureStore(folder / "pictures"), False)
    sides = [lambda number, drawer=drawer: drawer.draw(done.shards[number]) for drawer in
             (done.drawn_before, done.drawn_after)]  # fmt: skip
    shown = Shown(done.shards, *sides, ["expunge evaluate m"], comeback=comeback)
    written = write_evaluation(folder / "out", done.scores, shown)
    return {"report": report, "certificate": certificate, "evaluation": written.page, "look": look}


@pytest.fixture
def show(browser: Browser, files: dict[str, Path]):
    """Open a page of a width and colour scheme; at the end nothing must have been complained about or asked for."""
    contexts, trouble = [], []

    def opened(name: str, width: int = 1440, scheme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: trouble.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda asked: trouble.append(asked.url) if asked.url.startswith("http") else None)
        page.goto(files[name].as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def test_the_measures_see_what_is_wrong(browser):
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.set_content(
        "<body style='background: #fff; color: #000'><p style='width: 400px'>wide</p><p style='color: #999'>pale</p>"
        "<div style='background: rgb(0 0 0 / .8)'><p>dark</p></div><p style='display: none; color: #fff'>hidden</p>"
        "<svg><text y='20' fill='#eee'>drawn</text></svg><img>"
    )
    assert [found.split()[-1] for found in page.evaluate(LOW_CONTRAST)] == ["pale", "dark", "drawn"]
    assert page.evaluate(TOO_WIDE) == ["P wide"] and page.evaluate(UNREAD) == 1
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_overflows_and_every_picture_has_words(name, width, show):
    page = show(name, width)
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert page.evaluate(UNREAD) == 0
    for folded in page.locator("summary").all():
        folded.click()
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_text_stands_out_from_what_lies_behind_it(name, scheme, show):
    page = show(name, scheme=scheme)
    for folded in page.locator("summary").all():
        folded.click()
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    assert page.evaluate(LOW_CONTRAST) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", WITH_PICTURES)
def test_pictures_of_a_target_are_blurred_until_its_box_is_checked(name, width, show):
    page = show(name, width)
    boxes = page.locator(".reveal")
    assert boxes.count() == 2 and not boxes.nth(0).is_checked()
    filters = page.evaluate(FILTERS)
    assert len(filters) > 4 and all("blur(" in each for each in filters)
    boxes.nth(0).focus()
    page.keyboard.press("Space")
    revealed = page.evaluate(FILTERS)
    assert revealed[0] == "none" and "blur(" in revealed[-1]
    page.keyboard.press("Space")
    assert page.evaluate(FILTERS) == filters


@pytest.mark.parametrize("name", WITH_PAIRS)
def test_before_and_after_are_switched_by_keyboard(name, show):
    page = show(name)
    before, after = (page.locator(f".picture.{side}").first for side in ("before", "after"))
    assert before.is_visible() and after.is_visible()
    page.locator("#view-both").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#view-before").is_checked() and before.is_visible() and not after.is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#view-after").is_checked() and after.is_visible() and not before.is_visible()


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_every_control_and_one_sees_where_it_is(name, show):
    page = show(name)
    wanted = page.locator("a[href], summary, .reveal").count()
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if page.evaluate("document.activeElement.matches('a[href], summary, .reveal')"):
            assert outline != "none"
            reached.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
    assert len(reached) == wanted


@pytest.mark.parametrize("name", PAGES)
def test_it_prints(name, show):
    page = show(name)
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) >= 1
    page.emulate_media(media="print")
    assert not page.locator(".screen-only:visible").count()
    filters = page.evaluate(FILTERS)
    assert all("blur(" in each for each in filters)
