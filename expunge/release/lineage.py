"""Lineage: what an unlearned model was made from."""

import subprocess
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.release.base_model import BaseModelFacts
from expunge.release.certificate import Hashes, sha256_of
from expunge.takedown.request import TakedownBatch


class Lineage(BaseModel):
    """What an unlearned model was made from.

    Attributes:
        base: the base model.
        hashes: SHA-256 of models, sets and config.
        requests: ids and their SHA-256.
        config: the run's settings.
        code_commit: of this project, or its version where there is no checkout.
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
    takedowns: TakedownBatch,
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
        ),
        requests={each.id: sha256_of(each.model_dump(mode="json")) for each in takedowns.requests},
        config=config,
        code_commit=code_commit(),
    )


def code_commit() -> str:
    """The checkout's commit, with ``+changes`` if the tree differs from it; else the installed version."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return f"expunge {installed_version('expunge')}"
    return commit.stdout.strip() + ("+changes" if changed.stdout.strip() else "")
