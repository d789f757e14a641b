"""Memorised pictures: how a run tells them, from the requests' reference pictures and from what the base draws else."""

from collections.abc import Mapping

import numpy as np

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.plan import TRAIN, plan_evaluation
from expunge.judges.compare import see_references
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_store import PictureStore, draw_shards
from expunge.prompts.world import PICTURE


def compare_pictures(
    model: TextToImage,
    case: Case,
    references: Mapping[str, np.ndarray],
    settings: EvaluationSettings,
    store: PictureStore,
) -> Case:
    """The case with judges that know its memorised pictures; itself where it is about none.

    How alike a picture and a reference are by chance, the base's own pictures over the world say, train wordings: those
    that the retain set and the evaluation are made of.

    Args:
        model: the base.
        case: what the run is about.
        references: reference pictures by request id, uint8 ``(r, h, w, 3)``.
        settings: of the evaluation to come; its ``features`` are those that likeness is measured on.
        store: where pictures are kept; the run finds them there.

    Raises:
        ExpungeError: a request's references are not there, the features' weights are missing, or the model does not
            draw the case's size.
    """
    pictured = [target for target in case.gone if target.factor == PICTURE]
    if not pictured:
        return case
    if missing := [each.request_id for each in pictured if each.request_id not in references]:
        raise ExpungeError(f"pictures: those of {missing[0]} are not there, so no judge can tell its picture.")
    shown = {
        level: np.concatenate([references[each.request_id] for each in pictured if level in each.levels])
        for level in {level: None for each in pictured for level in each.levels}
    }
    model = case.placed(model)
    shards = [shard for shard in plan_evaluation(case, settings) if shard.part == TRAIN]
    drawn = draw_shards(model, shards, case.drawing, store, "Drawing train world", case.processes)
    others = drawn.where(lambda prompt: not case.asks_for_gone(prompt))
    features = (settings.features, settings.inception_weights)
    return case.shown(see_references(case.panel(), features, shown, others.pictures))
