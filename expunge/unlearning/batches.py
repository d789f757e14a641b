"""Latents with prompt embeddings, batches balanced over strata, and the denoiser's error on a batch.

Neither an autoencoder nor a text encoder runs inside the loop: both have been run when these sets are
made. What is drawn depends on seed and position alone, so that a run can be resumed anywhere and go on
exactly as it would have.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.objectives import noise_prediction_error


class Denoiser(Protocol):
    """A ``torch.nn.Module`` called as diffusers' ``UNet2DConditionModel`` is."""

    def __call__(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Any:
        """Prediction, ``(b, c, h, w)``, as attribute ``sample`` of the result."""


class NoiseScheduler(Protocol):
    """A diffusers scheduler that can add noise (``DDPMScheduler`` and its like)."""

    # ``Any``, because diffusers annotates timesteps, int64 ``(b,)``, in several ways.
    @property
    def config(self) -> Any:
        """``prediction_type`` and ``num_train_timesteps``."""

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Any) -> Tensor:
        """Noisy latents at the timesteps."""

    def get_velocity(self, sample: Tensor, noise: Tensor, timesteps: Any) -> Tensor:
        """Target of v-prediction."""


@dataclass(frozen=True)
class LatentSet:
    """Encoded pictures with their prompts' embeddings.

    Attributes:
        latents: scaled as the denoiser expects them, ``(n, c, h, w)``.
        prompt_indices: which embedding belongs to each picture, int64 ``(n,)``.
        embeddings: one for each distinct prompt, ``(m, tokens, d)``.
        strata: what the set is balanced over, n names.
        anchor_indices: which embedding is that of the same sentence without the target, int64 ``(n,)``; None
            where no such sentences are known.
        empty: embedding of the empty prompt, ``(tokens, d)``; None where it is not known.
    """

    latents: Tensor
    prompt_indices: Tensor
    embeddings: Tensor
    strata: list[str]
    anchor_indices: Tensor | None = None
    empty: Tensor | None = None

    def __post_init__(self) -> None:
        count = len(self.latents)
        if count == 0 or not count == len(self.prompt_indices) == len(self.strata):
            raise ValueError(
                f"{count} latents, {len(self.prompt_indices)} prompt indices and {len(self.strata)} strata: "
                "must be equally many, and at least one"
            )
        if self.latents.dim() != 4 or self.embeddings.dim() != 3:
            raise ValueError(
                f"latents are {tuple(self.latents.shape)} and embeddings {tuple(self.embeddings.shape)}: "
                "must be (n, c, h, w) and (m, tokens, d)"
            )
        for name, indices in (("prompt", self.prompt_indices), ("anchor", self.anchor_indices)):
            if indices is None:
                continue
            if len(indices) != count:
                raise ValueError(f"{count} latents and {len(indices)} {name} indices: must be equally many")
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= len(self.embeddings):
                raise ValueError(f"{name} indices run from {low} to {high}: must be 0–{len(self.embeddings) - 1}")
        if self.empty is not None and self.empty.shape != self.embeddings.shape[1:]:
            raise ValueError(
                f"the empty prompt's embedding is {tuple(self.empty.shape)}: "
                f"must be {tuple(self.embeddings.shape[1:])}, as the others are"
            )

    def __len__(self) -> int:
        return len(self.latents)

    def digest(self) -> str:
        """SHA-256 over latents, embeddings, their indices, the empty prompt's embedding and the strata."""
        digest = hashlib.sha256("\n".join(self.strata).encode())
        for tensor in (self.latents, self.prompt_indices, self.embeddings, self.anchor_indices, self.empty):
            if tensor is None:
                digest.update(b"none")
                continue
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Batch:
    """What the denoiser is asked about.

    Attributes:
        latents: ``(b, c, h, w)``.
        noise: standard normal, of the same shape.
        timesteps: int64 ``(b,)``.
        embeddings: ``(b, tokens, d)``.
        indices: which members of the set these are, int64 ``(b,)``.
        anchors: embeddings of the same sentences without the target, ``(b, tokens, d)``; None if not known.
        empty: embedding of the empty prompt, ``(tokens, d)``; None if not known.
    """

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    embeddings: Tensor
    indices: Tensor
    anchors: Tensor | None = None
    empty: Tensor | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        """The batch on a device; latents, noise and embeddings in a dtype."""
        return Batch(
            self.latents.to(device, dtype),
            self.noise.to(device, dtype),
            self.timesteps.to(device),
            self.embeddings.to(device, dtype),
            self.indices,
            None if self.anchors is None else self.anchors.to(device, dtype),
            None if self.empty is None else self.empty.to(device, dtype),
        )

    def under_anchors(self) -> "Batch":
        """The same pictures and noise under the same sentences without the target.

        Raises:
            ExpungeError: they are not known.
        """
        return replace(self, embeddings=present(self.anchors, ANCHORS_MISSING))

    def under_empty_prompt(self) -> "Batch":
        """The same pictures and noise under the empty prompt.

        Raises:
            ExpungeError: its embedding is not known.
        """
        return replace(self, embeddings=present(self.empty, EMPTY_MISSING).expand_as(self.embeddings))


ANCHORS_MISSING = (
    "forget set: has no paired sentences without the target, which this method needs; make the set with "
    "diversify_datasets, give every prompt its 'paired' sentence, or choose another method"
)
EMPTY_MISSING = (
    "latents: the set has no embedding of the empty prompt, which is needed here; make the set with "
    "expunge.unlearning.encoding.encode, or give it 'empty'"
)


def present(tensor: Tensor | None, missing: str) -> Tensor:
    """The tensor.

    Raises:
        ExpungeError: it is None; the message is ``missing``.
    """
    if tensor is None:
        raise ExpungeError(missing)
    return tensor


def stratified_timesteps(count: int, timesteps: int, generator: torch.Generator) -> Tensor:
    """One timestep from each of ``count`` equal slices of 0 … timesteps − 1, shuffled; int64 ``(count,)``.

    Each alone is uniform over the range, as an independent draw would be; their mean varies far less.
    """
    within = torch.rand(count, generator=generator, dtype=torch.float64)
    drawn = ((torch.arange(count) + within) * (timesteps / count)).long().clamp(max=timesteps - 1)
    return drawn[torch.randperm(count, generator=generator)]


def empties_of(count: int, empty_share: float) -> int:
    """How many pictures of a batch, its first ones, stand under the empty prompt."""
    return round(empty_share * count)


def draw_batch(
    data: LatentSet,
    indices: Tensor,
    timesteps: int,
    generator: torch.Generator,
    empty_share: float = 0.0,
) -> Batch:
    """The members at ``indices`` with fresh noise and stratified timesteps from a CPU generator.

    Args:
        data: the set.
        indices: int64 ``(b,)``.
        timesteps: of the scheduler's training range.
        generator: on the CPU.
        empty_share: share of the batch, 0–1, that stands under the empty prompt, as in training for classifier-free
            guidance (Ho & Salimans 2022, arXiv 2207.12598).

    Raises:
        ExpungeError: a share is wanted and the empty prompt's embedding is not known.
    """
    latents = data.latents[indices]
    embeddings = data.embeddings[data.prompt_indices[indices]]
    if empties := empties_of(len(indices), empty_share):
        embeddings[:empties] = present(data.empty, EMPTY_MISSING)
    return Batch(
        latents=latents,
        noise=torch.randn(latents.shape, generator=generator, dtype=latents.dtype),
        timesteps=stratified_timesteps(len(indices), timesteps, generator),
        embeddings=embeddings,
        indices=indices,
        anchors=None if data.anchor_indices is None else data.embeddings[data.anchor_indices[indices]],
        empty=data.empty,
    )


class StratifiedSampler:
    """Balanced draws: strata take turns in a new random order each round, members of a stratum likewise.

    Position p of the endless sequence is a function of seed and p alone. Any stretch of ``sum of strata``
    draws holds every stratum equally often, give or take one.

    Args:
        strata: one name for each member.
        batch_size: members a batch, ≥ 1.
        seed: of the order.
    """

    def __init__(self, strata: list[str], batch_size: int, seed: int) -> None:
        if batch_size < 1 or not strata:
            raise ValueError(f"batch size {batch_size} of {len(strata)} members: both must be at least 1")
        self.batch_size, self.seed = batch_size, seed
        self.members = [[i for i, s in enumerate(strata) if s == name] for name in sorted(set(strata))]

    def batch(self, number: int) -> Tensor:
        """Members of batch ``number`` (0, 1, …), int64 ``(batch_size,)``."""
        first = number * self.batch_size
        return torch.tensor([self._at(p) for p in range(first, first + self.batch_size)])

    def batches_to_cover(self) -> int:
        """How many batches it takes to see every member at least once."""
        return -(-len(self.members) * max(map(len, self.members)) // self.batch_size)

    def _at(self, position: int) -> int:
        turn, slot = divmod(position, len(self.members))
        stratum = int(self._order(len(self.members), turn, 0)[slot])
        members = self.members[stratum]
        epoch, visit = divmod(turn, len(members))
        return members[int(self._order(len(members), epoch, 1 + stratum)[visit])]

    def _order(self, count: int, turn: int, stream: int) -> Tensor:
        return torch.randperm(count, generator=generator_of(self.seed, turn, stream))


def generator_of(*numbers: int) -> torch.Generator:
    """A CPU generator seeded by all the numbers together: nearby seeds give unrelated streams."""
    digest = hashlib.sha256(",".join(map(str, numbers)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))


def predict(unet: Denoiser, scheduler: NoiseScheduler, batch: Batch) -> tuple[Tensor, Tensor]:
    """The denoiser's prediction and its target, both ``(b, c, h, w)``.

    Raises:
        ValueError: the scheduler's prediction type is neither epsilon nor v_prediction.
    """
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        raise ValueError(f"the scheduler's prediction type is {kind!r}: must be 'epsilon' or 'v_prediction'")
    noisy = scheduler.add_noise(batch.latents, batch.noise, batch.timesteps)
    target = batch.noise if kind == "epsilon" else scheduler.get_velocity(batch.latents, batch.noise, batch.timesteps)
    return unet(noisy, batch.timesteps, encoder_hidden_states=batch.embeddings).sample, target


def denoising_error(unet: Denoiser, scheduler: NoiseScheduler, batch: Batch) -> Tensor:
    """Squared error of each element, ``(b, c, h, w)``, for epsilon- and v-prediction alike."""
    return noise_prediction_error(*predict(unet, scheduler, batch))
