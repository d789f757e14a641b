"""Classifier guidance: can a model that no longer draws the target be led to it by somebody who knows how it looks?

Source: the classifier-guided probe of arXiv 2505.17013, *When Are Concepts Erased From Diffusion Models?*, after
Dhariwal and Nichol, *Diffusion Models Beat GANs on Image Synthesis*, NeurIPS 2021, arXiv 2105.05233. A small classifier
learns to tell noised target pictures from others; at every step the picture x₀ moves along the gradient g of its
log p(target | x), x₀ ← x₀ + s ‖x₀‖ g / ‖g‖, and the noise so that the step stays where it is.

The knowledge may come from the classifier alone: read the share beside that of a model that never saw the target.
"""

from itertools import pairwise

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim import Adam

from expunge.comeback.shares import Shares
from expunge.comeback.steered_drawing import Seen, draw_steered
from expunge.comeback.trial import Trial
from expunge.metrics.numbers import Interval
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.progress import track
from expunge.settings import Settings
from expunge.unlearning.batches import generator_of, stratified_levels

WIDTH, RATE = 48, 2e-3


class GuidanceSettings(Settings):
    """How the classifier is trained, and how far it leads."""

    scales: Shares = Field(default=(0.1, 0.3), description="s, of the picture's norm a step")
    training_steps: int = Field(default=300, ge=1, le=100_000)
    batch_size: int = Field(default=32, ge=2, le=4096)
    pictures: int = Field(default=40, ge=2, le=100_000, description="drawn for each scale")


class GuidancePoint(BaseModel):
    """Share of pictures in which the target is found, at one scale.

    Attributes:
        scale: s.
        found: 0–1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    scale: float
    found: Interval


class ClassifierGuidance(BaseModel):
    """One point for each scale.

    Attributes:
        accuracy: share of noised pictures that the classifier told right in the last tenth of its training, 0–1; at a
            half there was nothing to follow.
        points: likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    accuracy: float
    points: tuple[GuidancePoint, ...]


def classifier_guidance(
    model: TextToImage, pictures: PictureSet, trial: Trial, settings: GuidanceSettings, progress: str = ""
) -> ClassifierGuidance:
    """Ask for the target, led by a classifier. The model is left as it is.

    Args:
        model: the unlearned model.
        pictures: the original model's, with the target and without, that the classifier learns from.
        trial: what was forgotten, and how pictures are drawn and judged.
        settings: training, scales and number of pictures.
        progress: label of the progress bar; none if empty.

    Raises:
        ExpungeError: fewer than two pictures with the target or without.
    """
    shown = [
        model.encode_pictures(kind(pictures, 2, "classifier guidance").pictures)
        for kind in (trial.without_target, trial.with_target)
    ]
    classifier, accuracy = _trained(model, shown, settings, trial.seed)
    asked = trial.asked("held_out", settings.pictures)
    texts, seeds = [prompt.text for prompt in asked], [trial.seed + i for i in range(len(asked))]
    points = []
    for scale in track(settings.scales, progress):
        drawn = draw_steered(model, texts, seeds, trial.case.drawing, _Led(model, classifier, scale))
        found = trial.share(PictureSet(tuple(asked), tuple(seeds), drawn))
        points.append(GuidancePoint(scale=scale, found=found))
    return ClassifierGuidance(accuracy=accuracy, points=tuple(points))


class _Classifier(nn.Module):
    """Of noised latents: the logarithm of the odds that they are the target's, ``(b,)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels + 1, WIDTH, WIDTH, WIDTH)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.last = nn.Linear(WIDTH, 1)

    def forward(self, noisy: Tensor, level: Tensor) -> Tensor:
        """``level`` 0–1, ``(b,)``; it is one more channel."""
        found = torch.cat([noisy, level.view(-1, 1, 1, 1).expand(-1, 1, *noisy.shape[2:])], dim=1)
        for layer in self.layers:
            found = nn.functional.silu(layer(found))
        return self.last(found.mean(dim=(2, 3)))[:, 0]


def _trained(
    model: TextToImage, shown: list[Tensor], settings: GuidanceSettings, seed: int
) -> tuple[_Classifier, float]:
    """On as many of each kind, at all levels of noise; and how often it was right in the end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = _Classifier(shown[0].shape[1]).to(model.device)
    optimiser, right = Adam(classifier.parameters(), lr=RATE), []
    half = settings.batch_size // 2
    answers = torch.tensor([0.0] * half + [1.0] * half, device=model.device)
    for step in range(settings.training_steps):
        generator = generator_of(seed, step)
        few = torch.cat([each[torch.randint(0, len(each), (half,), generator=generator)] for each in shown])
        noise = torch.randn(few.shape, generator=generator)
        level = torch.cat([stratified_levels(half, model.levels, generator) for _ in shown])
        noisy = model.noisy(few, noise, level).to(model.device)
        odds = classifier(noisy, (level / model.levels).to(model.device))
        optimiser.zero_grad(set_to_none=True)
        nn.functional.binary_cross_entropy_with_logits(odds, answers).backward()
        optimiser.step()
        right.append(((odds > 0) == (answers > 0)).float().mean().item())
    last = right[-max(1, len(right) // 10) :]
    return classifier.eval().requires_grad_(False), sum(last) / len(last)


class _Led:
    def __init__(self, model: TextToImage, classifier: _Classifier, scale: float) -> None:
        self.model, self.classifier, self.scale = model, classifier, scale

    def __call__(self, seen: Seen) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            noisy = seen.noisy.detach().requires_grad_(True)
            likely = nn.functional.logsigmoid(self.classifier(noisy, seen.level / self.model.levels))
            (gradient,) = torch.autograd.grad(likely.sum(), [noisy])
        away = gradient / _norm(gradient).clamp_min(1e-12)
        picture = seen.picture + self.scale * _norm(seen.picture) * away
        # As much noise as keeps a x₀ + b ε where it is.
        nothing = torch.zeros_like(picture)
        moved = self.model.noisy(picture - seen.picture, nothing, seen.level)
        amount = self.model.noisy(nothing, torch.ones_like(picture), seen.level)
        return picture, seen.noise - moved / amount


def _norm(each: Tensor) -> Tensor:
    """Of each picture, ``(b, 1, 1, 1)``."""
    return each.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
