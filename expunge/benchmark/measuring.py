"""How cells and rounds are measured: by the evaluator that everybody uses, against the model that they were made of."""

from expunge.case import Case
from expunge.evaluation.evaluate_models import evaluate_models
from expunge.evaluation.profile import EvaluationProfile
from expunge.evaluation.score import Question, Scores
from expunge.models.model_facts import ModelFacts
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_store import PictureStore


class MeasuringSettings(EvaluationProfile):
    """How many pictures a cell or a round is judged by, fewer than a decision about a model takes.

    Measuring is most of a benchmark's time, and grows in proportion.
    """

    held_out_pictures: int = 160
    train_pictures: int = 96
    target_pictures: int = 40
    wording_pictures: int = 0
    composition_pictures: int = 0
    seed: int = 1000
    drawing: DrawingSettings = DrawingSettings(steps=10)


def measure(
    model: TextToImage, against: TextToImage, case: Case, settings: MeasuringSettings, pictures: PictureStore
) -> Scores:
    """Numbers and verdicts of a model. The other model's pictures are drawn once for all that it is compared with.

    Raises:
        ExpungeError: as in ``evaluate_models``.
    """
    after, before = (
        ModelFacts(source="", version="", digest=each.digest(), sampler=each.sampling()) for each in (model, against)
    )
    question = Question(after, before, case.targets, case.world_name, case.judges, settings)
    return evaluate_models(question, model, against, case.world, case.panel(), pictures, progress=False)[0]
