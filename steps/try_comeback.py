"""Try to bring a target back."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.comeback import try_comeback as tests
from expunge.comeback.comeback_report import NEVER_SAW, UNLEARNED, ComebackReport
from expunge.comeback.comeback_settings import ComebackSettings
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def try_comeback(
    original: TextToImage,
    unlearned: TextToImage,
    target: Target,
    case: Case,
    settings: ComebackSettings,
    never_saw: TextToImage | None = None,
    forget: PictureSet | None = None,
) -> Annotated[ComebackReport, "comeback"]:
    """All comes-back tests of one target, beside the original's and, if there is one, a never-saw model's."""
    given = {UNLEARNED: unlearned} | ({NEVER_SAW: never_saw} if never_saw else {})
    models = {name: case.placed(model) for name, model in given.items()}
    return tests.try_comeback(case.placed(original), models, case, target, settings, forget)
