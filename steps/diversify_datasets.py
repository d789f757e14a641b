"""Make the forget and the retain set."""

from typing import Annotated

import pandas as pd
from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.release.base_model import BaseModelFacts, open_first
from expunge.takedown.references import read_references
from expunge.unlearning.diversification import diversify
from expunge.unlearning.unlearn_settings import DiversificationSettings
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def diversify_datasets(
    model: TextToImage,
    facts: BaseModelFacts,
    pool: PictureSet,
    case: Case,
    inbox: str,
    settings: DiversificationSettings,
) -> tuple[
    Annotated[PictureSet, "forget_set"], Annotated[PictureSet, "retain_set"], Annotated[pd.DataFrame, "diversity"]
]:
    """Paired prompts, strata in balance, nearest neighbours among the retained, diversity measured."""
    first, references = open_first(facts), read_references(inbox, case.batch, model.size)
    sets = diversify(case.placed(model), pool, case, settings, references, first and case.placed(first))
    return sets.forget, sets.retain, sets.facts
