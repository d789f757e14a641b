"""How thorough an evaluation is: ``quick`` for a look, ``full`` for a decision, or numbers of one's own."""

from pydantic import Field, field_validator

from expunge.errors import ExpungeError
from expunge.pictures.drawing import DrawingSettings
from expunge.settings import Settings


class EvaluationProfile(Settings):
    """Sample sizes of one evaluation, each drawn with both models; intervals shrink with their root."""

    held_out_pictures: int = Field(default=480, ge=2, le=100_000, description="over the world, held-out wordings")
    train_pictures: int = Field(default=320, ge=2, le=100_000, description="over the world, train wordings")
    target_pictures: int = Field(default=96, ge=2, le=100_000, description="of each target, held-out wordings")
    wording_pictures: int = Field(default=32, ge=0, le=100_000, description="of each target in each other wording")
    composition_pictures: int = Field(
        default=32, ge=0, le=100_000, description="of each target's neighbours in each kind of composition; not 1"
    )
    shard_size: int = Field(default=64, ge=1, le=4096, description="pictures drawn, judged and let go at once")
    seed: int = Field(default=2000, ge=0, description="of wordings, noise and resamples; another one than training's")
    drawing: DrawingSettings = DrawingSettings()

    @field_validator("composition_pictures")
    @classmethod
    def _spread_is_known(cls, pictures: int) -> int:
        if pictures == 1:
            raise ValueError("of one picture no interval is known; take 0 for none, or at least 2")
        return pictures


PROFILES = {
    "quick": EvaluationProfile(
        held_out_pictures=120,
        train_pictures=60,
        target_pictures=40,
        wording_pictures=12,
        composition_pictures=12,
        drawing=DrawingSettings(steps=10),
    ),
    "full": EvaluationProfile(),
}


def named_profile(name: str) -> EvaluationProfile:
    """One of ``PROFILES``.

    Raises:
        ExpungeError: there is none of that name.
    """
    if name not in PROFILES:
        raise ExpungeError(f"profile: '{name}' given; there are {', '.join(PROFILES)}.")
    return PROFILES[name]
