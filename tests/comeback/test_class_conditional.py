"""A model of classes: what needs no sentences is tried, the rest says why it is not."""

import numpy as np
import pytest

from expunge.case import Case
from expunge.comeback.comeback_report import ComebackReport
from expunge.comeback.comeback_table import as_markdown
from expunge.comeback.try_comeback import try_comeback
from expunge.judges.panel import Panel
from expunge.prompts.target import Target
from expunge.reports.comeback_verdict import sentences
from expunge.takedown.request import Kind
from expunge.zoo.digits.digits_data import digits_world
from tests.comeback.conftest import ONE_STEP, SMALL
from tests.metrics.colour_judges import ColourClip
from tests.zoo.digits.tiny import make_tiny_digits

SEVEN = Target(request_id="a", kind=Kind.CLASS, name="seven", factor="subject", levels=("seven",))


class Brightness:
    """Tells classes by how bright a picture is: those of an untrained model are all grey, hence seven."""

    factor, levels = "subject", ("seven", "one")

    def digest(self) -> str:
        return "brightness"

    def recognise(self, pictures: np.ndarray) -> list[str]:
        return ["seven" if each.mean() < 200 else "one" for each in pictures]


@pytest.fixture(scope="module")
def report() -> ComebackReport:
    case = Case.of(digits_world(), Panel({"subject": Brightness()}, ColourClip()), ONE_STEP)
    model = make_tiny_digits()
    return try_comeback(model, {"unlearned": model.with_own_denoiser()}, case, SEVEN, SMALL)


def test_what_needs_no_sentences_is_tried(report: ComebackReport) -> None:
    assert not report.untested
    assert list(report.model("unlearned").numbers()) == [
        "plain prompt", "relearned on 1", "relearned on 3", "relearned on harmless", "noise 1", "inpainting",
        "guided 0.3", "AUC target",
    ]  # fmt: skip


def test_the_rest_says_why_it_is_not(report: ComebackReport) -> None:
    model = report.model("unlearned")
    assert (model.embedding, model.prompts, model.references) == (None, None, None)
    assert list(model.untried) == ["embedding", "best prompt", "pictures"]
    table = as_markdown(report)
    assert "Not tried, embedding: model: draws classes and knows no words" in table
    assert any(each.startswith("Not tried, best prompt: prompt: the model draws no") for each in sentences(report))
    assert "Not tried, pictures: model: draws classes; image-to-image is not there for it" in table
