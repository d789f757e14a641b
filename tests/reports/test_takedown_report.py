"""The report: complete, self-contained, safe with untrusted text, accessible, and small enough."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.metrics.numbers import Change, Interval
from expunge.pictures.picture_set import PictureSet
from expunge.reports.figures import data_uris
from expunge.reports.rendering import CONTENT_POLICY
from expunge.reports.takedown_report import render_report
from expunge.takedown.request import TakedownBatch
from tests.reports.made_facts import without_pictures

ADDRESS = re.compile(r"""(?:https?:)?//[a-z0-9.-]+|@import|url\((?!#)""", re.IGNORECASE)
ATTACK = "<script>alert(1)</script><img src=//evil.example onerror=x> $\\frac{ \"' -->"


def test_is_well_formed_and_loads_and_runs_nothing(report_html, read_page):
    page = read_page(report_html)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "iframe", "object", "embed", "form", "base"}
    assert not ADDRESS.search(re.sub(r"data:image/webp;base64,[\w+/=]+", "data:", report_html))
    for _, attributes in page.elements:
        for name in ("src", "href"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#"))
        assert not any(name.startswith("on") for name in attributes)
    assert {"http-equiv": "Content-Security-Policy", "content": CONTENT_POLICY} in page.all("meta")
    assert "script-src" not in CONTENT_POLICY and CONTENT_POLICY.startswith("default-src 'none'")


def test_references_inside_the_page_lead_somewhere(report_html, read_page):
    page = read_page(report_html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {attributes["href"][1:] for _, attributes in page.elements if attributes.get("href", "").startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", report_html))
    assert wanted and wanted <= set(ids)


def test_headings_are_in_order_and_begin_with_one_h1(report_html, read_page):
    levels = [int(name[1]) for name, _ in read_page(report_html).elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def test_pictures_and_plots_have_words_and_tables_have_scopes(report_html, read_page):
    page = read_page(report_html)
    pictures, plots = page.all("img"), page.all("svg")
    assert len(pictures) > 50 and len(plots) == 6
    assert all(picture["alt"].startswith(("Before, seed 1", "After, seed 1")) for picture in pictures)
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 30 for plot in plots)
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 5


def test_controls_are_native_and_labelled(report_html, read_page):
    page = read_page(report_html)
    inputs = page.all("input")
    assert {each["type"] for each in inputs} == {"radio", "checkbox"}
    labelled = {each["for"] for each in page.all("label") if "for" in each}
    assert {each["id"] for each in inputs if each["type"] == "radio"} == labelled


def test_verdict_comes_first_and_says_what_it_cost(report_html, read_page, make_facts, parts):
    text = read_page(report_html).text
    assert text.index("Passed.") < text.index("What was asked") < text.index("What the model draws")
    assert "“blob”, the model still shows it in 0.8\u00a0% of 144 pictures" in text
    assert "less often: 96.3\u00a0% before, 94.1\u00a0% after, −2.2\u00a0points" in text
    failed = read_page(render_report(make_facts(decision=parts["decision"](False), **without_pictures()))).text
    assert "Not passed." in failed and "✗ no" in failed


def test_every_number_of_the_evaluation_is_there(report_html, read_page, make_facts):
    text = read_page(report_html).text
    evaluation = make_facts().evaluation
    forms = {"%": (100, ".1f"), "alignment": (1, ".3f"), "frechet": (1, ".3g")}
    for numbers in (evaluation.rest, *(scores.numbers for scores in evaluation.targets)):
        for name, change in numbers.items():
            factor, form = forms.get(name.split("_")[0], forms["%"])
            for interval in (change.before, change.after, change.difference):
                for number in (interval.value, interval.low, interval.high):
                    assert format(abs(number) * factor, form) in text
                assert f"{interval.samples:,}" in text
    for row in evaluation.collateral:
        assert row.level in text and f"{100 * row.after:.1f}" in text
    for name, value in evaluation.sampling.items():
        assert name in text and str(value) in text
    assert evaluation.frechet_features in text


def test_every_other_fact_is_there(report_html, read_page, make_facts):
    text, facts = read_page(report_html).text, make_facts()
    for said in (facts.title, "23 November 2026, 14:05 UTC", *facts.lineage.values(), *facts.commands):
        assert said in text
    for condition in facts.decision.conditions:
        assert condition.name in text and condition.rule in text and condition.measured in text
    for name in (*facts.course.scores, *facts.course.step_seconds, "unlearning.learning_rate"):
        assert name in text
    for term in ("UA", "RA", "IRA", "CRA", "FD", "AS", "Unlearning is approximate"):
        assert term in text


def test_untrusted_text_stays_text(make_facts, parts, read_page):
    requests = tuple(
        request.model_copy(
            update={"target": ATTACK[:100], "reason": ATTACK, "requester": ATTACK, "synonyms": (ATTACK,)}
        )
        for request in parts["requests"]()
    )
    evaluation = parts["evaluation"]()
    evaluation = evaluation.model_copy(
        update={
            "targets": tuple(scores.model_copy(update={"name": ATTACK}) for scores in evaluation.targets),
            "collateral": tuple(row.model_copy(update={"level": ATTACK}) for row in evaluation.collateral),
        }
    )
    before, after = parts["pictures"](16, 1)
    prompts = tuple(prompt.model_copy(update={"text": ATTACK}) for prompt in before.prompts)
    conflict = make_facts().course.conflict_map.assign(layer=ATTACK)
    page = read_page(
        render_report(
            make_facts(
                targets=tuple(each.model_copy(update={"name": ATTACK}) for each in make_facts().targets),
                batch=TakedownBatch(requests=requests),
                evaluation=evaluation,
                conflict_map=conflict,
                before=PictureSet(prompts, before.seeds, before.pictures),
                after=PictureSet(prompts, after.seeds, after.pictures),
                config={ATTACK: {ATTACK: ATTACK}},
                code_commit=ATTACK,
                commands=(ATTACK,),
            )
        )
    )
    assert not page.all("script")
    assert all(picture["src"].startswith("data:image/webp;base64,") for picture in page.all("img"))
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count(ATTACK) > 10


@settings(max_examples=12, deadline=None)
@given(text=st.text(min_size=1, max_size=100))
def test_any_request_text_leaves_the_structure_alone(text, plain_elements, make_facts, parts, read_page):
    requests = tuple(r.model_copy(update={"target": text, "synonyms": (text,)}) for r in parts["requests"]())
    facts = make_facts(batch=TakedownBatch(requests=requests), **without_pictures())
    assert [name for name, _ in read_page(render_report(facts)).elements] == plain_elements


@pytest.fixture(scope="session")
def plain_elements(make_facts, parts, read_page) -> list[str]:
    requests = tuple(r.model_copy(update={"synonyms": ("kitty",)}) for r in parts["requests"]())
    facts = make_facts(batch=TakedownBatch(requests=requests), **without_pictures())
    return [name for name, _ in read_page(render_report(facts)).elements]


def test_target_pictures_are_blurred_until_asked_for(report_html, read_page):
    style = re.search(r"<style>(.*?)</style>", report_html, re.DOTALL)[1]
    assert ".target-pictures .picture img { filter: blur(" in style
    assert ".target-pictures:has(.reveal:checked) .picture img { filter: none; }" in style
    page = read_page(report_html)
    boxes = [each for each in page.all("input") if each["type"] == "checkbox"]
    galleries = [each for each in page.all("div") if each.get("class") == "target-pictures"]
    assert len(boxes) == len(galleries) == 2
    assert not any("checked" in box for box in boxes)
    blurred = report_html.index('class="target-pictures"'), report_html.index("Prompts for everything else")
    for prompt in ("a cat in the manner of noto", "an emoji of a car in the manner of blob"):
        places = [match.start() for match in re.finditer(f'alt="[^"]*{prompt}', report_html)]
        assert places and all(blurred[0] < place < blurred[1] for place in places)


def test_hidden_target_pictures_are_not_in_the_page(make_facts, report_html):
    facts = make_facts(hide_target_pictures=True)
    html = render_report(facts)
    of_target = [i for i, p in enumerate(facts.before.prompts) if any(t.matches(p) for t in facts.targets)]
    uris = set(data_uris([s.pictures[i] for s in (facts.before, facts.after) for i in of_target], 10**9))
    assert any(uri in report_html for uri in uris)
    assert not any(uri in html for uri in uris)
    assert "in the manner of blob" not in html and "a cat in the manner" not in html
    assert "These pictures are left out of this page." in html and 'class="reveal"' not in html


def test_a_method_that_compares_no_gradients_is_said_not_to_have_measured_them(make_facts):
    trace = make_facts().course.trace.assign(cosine=None, change_forget=None, change_retain=None, forget_loss=None)
    page = render_report(make_facts(trace=trace))
    assert "Steps that raise neither loss, to first order</dt><dd>not measured</dd>" in page
    assert "cosine of forget and retain gradient" not in page and "forget loss not measured" in page


@pytest.mark.parametrize(("side", "seeds"), [(64, 3), (512, 1)])
def test_a_page_stays_below_three_megabytes(side, seeds, make_facts, parts):
    before, after = parts["pictures"](side, seeds)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, before.pictures.shape, dtype=np.uint8)
    before = PictureSet(before.prompts, before.seeds, noise)
    assert len(render_report(make_facts(before=before, after=after)).encode()) < 3_000_000


def test_the_same_facts_give_the_same_page(report_html, make_facts):
    assert render_report(make_facts()) == report_html


def test_what_is_missing_is_said(make_facts, parts, read_page):
    undefined = Interval(value=math.nan, low=math.nan, high=math.nan, samples=0)
    nothing = Change(before=undefined, after=undefined, difference=undefined)
    evaluation = parts["evaluation"]()
    first = evaluation.targets[0].model_copy(update={"numbers": {"unlearning_accuracy": nothing}})
    evaluation = evaluation.model_copy(
        update={"targets": (first,), "rest": {"retain_accuracy": nothing}, "collateral": ()}
    )
    facts = make_facts(
        evaluation=evaluation,
        decision=parts["decision"](False),
        step_seconds=None,
        diversity=None,
        **without_pictures(),
    )
    html = render_report(facts)
    page = read_page(html)
    assert "nan" not in page.text and not any("nan" in plot["aria-label"] for plot in page.all("svg"))
    for said in (
        "“blob” was asked for, but the measurement gave no number.",
        "“cat” was not measured, so nothing can be said about it.",
        "What it cost the rest was not measured.",
        "No training step was taken.",
        "No picture was drawn for anything else.",
        "No level lost retain accuracy.",
    ):
        assert said in page.text
    assert not page.all("img")


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_has_aa_contrast_in_both_schemes(report_html):
    schemes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in report_html.split(":root {")[1:4]]
    assert len(schemes) == 3
    for colours in schemes:
        pairs = [(text, ground) for text in ("ink", "muted", "accent", "good", "bad") for ground in ("paper", "panel")]
        pairs += [("good", "good-panel"), ("bad", "bad-panel"), ("ink", "good-panel"), ("ink", "bad-panel")]
        for text, ground in pairs:
            light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
        light, dark = sorted((luminance(colours["before"]), luminance(colours["paper"])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3  # graphics


def test_facts_that_contradict_each_other_are_refused(make_facts, parts):
    before, after = parts["pictures"]()
    decision = parts["decision"](False)
    wrong = [
        ("after: drawn from other prompts or seeds", {"after": after.select(range(len(after))[::-1])}),
        ("after: pictures are", {"after": parts["pictures"](32)[1]}),
        ("trace: lacks the columns \\['cosine'\\]", {"trace": parts["trace"]().drop(columns="cosine")}),
        ("conflict_map: lacks", {"conflict_map": parts["trace"]()}),
        ("these failed: retain accuracy drop", {"decision": decision.model_copy(update={"passed": True})}),
        (
            "there are no conditions",
            {"decision": decision.model_copy(update={"passed": True, "conditions": ()})},
        ),
        ("targets: name requests", {"batch": TakedownBatch(requests=parts["requests"]()[:1])}),
    ]
    for message, changed in wrong:
        with pytest.raises(ExpungeError, match=message):
            make_facts(**changed)


def test_what_earlier_runs_forgot_stands_in_the_verdict_and_in_a_table(make_facts, parts, report_html):
    evaluation = parts["evaluation"]()
    back = {"unlearning_accuracy": parts["change"](1.0, 0.3, 0.1, 40)}
    fox = evaluation.targets[0].model_copy(update={"request_id": "object-fox", "name": "fox", "numbers": back})
    evaluation = evaluation.model_copy(update={"earlier": (fox,)})
    page = render_report(make_facts(evaluation=evaluation, **without_pictures()))
    assert (
        "What earlier runs forgot, asked for again" in page and "“fox”, forgotten by an earlier run, came back" in page
    )
    assert "asked for again" not in report_html
