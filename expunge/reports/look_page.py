"""The page of a look at the targets before anything is unlearned: what the judges said, and some of the pictures."""

from dataclasses import dataclass

from expunge.case import Case
from expunge.evaluation.look import ABSENT, Look, TargetLook
from expunge.metrics.units import SHARE, SPACE
from expunge.pictures.picture_set import PictureSet
from expunge.release.base_model import BaseModelFacts
from expunge.reports.figures import data_uris
from expunge.reports.gallery import PAIRS_OF_ALL_TARGETS, PAIRS_PER_TARGET, PICTURE_BUDGET, spread
from expunge.reports.rendering import flattened, render

SAID = {
    "drawn": "is drawn, so it can be removed.",
    "nothing to remove": "is not drawn: there is nothing to remove.",
    "unclear": "is drawn now and then; the gate decides after unlearning.",
}


@dataclass(frozen=True)
class Single:
    """One picture as a data URI."""

    prompt: str
    seed: int
    picture: str


def render_look(look: Look, pictures: PictureSet, case: Case, base: BaseModelFacts) -> str:
    """The look as one HTML page that loads nothing.

    Args:
        look: at the targets of the case.
        pictures: that asked for a target; none to leave them out of the page.
        case: what the run is about.
        base: the model that was looked at.
    """
    absent = sum(each.verdict == ABSENT for each in look.targets)
    return render(
        "look.html.j2",
        look=look,
        base=base,
        headline=_headline(absent, len(look.targets)),
        sentences=[_sentence(each) for each in look.targets],
        rows=[row for each in look.targets for row in _rows(each)],
        galleries=_galleries(pictures, case),
        facts=_facts(look, case, base),
    )


def _headline(absent: int, targets: int) -> str:
    if not absent:
        return "The work goes on with every request."
    if absent == targets:
        return "Nothing to remove: the model draws none of the targets."
    return f"Nothing to remove for {absent} of {targets} requests; the work goes on with the others."


def _sentence(target: TargetLook) -> str:
    shares = [
        f"in {SHARE.value(share.value)} by {judge} (95{SPACE}% interval {SHARE.range(share)})"
        for judge, share in target.shares.items()
    ]
    samples = next(iter(target.shares.values())).samples
    return f"“{target.name}” {SAID[target.verdict]} Of {samples:,} pictures it shows {', '.join(shares)}."


def _rows(target: TargetLook) -> list[dict[str, str]]:
    return [
        {
            "target": target.name,
            "judge": judge,
            "share": SHARE.value(share.value),
            "interval": SHARE.range(share),
            "taken_for": target.taken_for[judge],
            "samples": f"{share.samples:,}",
        }
        for judge, share in target.shares.items()
    ]


def _galleries(pictures: PictureSet, case: Case) -> list[tuple[str, list[Single]]]:
    """By target's name, some of the pictures that ask for it, chosen by a fixed rule."""
    most = max(2, min(PAIRS_PER_TARGET, PAIRS_OF_ALL_TARGETS // max(1, len(case.targets))))
    asked = [[i for i, prompt in enumerate(pictures.prompts) if each.matches(prompt)] for each in case.targets]
    chosen = [spread(pictures, indices, most) for indices in asked]
    order = [i for indices in chosen for i in indices]
    uris = iter(data_uris([pictures.pictures[i] for i in order], PICTURE_BUDGET) if order else ())
    return [
        (target.name, [Single(pictures.prompts[i].text, pictures.seeds[i], next(uris)) for i in indices])
        for target, indices in zip(case.targets, chosen, strict=True)
    ]


def _facts(look: Look, case: Case, base: BaseModelFacts) -> list[tuple[str, str]]:
    return [
        ("model", base.source),
        ("SHA-256 of its weights", base.digest),
        ("world", case.world_name),
        ("wordings", look.wordings.replace("_", "-")),
        ("SHA-256 of prompts and seeds", look.prompts_digest),
        ("judges", look.judges),
        ("SHA-256 of their weights", look.judges_digest),
        ("precision", case.precision),
        *((name, str(value)) for name, value in flattened(case.drawing.model_dump(exclude_none=True), "drawing.")),
    ]
