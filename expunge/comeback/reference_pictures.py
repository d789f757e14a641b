"""Reference pictures: does the model keep the target when it is given noised pictures of it to denoise?

At low strengths any model keeps the picture that it was given; at high ones it must know the target. So the curve over
strengths means something only beside those of the original and of a model that never saw the target.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from expunge.comeback.shares import Shares
from expunge.comeback.trial import Trial
from expunge.metrics.numbers import Interval
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.progress import track
from expunge.settings import Settings

Asked = Literal["target", "nothing"]
ASKED: tuple[Asked, ...] = ("target", "nothing")


class ReferenceSettings(Settings):
    """How far the pictures are noised, and how many there are."""

    strengths: Shares = Field(default=(0.5, 0.7, 0.9), description="share of the noise, 0–1")
    pictures: int = Field(default=40, ge=2, le=100_000)


class ReferencePoint(BaseModel):
    """Share of pictures in which the target is found after noising and denoising.

    Attributes:
        strength: how far up the noise went, 0–1.
        asked: the picture's own prompt (``target``) or the empty one (``nothing``).
        found: 0–1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    strength: float
    asked: Asked
    found: Interval


class ReferencePictures(BaseModel):
    """The share in the pictures as they were given, and one point for every strength and prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    given: Interval
    points: tuple[ReferencePoint, ...]


def reference_pictures(
    model: TextToImage, pictures: PictureSet, trial: Trial, settings: ReferenceSettings, progress: str = ""
) -> ReferencePictures:
    """Image-to-image from target pictures, under their own prompts and under the empty one.

    Args:
        model: the unlearned model.
        pictures: the original model's; the first ones that ask for the target are taken.
        trial: what was forgotten, and how pictures are denoised and judged.
        settings: strengths and number of pictures.
        progress: label of the progress bar; none if empty.

    Raises:
        ExpungeError: fewer pictures than asked for, or less than one step to make.
    """
    given = trial.with_target(pictures, settings.pictures, "reference pictures").select(range(settings.pictures))
    seeds = [trial.seed + i for i in range(len(given))]
    own = [prompt.text for prompt in given.prompts]
    points = []
    for strength, asked in track([(each, asked) for each in settings.strengths for asked in ASKED], progress):
        texts = own if asked == "target" else [""] * len(own)
        made = model.redraw(given.pictures, texts, seeds, strength, **trial.case.drawing.how())
        drawn = PictureSet(given.prompts, tuple(seeds), made)
        points.append(ReferencePoint(strength=strength, asked=asked, found=trial.share(drawn)))
    return ReferencePictures(given=trial.share(given), points=tuple(points))
