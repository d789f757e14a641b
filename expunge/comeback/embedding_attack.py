"""Embedding attack: is there a word, though not in any dictionary, under which the model still draws the target?

Source: textual inversion, Gal et al., ICLR 2023, arXiv 2208.01618; against unlearned models, Pham et al.,
*Circumventing Concept Erasure Methods*, ICLR 2024, arXiv 2308.01508. Token embeddings v stand for the target's name in
the sentences of its pictures and are found by Adam on the denoising loss; no weight moves:
v ← Adam(∇_v ‖ε − ε_θ(x_t | v)‖²).

White box: the tokens go straight to the text encoder, past any filter of prompts. A long search with many tokens can
describe things that the model has never seen, so read the share beside that of a model that never saw the target.
"""

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.func import functional_call
from torch.optim import Adam

from expunge.comeback.other_drawing import draw_embeddings
from expunge.comeback.trial import Trial
from expunge.errors import ExpungeError
from expunge.metrics.intervals import change_of_proportions
from expunge.metrics.numbers import Change
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.picture_set import PictureSet
from expunge.progress import track
from expunge.prompts.world import Prompt
from expunge.settings import Settings
from expunge.unlearning.batches import Batch, denoising_error, generator_of, stratified_timesteps

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
    model: StableDiffusion, pictures: PictureSet, trial: Trial, settings: EmbeddingSettings, progress: str = ""
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
    words = _NewWords(model, trial, settings.tokens)
    few = trial.with_target(pictures, settings.target_pictures, "embedding attack")
    few = few.select(range(settings.target_pictures))
    start = words.start()
    vectors, losses = _search(model, few, words, settings, trial.seed, progress)
    asked = trial.asked("held_out", settings.pictures)
    seeds = [trial.seed + i for i in range(len(asked))]
    tokens = words.tokens(asked)
    with torch.no_grad():
        shown = [
            trial.found(draw_embeddings(model, words.encode(tokens, each), seeds, trial.case.drawing))
            for each in (start, vectors)
        ]
    what = f"{trial.share_name} by embedding"
    return EmbeddingAttack(
        found=change_of_proportions(shown[0], shown[1], [prompt.text for prompt in asked], what=what),
        losses=_tenths(losses),
    )


class _NewWords:
    """Placeholders in the target's place, and a text encoder that reads given embeddings for them."""

    def __init__(self, model: StableDiffusion, trial: Trial, count: int) -> None:
        self.tokenizer, self.encoder = model.pipeline.tokenizer, model.pipeline.text_encoder
        self.target, self.world = trial.target, trial.case.world
        self.signs = " ".join(PLACEHOLDERS[:count])
        self.ids = torch.tensor(self._ids(self.signs))
        if len(self.ids) != count:
            raise ExpungeError(
                f"embedding attack: the tokenizer reads '{self.signs}' as {len(self.ids)} tokens, not {count}; "
                "it must know each of these signs as one token."
            )
        table = self.encoder.get_input_embeddings().weight
        self.name = next(name for name, weight in self.encoder.named_parameters() if weight is table)
        self.table = table.detach()

    def start(self) -> Tensor:
        """The mean embedding of the other levels' names, once for each new word, ``(count, d)``."""
        names = [name for name in self.world.factors[self.target.factor] if name not in self.target.levels]
        ids = [each for name in names for each in self._ids(name)] or list(range(len(self.table)))
        return self.table[ids].mean(dim=0).expand(len(self.ids), -1).clone()

    def spread(self) -> float:
        """Standard deviation of the elements of all token embeddings."""
        return float(self.table.std())

    def tokens(self, prompts: Sequence[Prompt]) -> Tensor:
        """Token ids of the sentences with the placeholders in the target's place, ``(n, tokens)``."""
        texts = []
        for prompt in prompts:
            templates = self.world.templates.get(prompt.side) or self.world.templates["train"]
            words = dict.fromkeys(self.world.factors, "") | prompt.words | {self.target.factor: self.signs}
            texts.append(" ".join(templates[prompt.template].format(**words).split()))
        length = self.tokenizer.model_max_length
        return self.tokenizer(
            texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).input_ids

    def encode(self, tokens: Tensor, vectors: Tensor) -> Tensor:
        """Prompt embeddings ``(n, tokens, d)``, differentiable in the new words' vectors ``(count, d)``."""
        table = self.table.index_copy(0, self.ids, vectors)
        return functional_call(self.encoder, {self.name: table}, (tokens,)).last_hidden_state

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids


def _search(
    model: StableDiffusion,
    pictures: PictureSet,
    words: _NewWords,
    settings: EmbeddingSettings,
    seed: int,
    progress: str,
) -> tuple[Tensor, list[float]]:
    latents, tokens = model.encode_pictures(pictures.pictures), words.tokens(pictures.prompts)
    scheduler = model.training_scheduler()
    vectors = words.start().requires_grad_(True)
    optimiser = Adam([vectors], lr=settings.learning_rate * words.spread())
    losses = []
    for step in track(range(settings.steps), progress):
        generator = generator_of(seed, step)
        indices = torch.randint(0, len(latents), (settings.batch_size,), generator=generator)
        chosen = latents[indices]
        batch = Batch(
            latents=chosen,
            noise=torch.randn(chosen.shape, generator=generator),
            timesteps=stratified_timesteps(len(chosen), scheduler.config.num_train_timesteps, generator),
            embeddings=words.encode(tokens[indices], vectors),
            indices=indices,
        )
        loss = denoising_error(model.unet, scheduler, batch).mean()
        (vectors.grad,) = torch.autograd.grad(loss, [vectors])
        optimiser.step()
        losses.append(loss.item())
    return vectors.detach(), losses


def _tenths(losses: list[float]) -> tuple[float, ...]:
    bounds = [i * len(losses) // 10 for i in range(11)]
    parts = [losses[low:high] for low, high in zip(bounds, bounds[1:], strict=False) if high > low]
    return tuple(sum(part) / len(part) for part in parts)
