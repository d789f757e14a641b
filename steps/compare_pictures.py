"""Let the judges know the pictures that requests want forgotten."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.evaluation import memorised
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_store import PictureStore
from expunge.takedown.references import read_references
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def compare_pictures(
    base: TextToImage, case: Case, inbox: str, settings: EvaluationSettings
) -> Annotated[Case, "case_with_references"]:
    """Features of the references, and how alike the base's other pictures are to them; no picture is passed on."""
    references = read_references(inbox, case.batch, case.placed(base).size)
    return memorised.compare_pictures(base, case, references, settings, PictureStore())
