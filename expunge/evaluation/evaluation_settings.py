"""How thorough an evaluation is: numbers of one's own, or ``quick`` for a look and ``full`` for a decision."""

from pydantic import Field, field_validator

from expunge.errors import ExpungeError
from expunge.metrics.quantities import QUANTITIES
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.shards import SHARD_SIZE
from expunge.prompts.world import World
from expunge.settings import Settings

OVER_WORLD = "over the world, as evenly over its strata as they go"


class EvaluationSettings(Settings):
    """Sample sizes of one evaluation, each drawn with both models; intervals shrink with their root.

    A size ``…_per_stratum`` counts pictures of each stratum of the world (subject and style) and, where it is given,
    goes before the plain number.
    """

    held_out_pictures: int = Field(default=320, ge=2, le=100_000, description=f"{OVER_WORLD}, held-out wordings")
    held_out_per_stratum: int | None = Field(default=None, ge=1, le=64)
    train_pictures: int = Field(default=160, ge=2, le=100_000, description=f"{OVER_WORLD}, train wordings")
    train_per_stratum: int | None = Field(default=None, ge=1, le=64)
    reference_pictures: int = Field(
        default=160, ge=2, le=100_000, description="FD's yardstick: held-out wordings by the model measured against"
    )
    target_pictures: int = Field(
        default=72, ge=2, le=100_000, description="of each target, at least; those over the world count"
    )
    earlier_pictures: int = Field(
        default=72, ge=2, le=100_000, description="of each target that earlier runs forgot, held to the same limit"
    )
    wording_pictures: int = Field(default=0, ge=0, le=100_000, description="of each target in each other wording")
    composition_pictures: int = Field(
        default=0, ge=0, le=100_000, description="of each target's neighbours in each kind of composition; not 1"
    )
    quantities: tuple[str, ...] = Field(default=(), description="what is measured; none: all of the table")
    features: str = Field(
        default="", description="what distances are measured between: inception, pixels, zoo, timm:MODEL:FILE "
        "or an open_clip model; empty: the CLIP judge"
    )  # fmt: skip
    inception_weights: str = Field(default="", description="safetensors file of Inception's weights")
    shard_size: int = Field(default=SHARD_SIZE, ge=1, le=4096, description="pictures drawn, judged and let go at once")
    seed: int = Field(default=1000, ge=0, description="of wordings, noise and resamples; another one than training's")
    train_seed: int = Field(default=0, ge=0, description="of the train wordings; diversification's, to draw them once")

    @field_validator("composition_pictures")
    @classmethod
    def _spread_is_known(cls, pictures: int) -> int:
        if pictures == 1:
            raise ValueError("of one picture no interval is known; take 0 for none, or at least 2")
        return pictures

    @field_validator("quantities")
    @classmethod
    def _names_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in QUANTITIES]:
            raise ValueError(f"{', '.join(unknown)}: no such quantity; there are {', '.join(QUANTITIES)}")
        return names

    def held_out(self, world: World) -> int:
        """Pictures over that world, held-out wordings."""
        return self.held_out_per_stratum * len(world.strata()) if self.held_out_per_stratum else self.held_out_pictures

    def train(self, world: World) -> int:
        """Pictures over that world, train wordings."""
        return self.train_per_stratum * len(world.strata()) if self.train_per_stratum else self.train_pictures

    def with_pool(self, per_stratum: int, seed: int) -> "EvaluationSettings":
        """The same, with the pool of a retain set as its train part: the model measured against has drawn it."""
        return self.model_copy(update={"train_per_stratum": per_stratum, "train_seed": seed})


# Sizes, and how pictures are drawn.
PROFILES = {
    "quick": (
        EvaluationSettings(
            held_out_pictures=120,
            train_pictures=60,
            reference_pictures=120,
            target_pictures=40,
            earlier_pictures=40,
            wording_pictures=12,
            composition_pictures=12,
            seed=2000,
            train_seed=2000,
        ),
        DrawingSettings(steps=10),
    ),
    "full": (
        EvaluationSettings(
            held_out_pictures=480,
            train_pictures=320,
            reference_pictures=320,
            target_pictures=96,
            wording_pictures=32,
            composition_pictures=32,
            seed=2000,
            train_seed=2000,
        ),
        DrawingSettings(),
    ),
}


def named_profile(name: str) -> tuple[EvaluationSettings, DrawingSettings]:
    """One of ``PROFILES``.

    Raises:
        ExpungeError: there is none of that name.
    """
    if name not in PROFILES:
        raise ExpungeError(f"profile: '{name}' given; there are {', '.join(PROFILES)}.")
    return PROFILES[name]
