"""The section "Does it come back?": the verdict follows from the intervals, whatever came out is on the page."""

import pytest

from expunge.comeback.comeback_report import NEVER_SAW, UNLEARNED, surely_higher
from expunge.errors import ExpungeError
from expunge.metrics.numbers import Interval
from expunge.reports.comeback_chart import relearning_curves
from expunge.reports.comeback_section import comeback_markdown, comeback_views
from expunge.reports.comeback_verdict import findings, headline, sentences
from expunge.reports.takedown_report import render_report
from tests.reports.made_comeback import (
    make_comeback,
    make_forgotten,
    make_hiding,
    make_model,
    make_original,
    make_untested,
    share,
)
from tests.reports.made_facts import without_pictures


def answers(report) -> dict[str, bool | None]:
    return {each.reading.test: each.brings_back for each in findings(report)}


def test_a_model_that_hides_is_told_from_one_that_forgot():
    hiding = make_comeback()
    forgot = make_comeback(make_original(), make_forgotten(), make_forgotten(NEVER_SAW))
    brought = {test for test, back in answers(hiding).items() if back}
    assert {"relearned on 5", "relearned on harmless", "embedding", "best prompt", "AUC target"} <= brought
    assert "plain prompt" not in brought
    assert set(answers(forgot).values()) == {False}
    assert "“cat” comes back by fine-tuning on its pictures, fine-tuning on pictures without it" in headline(hiding)
    assert headline(hiding).endswith("more often than from a model that never saw it.")
    assert "Nothing that was tried brings “cat” back more often" in headline(forgot)
    assert not any("brings it back" in each for each in sentences(forgot))


def test_without_a_never_saw_model_searches_are_held_against_the_plain_prompt():
    report = make_comeback(make_original(), make_forgotten())
    found = answers(report)
    assert found["relearned on 20"] is True and found["relearned on 1"] is False
    assert {found[test] for test in ("plain prompt", "picture 0.5, asked for nothing", "AUC target")} == {None}
    assert headline(report) == "“cat” comes back by fine-tuning on its pictures."
    said = sentences(report)
    assert said[1].startswith("Fine-tuning on its pictures (20) brings it back: 40.0\u00a0% of 40 pictures (95")
    assert "original 100.0\u00a0%" in said[1] and "No model that never saw the target was given" in said[-1]


def test_what_was_never_gone_does_not_come_back():
    still = make_model(UNLEARNED, 0.9, (0.9, 0.9, 0.9, 0.9), 0.9, 0.9, 0.5)
    assert "never went away" in headline(make_comeback(make_original(), still))


def test_knowledge_that_no_picture_shows_is_said():
    quiet = make_model(UNLEARNED, 0, (0, 0.05, 0.4, 0), 0, 0.3, 0.5)
    report = make_comeback(make_original(), quiet, make_forgotten(NEVER_SAW))
    assert "still knows how it looks" in headline(report)


def test_nothing_to_bring_back_is_said_and_counts_as_no_evidence():
    report = make_untested()
    assert findings(report) == () and relearning_curves(report) is None
    assert "was not tested" in headline(report) and "found in none" in sentences(report)[0]
    (view,) = comeback_views([report])
    assert view.lines == () and "found in none" in comeback_markdown([report])


@pytest.mark.parametrize(
    ("first", "second", "higher"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table II: 56/70 − 48/80 is 0.0524 to 0.3339.
        ((0.8, 0.6919, 0.8769), (0.6, 0.4905, 0.7004), True),
        ((0.5, 0.4, 0.6), (0.5, 0.4, 0.6), False),
        ((0.2, 0.1, 0.3), (0.8, 0.7, 0.9), False),
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), True),
    ],
)
def test_surely_higher_is_a_difference_whose_interval_lies_above_zero(first, second, higher):
    one, two = (Interval(value=v, low=low, high=high, samples=70) for v, low, high in (first, second))
    assert surely_higher(one, two) is higher
    assert not surely_higher(one, one)


def test_half_of_forty_against_none_is_surely_higher_and_one_is_not():
    assert surely_higher(share(0.5), share(0)) and not surely_higher(share(1 / 40), share(0))


def test_curves_have_a_panel_a_condition_and_are_told_apart_by_more_than_colour():
    curves = relearning_curves(make_comeback())
    for title in ("on 1 picture of it", "on 5 pictures of it", "on 20 pictures of it", "on pictures without it"):
        assert f">{title}<" in curves
    assert "unlearned from 100 % to 5 %, never saw from 100 % to 60 %, original from 5 % to 0 %" in curves
    assert curves.count("stroke-dasharray") >= 8  # two of the three lines in each panel
    assert all(f">{name}<" in curves for name in ("unlearned", "never saw", "original"))
    assert ">never saw<" not in relearning_curves(make_comeback(make_original(), make_hiding()))


def test_every_number_is_on_the_page(make_facts, read_page):
    reports = (make_comeback(), make_comeback(make_original(), make_forgotten(), target="blob", kind="style"))
    html = render_report(make_facts(comeback=reports))
    page = read_page(html)
    for report in reports:
        assert headline(report) in page.text and all(each in page.text for each in sentences(report))
        for model in report.models:
            for test, number in model.numbers().items():
                factor, form = (1, ".2f") if test.startswith("AUC") else (100, ".1f")
                assert test in page.text and format(number.value * factor, form) in page.text
                assert f"{format(number.low * factor, form)}–{format(number.high * factor, form)}" in page.text
    assert len(page.all("svg")) == 8
    assert "▲ yes" in page.text and "Not tested." not in page.text
    assert (
        page.text.index("What suffered most")
        < page.text.index("\n  Does it come back?")
        < page.text.index("How the training went")
    )


def test_a_run_without_the_tests_says_so(report_html, read_page):
    assert "Not tested. The numbers above say what the model draws when it is asked" in read_page(report_html).text


def test_no_picture_of_the_target_is_in_the_section(make_facts):
    html = render_report(make_facts(comeback=(make_comeback(),), hide_target_pictures=True))
    section = html[html.index('<section id="comeback">') : html.index('<section id="training">')]
    assert "<img" not in section and "data:" not in section


def test_prompts_that_were_found_stay_text(make_facts, read_page):
    attack = "<script>alert(1)</script>"
    hiding = make_hiding()
    row = hiding.prompts.rows[0].model_copy(update={"example": attack})
    hiding = hiding.model_copy(update={"prompts": hiding.prompts.model_copy(update={"rows": (row,)})})
    report = make_comeback(make_original(), hiding)
    page = read_page(render_report(make_facts(comeback=(report,), **without_pictures())))
    assert not page.all("script") and attack in page.text
    assert "<script>" not in comeback_markdown([report])


def test_tests_of_another_run_are_refused(make_facts):
    with pytest.raises(ExpungeError, match=r"comeback: tests of \[\('object', 'dog'\)\]"):
        make_facts(comeback=(make_comeback(target="dog"),))
