"""Measure the full gradients of both objectives at the base model."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.release.base_model import BaseModelFacts, open_first
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.launch import gradients_of
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import ForgetSettings, GradientSettings
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def cache_gradients(
    model: TextToImage,
    facts: BaseModelFacts,
    forget: PictureSet,
    retain: PictureSet,
    case: Case,
    settings: GradientSettings,
    forgetting: ForgetSettings,
) -> Annotated[GradientCache, "gradient_cache"]:
    """Gradients, second moments and the conflict map; keyed by model, data, objective and seeds."""
    sets = TrainingSets(forget, retain, first=open_first(facts))
    return gradients_of(model, sets, case, settings, forgetting)
