"""Comes-back tests of models that never were: an original that knows the target, one that hides it, one that forgot."""

from collections.abc import Sequence

from expunge.comeback.comeback_report import NEVER_SAW, ORIGINAL, UNLEARNED, ComebackReport, ModelComeback
from expunge.comeback.comeback_settings import QUICK
from expunge.comeback.embedding_attack import EmbeddingAttack
from expunge.comeback.membership import Membership
from expunge.comeback.prompt_search import PromptRow, PromptSearch
from expunge.comeback.reference_pictures import ASKED, ReferencePictures, ReferencePoint
from expunge.comeback.relearning import HARMLESS, Relearning, RelearningCurve, RelearningPoint
from expunge.metrics.intervals import proportion
from expunge.metrics.numbers import Change, Interval, complement

SAMPLES = 40
CONDITIONS = (("target", 1), ("target", 5), ("target", 20), (HARMLESS, 20))


def share(found: float) -> Interval:
    """So large a share of ``SAMPLES`` pictures, with its true interval."""
    hits = round(found * SAMPLES)
    return proportion([True] * hits + [False] * (SAMPLES - hits), [str(i) for i in range(SAMPLES)], what="made")


def auc(value: float) -> Membership:
    around = Interval(value=value, low=value - 0.08, high=value + 0.08, samples=2 * SAMPLES)
    error = Interval(value=0.1, low=0.09, high=0.11, samples=SAMPLES)
    return Membership(auc=around, members=error, fresh=error)


def make_model(
    name: str, plain: float, relearned: Sequence[float], searched: float, redrawn: float, knowledge: float
) -> ModelComeback:
    """A model of which the target is drawn so often: plainly asked, relearned on each condition, otherwise sought."""
    curves = tuple(
        RelearningCurve(
            condition=condition,
            pictures=pictures,
            points=tuple(
                RelearningPoint(step=step, unlearning_accuracy=complement(share(plain + (end - plain) * step / 20)))
                for step in (0, 10, 20)
            ),
            losses=(0.2, 0.1),
        )
        for (condition, pictures), end in zip(CONDITIONS, relearned, strict=True)
    )
    found = share(searched)
    difference = Interval(value=0.0, low=-0.1, high=0.1, samples=SAMPLES)
    row = PromptRow(way="misspelling", wording="caat", example="an emoji of a caat by noto", found=found)
    return ModelComeback(
        name=name,
        digest="c4" * 32,
        relearning=Relearning(curves=curves),
        embedding=EmbeddingAttack(found=Change(before=share(0), after=found, difference=difference), losses=(0.2, 0.1)),
        prompts=PromptSearch(rows=(row, row.model_copy(update={"wording": "kitty"})), confirmed=found),
        references=ReferencePictures(
            given=share(1),
            points=tuple(
                ReferencePoint(strength=strength, asked=asked, found=share(redrawn * (1.2 - strength)))
                for strength in (0.5, 0.84)
                for asked in ASKED
            ),
        ),
        membership=auc(0.5),
        knowledge=auc(knowledge),
    )


def make_original() -> ModelComeback:
    return make_model(ORIGINAL, 0.95, (0.9, 0.95, 1, 0.9), 0.95, 1, 0.5)


def make_hiding() -> ModelComeback:
    """Draws the target as soon as it is asked otherwise than plainly."""
    return make_model(UNLEARNED, 0, (0.3, 0.75, 0.95, 0.6), 0.8, 0.9, 0.5)


def make_forgotten(name: str = UNLEARNED) -> ModelComeback:
    """Learns the target anew from many pictures of it and by nothing else."""
    return make_model(name, 0, (0, 0.05, 0.4, 0), 0, 0.3, 0.2)


def make_comeback(*models: ModelComeback, target: str = "cat", kind: str = "object") -> ComebackReport:
    """The tests of these models; by default one that hides the target beside one that never saw it."""
    tested = models or (make_original(), make_hiding(), make_forgotten(NEVER_SAW))
    factor = "style" if kind == "style" else "subject"
    return ComebackReport(target=target, kind=kind, factor=factor, models=tested, settings=QUICK)


def make_untested(target: str = "cat", kind: str = "object") -> ComebackReport:
    """Nothing could be tested."""
    reason = f"original: the target '{target}' is found in none of its 72 pictures; there is nothing to come back."
    return ComebackReport(target=target, kind=kind, factor="subject", models=(), settings=QUICK, untested=reason)
