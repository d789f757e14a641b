"""The evaluator: plan, draw, judge, score. Pipelines, command line and benchmark all measure with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Evaluation
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.plan import HELD_OUT, TARGET, paired, plan_evaluation
from expunge.evaluation.readable import check_readable
from expunge.evaluation.score import Judged, Scores, score
from expunge.judges.extractors import load_extractor
from expunge.judges.judged import JudgedPictures, judge_pictures
from expunge.models.model_facts import ModelFacts
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.pictures.picture_store import Drawer, PictureStore
from expunge.pictures.shards import Shard
from expunge.progress import progress_bar


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found, and the way to its pictures, which stay in the store.

    Attributes:
        case: what it was about.
        scores: the numbers, and one row per pair of pictures.
        shards: the plan.
        drawn_before: draws a shard by the model measured against.
        drawn_after: the same by the model measured.
    """

    case: Case
    scores: Scores
    shards: Sequence[Shard]
    drawn_before: Drawer
    drawn_after: Drawer

    @property
    def evaluation(self) -> Evaluation:
        """The numbers of targets and rest."""
        return self.scores.result.evaluation

    def before(self, *parts: str) -> PictureSet:
        """Measured pictures of the model measured against, of those parts; held-out wordings if none is named."""
        return self._pictures(self.drawn_before, parts)

    def after(self, *parts: str) -> PictureSet:
        """The same of the model measured: same prompts and seeds."""
        return self._pictures(self.drawn_after, parts)

    def called(self, model: ModelFacts, against: ModelFacts) -> "Evaluated":
        """The same with the names that people gave to the models."""
        result = self.scores.result.model_copy(update={"model": model, "against": against})
        return replace(self, scores=replace(self.scores, result=result))

    def _pictures(self, drawer: Drawer, parts: Sequence[str]) -> PictureSet:
        shards = [shard for shard in self.shards if shard.part in (parts or (HELD_OUT, TARGET))]
        return concatenate([drawer.draw(shard) for shard in shards]).where(self.case.is_measured)


def evaluate(
    model: TextToImage,
    against: TextToImage,
    case: Case,
    settings: EvaluationSettings,
    store: PictureStore,
    progress: bool = True,
) -> Evaluated:
    """Draw the plan with both models, judge and score it. One shard of pictures is in memory at a time.

    With several processes all of them draw, and the judges look here at what has come meanwhile: they take a fraction
    of the time that drawing takes, need not be told to others, and see the same batches whatever their number.

    Args:
        model: what is measured.
        against: what it is measured against.
        case: targets, what was forgotten before, world, judges and drawing.
        settings: sample sizes and seeds.
        store: where pictures are kept; what it holds is not drawn again.
        progress: show a progress bar.

    Raises:
        ExpungeError: the models draw pictures of different sizes, a model does not read its target prompts to the end,
            or as in ``judge_shard`` and ``score``.
    """
    model, against = case.placed(model), case.placed(against)
    check_sizes(model, against)
    shards = plan_evaluation(case, settings)
    warnings = check_readable([model, against], shards, case)
    was, now = (Drawer(each, case.drawing, store, case.processes) for each in (against, model))
    sides = [(was, shards, "before"), (now, paired(shards), "after")]
    judged: dict[str, list[JudgedPictures]] = {"before": [], "after": []}
    with progress_bar(progress) as bar:
        for drawer, asked, name in sides:
            task = bar.add_task(f"Pictures {name}", total=sum(map(len, asked)), note="")
            with drawer.each_of(asked, partial(bar.advance, task)) as drawn:
                judged[name] = [judge_shard(each, case, settings) for each in drawn]
    before, after = (
        ModelFacts(source=name, version="", digest=drawer.digest, sampler=drawer.sampler) for drawer, _, name in sides
    )
    scores = score(case, settings, Judged(shards, judged["before"], judged["after"]), after, before)
    return Evaluated(case, scores.warned(warnings), shards, was, now)


def judge_shard(pictures: PictureSet, case: Case, settings: EvaluationSettings) -> JudgedPictures:
    """What the panel says of a shard.

    Raises:
        ExpungeError: the judges do not take pictures of this size, or the features' weights are not there.
    """
    extractor = load_extractor(settings.features, settings.inception_weights) if settings.features else None
    try:
        return judge_pictures(pictures, case.panel(), extractor)
    except ExpungeError:
        raise
    except ValueError as error:
        raise ExpungeError(f"judges: {error}. Name judges for this model, e.g. an open_clip one.") from error


def check_sizes(model: TextToImage, against: TextToImage) -> None:
    """Refuse models whose pictures cannot be compared.

    Raises:
        ExpungeError: they draw pictures of different sizes.
    """
    if model.size != against.size:
        raise ExpungeError(
            f"against: draws pictures of {against.size} pixels, the model of {model.size}; compare models of one size. "
            "Name the base of this model with --against."
        )
