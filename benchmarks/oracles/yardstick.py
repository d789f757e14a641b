"""How far a model is from models that never saw the target, in units of how far these are from each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from expunge.comeback.classifier_guidance import GuidanceSettings, classifier_guidance
from expunge.comeback.inpainting import InpaintingSettings, inpainting
from expunge.comeback.membership import MembershipSettings, knowledge
from expunge.comeback.noise_injection import NoiseSettings, noise_injection
from expunge.comeback.relearning import Relearning, RelearningSettings, relearn
from expunge.comeback.trial import Trial
from expunge.metrics.kernel_distance import kernel_distance
from expunge.metrics.retain_accuracy import as_asked
from expunge.models.conditions import chosen
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.settings import Settings
from expunge.unlearning.batches import Batch, generator_of, predict

SIDES = ("target", "rest")
SHOWN = 5  # pictures that the curve which is shown was relearned on


class Sizes(Settings):
    """How much of each model is looked at."""

    pictures: int = 128  # of the target, drawn and noised; of the rest about twice as many
    levels: int = 8  # of noise at which each is denoised, evenly spread
    membership: MembershipSettings = MembershipSettings()
    relearning: RelearningSettings = RelearningSettings(pictures=(1, 5, 20), harmless_pictures=0, steps=40)
    inpainting: InpaintingSettings = InpaintingSettings()
    noise: NoiseSettings = NoiseSettings(shares=(1.0,))
    guidance: GuidanceSettings = GuidanceSettings(scales=(0.3,))


@dataclass(frozen=True)
class Shown:
    """What a model does on the yardstick's prompts, by side.

    Attributes:
        predictions: for the original's pictures, noised, under their own prompts; float32 ``(n · levels, c, h, w)``.
        features: the second judge's, of pictures that the model draws itself, ``(n, d)``.
        numbers: shares and areas that need no other model, 0–1.
        relearning: steps, and UA after them.
    """

    predictions: dict[str, Tensor]
    features: dict[str, np.ndarray]
    numbers: dict[str, float]
    relearning: tuple[tuple[int, float], ...]


def distances(one: Shown, other: Shown) -> dict[str, float]:
    """Between two models: mean squared difference of predictions, and kernel distance of pictures, for each side."""
    found = {}
    for side in SIDES:
        found[f"prediction_{side}"] = float((one.predictions[side] - other.predictions[side]).square().mean())
        found[f"pictures_{side}"] = kernel_distance(one.features[side], other.features[side])
    return found


def mean_distances(one: Shown, others: Sequence[Shown]) -> dict[str, float]:
    """The means of `distances` to several models."""
    found = [distances(one, other) for other in others]
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


class Yardstick:
    """Prompts, pictures and noise on which all models of one target are looked at.

    Args:
        original: the model that was unlearned; draws the pictures.
        trial: the target, and how it is judged.
        sizes: how much is looked at.
    """

    def __init__(self, original: TextToImage, trial: Trial, sizes: Sizes) -> None:
        self.original, self.trial, self.sizes = original, trial, sizes
        world = trial.case.world
        rest = world.sample("held_out", max(1, 2 * sizes.pictures // len(world.strata())), trial.seed)
        spared = [each for each in rest if not trial.target.matches(each)]
        self.prompts = {"target": trial.asked("held_out", sizes.pictures), "rest": spared}
        self.drawn = {side: trial.draw(original, self.prompts[side], f"yardstick/{side}") for side in SIDES}
        self.known = trial.draw(original, trial.asked("train", sizes.pictures), "yardstick/known")

    def look(self, model: TextToImage) -> Shown:
        """What a model shows. It is left as it is."""
        trial, sizes = self.trial, self.sizes
        drawn = {side: trial.draw(model, self.prompts[side], f"yardstick/{side}/own") for side in SIDES}
        panel = trial.case.panel()
        recognised = {name: each.recognise(drawn["rest"].pictures) for name, each in panel.classifiers.items()}
        kept = as_asked(self.prompts["rest"], recognised, list(recognised))
        relearned = relearn(model, self.known, trial, sizes.relearning)
        curve = next(each for each in relearned.curves if each.pictures == SHOWN).points
        known = knowledge(model, self.original, self.drawn["target"], self.drawn["rest"], sizes.membership, trial.seed)
        return Shown(
            predictions={side: self._predictions(model, self.drawn[side]) for side in SIDES},
            features={side: panel.clip.picture_features(each.pictures) for side, each in drawn.items()},
            numbers={
                "unlearning_accuracy": 1 - trial.share(drawn["target"]).value,
                "retain_accuracy": float(kept.mean()),
                "knowledge": known.auc.value,
                **_relearned(relearned),
                **self._attacked(model),
            },
            relearning=tuple((point.step, point.unlearning_accuracy.value) for point in curve),
        )

    def _attacked(self, model: TextToImage) -> dict[str, float]:
        """Shares of pictures in which the target is found where drawing is tampered with."""
        trial, sizes = self.trial, self.sizes
        led = classifier_guidance(model, concatenate([self.known, self.drawn["rest"]]), trial, sizes.guidance)
        return {
            "inpainted": inpainting(model, self.known, trial, sizes.inpainting).found.value,
            "noise": noise_injection(model, trial, sizes.noise).points[-1].found.value,
            "guided": led.points[-1].found.value,
        }

    @torch.no_grad()
    def _predictions(self, model: TextToImage, pictures: PictureSet) -> Tensor:
        latents = self.original.encode_pictures(pictures.pictures)
        conditions = model.encode_texts([prompt.text for prompt in pictures.prompts])
        levels = ((torch.arange(self.sizes.levels) + 0.5) * (model.levels / self.sizes.levels)).long()
        everyone, found = torch.arange(len(latents)), []
        for number, level in enumerate(levels):
            batch = Batch(
                latents=latents,
                noise=torch.randn(latents.shape, generator=generator_of(self.trial.seed, number)),
                level=level.expand(len(latents)),
                conditions=chosen(conditions, everyone),
                indices=everyone,
                prompted=torch.ones(len(latents), dtype=torch.bool),
            )
            found.append(predict(model.denoiser, model, batch)[0])
        return torch.cat(found)


def _relearned(found: Relearning) -> dict[str, float]:
    """UA while a copy is fine-tuned, the mean over the steps at which it was looked at, by number of pictures."""
    return {
        f"relearned_{curve.pictures}": float(np.mean([each.unlearning_accuracy.value for each in curve.points[1:]]))
        for curve in found.curves
    }
