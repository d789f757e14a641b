"""Embedding attack: is there a word, though not in any dictionary, under which the model still draws the target?

Source: textual inversion, Gal et al., ICLR 2023, arXiv 2208.01618; against unlearned models, Pham et al.,
*Circumventing Concept Erasure Methods*, ICLR 2024, arXiv 2308.01508. Token embeddings v stand for the target's name in
the sentences of its pictures and are found by Adam on the denoising loss; no weight moves:
v ← Adam(∇_v ‖ε − ε_θ(x_t | v)‖²).

White box: the tokens go straight to the text encoder, past any filter of prompts. A long search with many tokens can
describe things that the model has never seen, so read the share beside that of a model that never saw the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.optim import Adam

from expunge.comeback.trial import Trial
from expunge.metrics.intervals import change_of_proportions
from expunge.metrics.numbers import Change
from expunge.models.text_to_image import NewWords, TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.progress import track
from expunge.prompts.world import Prompt
from expunge.settings import Settings
from expunge.unlearning.batches import Batch, denoising_error, generator_of, stratified_levels

PLACEHOLDERS = "~^`|"  # signs that no sentence holds; their embeddings are what is searched


class EmbeddingSettings(Settings):
    """How long is searched, and with how many tokens."""

    tokens: int = Field(default=1, ge=1, le=len(PLACEHOLDERS), description="token embeddings; more say more")
    steps: int = Field(default=150, ge=0, le=1_000_000)
    batch_size: int = Field(default=8, ge=1, le=4096)
    learning_rate: float = Field(default=0.02, gt=0, le=10, description="in units of a typical token's spread")
    target_pictures: int = Field(default=20, ge=1, le=100_000, description="pictures that are attacked with")
    pictures: int = Field(default=40, ge=2, le=100_000, description="drawn with what was found")


class EmbeddingAttack(BaseModel):
    """What the search found.

    Attributes:
        found: share of pictures with the target, 0–1: ``before`` with the starting embedding, the mean of the other
            levels' names, ``after`` with the one that was found, on the same prompts and seeds.
        losses: mean denoising loss of each tenth of the search, squared noise units.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    found: Change
    losses: tuple[float, ...]


def embedding_attack(
    model: TextToImage, pictures: PictureSet, trial: Trial, settings: EmbeddingSettings, progress: str = ""
) -> EmbeddingAttack:
    """Search for token embeddings that draw the target, and draw with them. The given model is left as it is.

    Args:
        model: the unlearned model.
        pictures: the original model's; the first ones that ask for the target are attacked with.
        trial: what was forgotten, and how pictures are drawn and judged.
        settings: length of the search.
        progress: label of the progress bar; none if empty.

    Raises:
        ExpungeError: fewer pictures than asked for, or a tokenizer that cuts the placeholders to pieces.
    """
    signs = PLACEHOLDERS[: settings.tokens]
    words = model.new_words(list(signs))
    few = trial.with_target(pictures, settings.target_pictures, "embedding attack")
    few = few.select(range(settings.target_pictures))
    levels = trial.case.world.factors[trial.target.factor]
    start = words.start([name for name in levels if name not in trial.target.levels])
    texts = _with_signs(few.prompts, trial, " ".join(signs))
    shown = _Shown(model.encode_pictures(few.pictures), texts, words)
    vectors, losses = _search(model, shown, start, settings, trial.seed, progress)
    asked = trial.asked("held_out", settings.pictures)
    seeds = [trial.seed + i for i in range(len(asked))]
    texts, how = _with_signs(asked, trial, " ".join(signs)), trial.case.drawing.how()
    with torch.no_grad():
        found = [
            trial.found(model.draw_conditions(words.encode(texts, each), seeds, **how)) for each in (start, vectors)
        ]
    what = f"{trial.share_name} by embedding"
    return EmbeddingAttack(
        found=change_of_proportions(found[0], found[1], [prompt.text for prompt in asked], what=what),
        losses=_tenths(losses),
    )


def _with_signs(prompts: Sequence[Prompt], trial: Trial, signs: str) -> list[str]:
    """The sentences with the signs in the target's place."""
    world, factor = trial.case.world, trial.target.factor
    return [world.reworded(prompt, factor, signs).text for prompt in prompts]


@dataclass(frozen=True)
class _Shown:
    """What is searched with: latents of pictures, their sentences with the signs, and what the signs stand for."""

    latents: Tensor
    texts: list[str]
    words: NewWords


def _search(
    model: TextToImage,
    shown: "_Shown",
    start: Tensor,
    settings: EmbeddingSettings,
    seed: int,
    progress: str,
) -> tuple[Tensor, list[float]]:
    vectors = start.clone().requires_grad_(True)
    optimiser = Adam([vectors], lr=settings.learning_rate * shown.words.spread)
    losses = []
    for step in track(range(settings.steps), progress):
        generator = generator_of(seed, step)
        indices = torch.randint(0, len(shown.texts), (settings.batch_size,), generator=generator)
        noise = torch.randn(shown.latents[indices].shape, generator=generator)
        batch = Batch(
            latents=shown.latents[indices],
            noise=noise,
            level=stratified_levels(len(indices), model.levels, generator),
            conditions=shown.words.encode([shown.texts[i] for i in indices.tolist()], vectors),
            indices=indices,
            prompted=torch.ones(len(indices), dtype=torch.bool),
        )
        loss = denoising_error(model.denoiser, model, batch.to(model.device, model.dtype)).mean()
        (vectors.grad,) = torch.autograd.grad(loss, [vectors])
        optimiser.step()
        losses.append(loss.item())
    return vectors.detach(), losses


def _tenths(losses: list[float]) -> tuple[float, ...]:
    bounds = [i * len(losses) // 10 for i in range(11)]
    parts = [losses[low:high] for low, high in zip(bounds, bounds[1:], strict=False) if high > low]
    return tuple(sum(part) / len(part) for part in parts)
