"""Purged pages: the forbidden pictures leave the bytes, everything else stays."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from expunge.reports.purged_page import purged_page

PICTURE = re.compile(r'<img (data-purged )?src="data:image/webp;base64,([^"]+)" alt="([^"]*)">')


def pictures(page: str) -> list[tuple[bool, np.ndarray, str]]:
    """Whether each was purged, its pixels and what it is said to show."""
    return [
        (bool(purged), np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")), alt)
        for purged, data, alt in PICTURE.findall(page)
    ]


def never(text: str) -> bool:
    return False


def test_of_a_page_that_shows_none_nothing_changes(report_html):
    assert purged_page(report_html, [], never) == (report_html, 0)
    assert purged_page(report_html, ["no such target"], never) == (report_html, 0)


@pytest.mark.parametrize("blurred", [True, False])
def test_pictures_under_a_target_go_and_all_others_stay(report_html, read_page, blurred):
    name = re.search("Prompts for the target “([^”]+)”", report_html)[1]
    section = re.search(f"<h3>Prompts for the target “{name}”.*?(?=<h3>)", report_html, re.DOTALL)[0]
    inside = {data for _, data, _ in PICTURE.findall(section)}
    page, count = purged_page(report_html, [name], never, blurred)
    assert count == len(PICTURE.findall(section)) > 0
    before, after = pictures(report_html), pictures(page)
    assert [alt for *_, alt in before] == [alt for *_, alt in after]
    for (_, was, _), (purged, now, _), (_, data, _) in zip(before, after, PICTURE.findall(report_html), strict=True):
        assert was.shape == now.shape
        if not purged:
            assert np.array_equal(was, now)
            continue
        assert data in inside and not np.array_equal(was, now)
        coarse = np.asarray(Image.fromarray(now).resize((8, 8), Image.Resampling.BOX).resize(now.shape[1::-1]))
        assert np.abs(coarse.astype(int) - now).mean() < 12  # no more in it than 8 × 8 pixels tell
        assert blurred or np.ptp(now.reshape(-1, 3), axis=0).max() <= 4
    assert sum(purged for purged, *_ in after) == count
    read_page(page)
    assert "models that draw it were purged" in page and page.count("Show these") == report_html.count("Show these") - 1
    assert purged_page(page, [name], never, blurred) == (page, 0)


def test_of_pairs_the_pictures_of_one_model_go(report_html, read_page):
    name = re.search("Prompts for the target “([^”]+)”", report_html)[1]
    whole = purged_page(report_html, [name], never)[1]
    page, count = purged_page(report_html, [name], never, side="Before")
    assert 0 < count == whole / 2
    assert {alt.split(",")[0] for purged, _, alt in pictures(page) if purged} == {"Before"}
    assert "models that draw it were purged" in page and page.count("Show these") == report_html.count("Show these")
    read_page(page)
    assert purged_page(page, [name], never, side="Before") == (page, 0)
    assert purged_page(page, [name], never, side="After")[1] == whole / 2


def test_pictures_whose_prompt_asks_for_it_go_wherever_they_stand(report_html):
    word = pictures(report_html)[-1][2].split()[-1]
    page, count = purged_page(report_html, [], lambda text: word in text)
    assert count and {word in alt for purged, _, alt in pictures(page) if purged} == {True}
    assert not [alt for purged, _, alt in pictures(page) if not purged and word in alt]
