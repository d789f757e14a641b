"""See whether the base model draws the targets at all."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

import materializers  # noqa: F401
from expunge.case import Case
from expunge.evaluation import look
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.look import Look
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_store import PictureStore
from expunge.release.base_model import BaseModelFacts
from expunge.reports.look_page import render_look
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def look_for_targets(
    base: TextToImage,
    facts: BaseModelFacts,
    case: Case,
    settings: EvaluationSettings,
    limit: float,
    hide_target_pictures: bool,
) -> tuple[Annotated[Look, "look"], Annotated[HTMLString, "look_page"]]:
    """Before any work is spent on them, in the pictures that the evaluation takes from the store later on."""
    found, pictures = look.look_for_targets(base, case, settings, limit, PictureStore())
    shown = pictures.select([]) if hide_target_pictures else pictures
    return found, HTMLString(render_look(found, shown, case, facts))
