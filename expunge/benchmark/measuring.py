"""How cells and rounds are measured: by the evaluator that everybody uses, against the model that they were made of."""

from expunge.case import Case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import evaluate
from expunge.evaluation.score import Scores
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_store import PictureStore


class MeasuringSettings(EvaluationSettings):
    """How many pictures a cell or a round is judged by, fewer than a decision about a model takes.

    Measuring is most of a benchmark's time, and grows in proportion.
    """

    held_out_pictures: int = 160
    train_pictures: int = 96
    reference_pictures: int = 96
    target_pictures: int = 40
    drawing: DrawingSettings = DrawingSettings(steps=10)


def measure(
    model: TextToImage, against: TextToImage, case: Case, settings: MeasuringSettings, pictures: PictureStore
) -> Scores:
    """Numbers and verdicts of a model. The other model's pictures are drawn once for all that it is compared with.

    Raises:
        ExpungeError: as in ``evaluate``.
    """
    sizes = settings.model_copy(update={"train_seed": settings.seed})
    return evaluate(model, against, case.drawn_with(settings.drawing), sizes, pictures, progress=False).scores
