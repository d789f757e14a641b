"""Lineage: what an unlearned model was made from."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from expunge.case import Case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.release.base_model import BaseModelFacts
from expunge.release.certificate import Hashes, sha256_of
from expunge.release.code_commit import code_commit


class Lineage(BaseModel):
    """What an unlearned model was made from.

    Attributes:
        base: the base model.
        hashes: SHA-256 of models, sets, case and config.
        requests: ids and their SHA-256.
        config: the run's settings.
        code_commit: as ``expunge.release.code_commit`` tells it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    base: BaseModelFacts
    hashes: Hashes
    requests: dict[str, str]
    config: dict[str, Any]
    code_commit: str


def trace(
    base: BaseModelFacts,
    unlearned: TextToImage,
    forget: PictureSet,
    retain: PictureSet,
    case: Case,
    config: dict[str, Any],
) -> Lineage:
    """Hash everything that went into a run and came out of it."""
    return Lineage(
        base=base,
        hashes=Hashes(
            base_model=base.digest,
            unlearned_model=unlearned.digest(),
            forget_set=forget.digest(),
            retain_set=retain.digest(),
            config=sha256_of(config),
            case=case.digest(),
            world=sha256_of(case.world.model_dump(mode="json")),
            judges=case.judges_digest,
        ),
        requests={each.id: sha256_of(each.model_dump(mode="json")) for each in case.batch.requests},
        config=config,
        code_commit=code_commit(),
    )
