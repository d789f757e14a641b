"""The page of a look at the targets: verdict, numbers, pictures, and nothing that a request could smuggle in."""

import re

import pytest

from expunge.reports.purged_page import purged_page
from expunge.reports.rendering import CONTENT_POLICY
from tests.reports.made_facts import make_pictures
from tests.reports.made_look import look_page, make_look
from tests.reports.test_takedown_report import ADDRESS, ATTACK


def test_it_says_what_is_drawn_and_what_is_not(read_page):
    text = " ".join(read_page(look_page()).text.split())
    assert "Nothing to remove for 1 of 2 requests; the work goes on with the others." in text
    assert "“cat” is not drawn: there is nothing to remove. Of 72 pictures it shows in 0.0 % by the classifier" in text
    assert "“blob” is drawn, so it can be removed." in text
    assert all(word in text for word in ("0.0–7.5", "fox", "held-out", "3f" * 32, "4e" * 32, "6c" * 32))


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        (("drawn", "unclear"), "The work goes on with every request."),
        (("nothing to remove", "nothing to remove"), "Nothing to remove: the model draws none of the targets."),
    ],
)
def test_the_headline_counts(verdicts, headline, read_page):
    targets = tuple(
        each.model_copy(update={"verdict": verdict})
        for each, verdict in zip(make_look().targets, verdicts, strict=True)
    )
    assert headline in read_page(look_page(make_look(targets=targets))).text


def test_it_is_well_formed_loads_nothing_and_gives_every_picture_words(read_page):
    html = look_page()
    page = read_page(html)
    assert not {name for name, _ in page.elements} & {"script", "iframe", "object", "embed", "form", "base"}
    assert not ADDRESS.search(re.sub(r"data:image/webp;base64,[\w+/=]+", "data:", html))
    assert {"http-equiv": "Content-Security-Policy", "content": CONTENT_POLICY} in page.all("meta")
    assert len(page.all("img")) == 21  # 12 of the 18 in that style, and the 9 of the cat
    assert all(each["alt"].startswith("Before, seed 1") for each in page.all("img"))
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def test_pictures_can_be_left_out(read_page):
    page = read_page(look_page(pictures=make_pictures()[0].select([])))
    assert page.all("img") == [] and page.text.count("left out of this page") == 2


def test_a_purge_takes_one_targets_pictures_and_leaves_the_others():
    page, count = purged_page(look_page(), ["blob"], lambda text: "blob" in text, side="Before")
    assert count == page.count("<img data-purged ") == 15  # the cat in that style as well
    assert page.count("<img ") == 21
    assert purged_page(page, ["blob"], lambda text: "blob" in text, side="Before") == (page, 0)


def test_untrusted_text_stays_text(read_page):
    targets = tuple(each.model_copy(update={"name": ATTACK}) for each in make_look().targets)
    page = read_page(look_page(make_look(targets=targets, notes=(ATTACK,), judges=ATTACK)))
    assert not page.all("script") and page.text.count(ATTACK) >= 8
    assert not any("onerror" in attributes for _, attributes in page.elements)
