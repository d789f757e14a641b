"""All tests of all models, and their table."""

from collections import Counter

import pandas as pd
import pytest
import torch

from expunge.comeback.comeback_report import NEVER_SAW, ComebackReport, surely_higher
from expunge.comeback.comeback_settings import PROFILES
from expunge.comeback.comeback_table import as_frame, as_markdown
from expunge.comeback.try_comeback import try_comeback
from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from expunge.models.families.stable_diffusion import StableDiffusion
from tests.comeback.conftest import SMALL, colour_case, target_of
from tests.metrics.colour_judges import WORLD, colour_panel
from tests.tiny import make_tiny_pipeline


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> StableDiffusion:
    return StableDiffusion.load(make_tiny_pipeline(tmp_path_factory.mktemp("other"), seed=1))


@pytest.fixture(scope="module")
def report(tiny_model, other, pictures, dog) -> ComebackReport:
    models = {"same": tiny_model, NEVER_SAW: other}
    return try_comeback(tiny_model, models, colour_case(), dog, SMALL, forget_set=pictures)


def test_models_come_out_as_they_went_in(report, tiny_model, other):
    digests = {each.name: each.digest for each in report.models}
    assert digests == {"original": tiny_model.digest(), "same": tiny_model.digest(), NEVER_SAW: other.digest()}


def test_a_model_that_is_the_original_has_the_originals_numbers(report):
    for reading in report.readings("same"):
        assert reading.value == reading.original
    assert report.model("same").model_dump(exclude={"name"}) == report.model("original").model_dump(exclude={"name"})
    assert report.model("original").knowledge.auc.value == 0.5
    assert report.model(NEVER_SAW).knowledge.members.value != 0


def test_each_number_stands_beside_both_references(report):
    first, never = report.models[0].numbers(), report.model(NEVER_SAW).numbers()
    assert list(first) == list(never)
    assert {
        "plain prompt",
        "relearned on 1",
        "relearned on 3",
        "relearned on harmless",
        "embedding",
        "best prompt",
        "picture 0.5, asked for target",
        "noise 1",
        "inpainting",
        "guided 0.3",
        "AUC forget set",
        "AUC target",
    } < set(first)
    for reading in report.readings("same"):
        assert (reading.original, reading.never_saw) == (first[reading.test], never[reading.test])
        assert reading.comes_back == surely_higher(reading.value, never[reading.test])
    assert not any(each.comes_back for each in report.readings(NEVER_SAW))


def test_a_model_in_another_precision_is_attacked_alike(report, tiny_folder, pictures, dog):
    # Stands for another device: what stays behind when a model moves is in the wrong dtype here.
    model = StableDiffusion.load(tiny_folder).to("cpu", torch.float64)
    (_, same) = try_comeback(model, {"same": model}, colour_case(), dog, SMALL, forget_set=pictures).models
    for (test, found), (other, expected) in zip(
        same.numbers().items(), report.model("same").numbers().items(), strict=True
    ):
        assert test == other and abs(found.value - expected.value) <= 0.26, test  # one picture of four
    assert abs(same.knowledge.members.value - report.model("same").knowledge.members.value) < 1e-4


def test_nothing_is_called_hidden_without_a_model_that_never_saw(report):
    without = report.model_copy(update={"models": report.models[:2]})
    assert {each.comes_back for each in without.readings("same")} == {None}
    assert "**" not in as_markdown(without)
    assert "No model that never saw the target was given" in as_markdown(without)
    with pytest.raises(ExpungeError, match="'nobody' was not tested; tested were original, same, never saw"):
        report.readings("nobody")


def test_the_table_has_a_row_for_each_model_and_a_column_for_each_test(report):
    frame, tests = as_frame(report), list(report.models[0].numbers())
    assert list(frame.index) == ["original", "same", NEVER_SAW]
    assert list(dict.fromkeys(frame.columns.get_level_values(0))) == tests
    assert isinstance(frame.columns, pd.MultiIndex) and not frame.isna().any(axis=None)
    lines = [line for line in as_markdown(report).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 3 + 1
    assert {line.count("|") for line in lines} == {len(tests) + 2}


def test_what_comes_back_is_bold(report):
    """An original that always draws the target, beside a model that never does."""
    sure, never = report.models[0], report.models[2]
    shown = sure.embedding.found.after.model_copy(update={"value": 1.0, "low": 0.9, "high": 1.0})
    hidden = shown.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.1})
    models = [
        each.model_copy(update={"prompts": each.prompts.model_copy(update={"confirmed": share})})
        for each, share in ((sure, shown), (report.models[1], hidden), (never, hidden))
    ]
    table = as_markdown(report.model_copy(update={"models": tuple(models)}))
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("|")}
    assert "**1.00 [0.90, 1.00]**" in rows["original"]
    assert "**0.00" not in rows["same"] and "**" not in rows[NEVER_SAW]


def test_the_report_survives_being_written_down(report):
    assert ComebackReport.model_validate_json(report.model_dump_json()) == report


def test_without_a_forget_set_there_is_no_membership(tiny_model, other, dog):
    small = SMALL.model_copy(update={"relearning": SMALL.relearning.model_copy(update={"steps": 0})})
    report = try_comeback(tiny_model, {"other": other}, colour_case(), dog, small)
    assert report.model("other").membership is None
    assert "AUC forget set" not in as_markdown(report).split("\n\n")[0]


def test_what_cannot_be_tested_is_refused_before_any_work(tiny_model, pictures, dog):
    def run(models, panel=None, forget_set=None, target=dog):
        return try_comeback(tiny_model, models, colour_case(panel), target, SMALL, forget_set=forget_set)

    with pytest.raises(ExpungeError, match=r"models: called \(none\) given"):
        run({})
    with pytest.raises(ExpungeError, match="none called 'original'"):
        run({"original": tiny_model})
    with pytest.raises(ExpungeError, match="no classifier for its factor 'subject'"):
        run({"a": tiny_model}, panel=Panel({}, colour_panel().clip))
    with pytest.raises(ExpungeError, match="forget_set: pictures that ask for 'dog': 0 given, at least 2"):
        run({"a": tiny_model}, forget_set=pictures.select([]))


def test_a_model_of_another_size_is_refused(tiny_model, dog):
    class Larger(StableDiffusion):
        size = 64

    with pytest.raises(ExpungeError, match="a: draws pictures of 64 pixels, the original of 32"):
        try_comeback(tiny_model, {"a": Larger(tiny_model.pipeline)}, colour_case(), dog, SMALL)


def test_an_original_that_does_not_draw_the_target_leaves_nothing_to_test(tiny_model, pictures):
    found = Counter(colour_panel().classifiers["subject"].recognise(pictures.pictures))
    unseen = next(name for name in WORLD.factors["subject"] if not found[name])
    report = try_comeback(tiny_model, {"a": tiny_model}, colour_case(), target_of("subject", unseen), SMALL)
    assert report.models == () and f"the target '{unseen}' is found in none of its" in report.untested


def test_profiles_fit_their_own_steps():
    for settings in PROFILES.values():
        assert all(int(settings.drawing.steps * each) >= 1 for each in settings.references.strengths)
        assert settings.relearning.pictures == (1, 5, 20)
