"""Put on record what the unlearned model was made from."""

from typing import Annotated, Any

from zenml import step

import materializers  # noqa: F401
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.release.base_model import BaseModelFacts
from expunge.release.lineage import Lineage, trace
from expunge.takedown.request import TakedownBatch


@step(enable_cache=False)
def trace_lineage(
    base: BaseModelFacts,
    unlearned: TextToImage,
    forget: PictureSet,
    retain: PictureSet,
    takedowns: TakedownBatch,
    config: dict[str, Any],
) -> Annotated[Lineage, "lineage"]:
    """Hashes of models, data, requests and config, and the commit of the code that runs now."""
    return trace(base, unlearned, forget, retain, takedowns, config)
