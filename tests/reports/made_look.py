"""A look at targets that never was: of the two made requests the style is drawn, and the cat is not."""

from expunge.evaluation.look import Look, TargetLook
from expunge.metrics.numbers import Interval
from expunge.pictures.picture_set import PictureSet
from expunge.reports.look_page import render_look
from tests.reports.made_facts import make_findings, make_pictures


def make_look(**changed: object) -> Look:
    """Fields by name in ``changed`` replace its own."""

    def share(value: float, half: float) -> Interval:
        return Interval(value=value, low=max(0.0, value - half), high=min(1.0, value + half), samples=72)

    targets = (
        TargetLook(
            request_id="blob-style", name="blob", kind="style", verdict="drawn",
            shares={"the classifier of style": share(0.972, 0.05), "CLIP": share(0.875, 0.09)},
            taken_for={"the classifier of style": "noto", "CLIP": "fluent"},
        ),
        TargetLook(
            request_id="cat-object", name="cat", kind="object", verdict="nothing to remove",
            shares={"the classifier of subject": share(0.0, 0.05), "CLIP": share(0.014, 0.061)},
            taken_for={"the classifier of subject": "none", "CLIP": "fox"},
        ),
    )  # fmt: skip
    look = Look(
        targets=targets,
        limit=0.5,
        judges="made",
        judges_digest="4e" * 32,
        wordings="held_out",
        prompts_digest="6c" * 32,
    )
    return look.model_copy(update=changed)


def look_page(look: Look | None = None, pictures: PictureSet | None = None) -> str:
    """The page of a look at all pictures that ask for a target, unless others are given."""
    findings = make_findings()
    asked = make_pictures()[0].where(findings.case.asks_for_target) if pictures is None else pictures
    return render_look(look or make_look(), asked, findings.case, findings.lineage.base)
