"""Unlearn the targets."""

from typing import Annotated

import pandas as pd
from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.release.base_model import BaseModelFacts, open_first
from expunge.release.logged_unlearning import unlearn_and_log
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import CheckSettings, UnlearnSettings
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def unlearn(
    model: TextToImage,
    facts: BaseModelFacts,
    forget: PictureSet,
    retain: PictureSet,
    cache: GradientCache,
    case: Case,
    settings: UnlearnSettings,
    check: CheckSettings,
) -> tuple[Annotated[TextToImage, "unlearned_model"], Annotated[pd.DataFrame, "trace"]]:
    """Losses and the gradients' cosine go to MLflow as it runs; a run that was cut off goes on from its checkpoint."""
    sets = TrainingSets(forget, retain, cache, open_first(facts))
    unlearned, trace = unlearn_and_log(model, sets, case, settings, check)
    return unlearned, trace.frame()
