"""Latents with prompts as conditions, batches balanced over strata, and the denoiser's error on a batch.

Neither an autoencoder nor a text encoder runs inside the loop: both have been run when these sets are
made. What is drawn depends on seed and position alone, so that a run can be resumed anywhere and go on
exactly as it would have.
"""

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from expunge.errors import present
from expunge.models.conditions import Conditions, cast, chosen
from expunge.models.hardware import computing
from expunge.models.noise_process import NoiseProcess
from expunge.unlearning.objectives import noise_prediction_error


@dataclass(frozen=True)
class LatentSet:
    """Encoded pictures with their prompts as conditions.

    Attributes:
        latents: scaled as the denoiser expects them, ``(n, c, h, w)``.
        prompt_indices: which prompt belongs to each picture, int64 ``(n,)``.
        conditions: of the distinct prompts, each ``(m, …)``.
        strata: what the set is balanced over, n names.
        anchor_indices: which prompt is the same sentence without the target, int64 ``(n,)``; None where no such
            sentences are known.
        empty: conditions of the empty prompt, each ``(1, …)``; None where they are not known.
        shows_target: which pictures show what their prompts ask for, bool ``(n,)``; the others show what is to be drawn
            in its place. None: all do.
    """

    latents: Tensor
    prompt_indices: Tensor
    conditions: Conditions
    strata: list[str]
    anchor_indices: Tensor | None = None
    empty: Conditions | None = None
    shows_target: Tensor | None = None

    def __post_init__(self) -> None:
        count = len(self.latents)
        if count == 0 or not count == len(self.prompt_indices) == len(self.strata):
            raise ValueError(
                f"{count} latents, {len(self.prompt_indices)} prompt indices and {len(self.strata)} strata: "
                "must be equally many, and at least one"
            )
        counts = {len(tensor) for tensor in self.conditions.values()}
        if self.latents.dim() != 4 or len(counts) != 1:
            raise ValueError(
                f"latents are {tuple(self.latents.shape)} and conditions {_shapes(self.conditions)}: "
                "must be (n, c, h, w), and (m, …) each"
            )
        (prompts,) = counts
        for name, indices in (("prompt", self.prompt_indices), ("anchor", self.anchor_indices)):
            if indices is None:
                continue
            if len(indices) != count:
                raise ValueError(f"{count} latents and {len(indices)} {name} indices: must be equally many")
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= prompts:
                raise ValueError(f"{name} indices run from {low} to {high}: must be 0–{prompts - 1}")
        if self.shows_target is not None and self.shows_target.shape != (count,):
            raise ValueError(f"shows_target is {tuple(self.shows_target.shape)}: must be ({count},)")
        wanted = _shapes(chosen(self.conditions, torch.tensor([0])))
        if self.empty is not None and _shapes(self.empty) != wanted:
            raise ValueError(f"the empty prompt's conditions are {_shapes(self.empty)}: must be {wanted}")

    def __len__(self) -> int:
        return len(self.latents)

    def digest(self) -> str:
        """SHA-256 over latents, what they show, conditions, indices, the empty prompt's conditions and the strata."""
        digest = hashlib.sha256("\n".join(self.strata).encode())
        parts = {
            "latents": self.latents,
            "prompts": self.prompt_indices,
            "anchors": self.anchor_indices,
            "shows_target": self.shows_target,
        }
        for prefix, conditions in (("conditions", self.conditions), ("empty", self.empty or {})):
            parts |= {f"{prefix}/{name}": conditions[name] for name in sorted(conditions)}
        for name, tensor in parts.items():
            if tensor is None:
                digest.update(f"{name} none".encode())
                continue
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class LatentSets:
    """What is to be forgotten and what is to be retained."""

    forget: LatentSet
    retain: LatentSet


def _shapes(conditions: Conditions) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in conditions.items()}


@dataclass(frozen=True)
class Batch:
    """What the denoiser is asked about.

    Attributes:
        latents: ``(b, c, h, w)``.
        noise: standard normal, of the same shape.
        level: of noise, int64 ``(b,)``.
        conditions: each ``(b, …)``.
        indices: which members of the set these are, int64 ``(b,)``.
        prompted: which of them stand under their own prompts, and not under the empty one, bool ``(b,)``.
        anchors: conditions of the same sentences without the target, each ``(b, …)``; None if not known.
        empty: conditions of the empty prompt, each ``(1, …)``; None if not known.
        shows_target: which pictures show what their prompts ask for, bool ``(b,)``; None: all do.
    """

    latents: Tensor
    noise: Tensor
    level: Tensor
    conditions: Conditions
    indices: Tensor
    prompted: Tensor
    anchors: Conditions | None = None
    empty: Conditions | None = None
    shows_target: Tensor | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        """The batch on a device; latents, noise and conditions in a dtype."""
        return Batch(
            self.latents.to(device, dtype),
            self.noise.to(device, dtype),
            self.level.to(device),
            cast(self.conditions, device, dtype),
            self.indices,
            self.prompted,
            None if self.anchors is None else cast(self.anchors, device, dtype),
            None if self.empty is None else cast(self.empty, device, dtype),
            self.shows_target,
        )

    def members(self, part: slice) -> "Batch":
        """Some of its pictures, with their noise and conditions."""
        own = {name: getattr(self, name)[part] for name in ("latents", "noise", "level", "indices", "prompted")}
        conditions = {name: each[part] for name, each in self.conditions.items()}
        anchors = self.anchors and {name: each[part] for name, each in self.anchors.items()}
        shown = None if self.shows_target is None else self.shows_target[part]
        return replace(self, **own, conditions=conditions, anchors=anchors, shows_target=shown)

    def under_anchors(self) -> "Batch":
        """The same pictures and noise under the same sentences without the target.

        Raises:
            ExpungeError: they are not known.
        """
        return replace(self, conditions=present(self.anchors, ANCHORS_MISSING))

    def under_empty_prompt(self) -> "Batch":
        """The same pictures and noise under the empty prompt.

        Raises:
            ExpungeError: its conditions are not known.
        """
        empty = present(self.empty, EMPTY_MISSING)
        return replace(self, conditions={name: empty[name].expand_as(each) for name, each in self.conditions.items()})


ANCHORS_MISSING = (
    "forget set: has no paired sentences without the target, which this method needs; make the set with "
    "diversify_datasets, give every prompt its 'paired' sentence, or choose another method"
)
EMPTY_MISSING = (
    "latents: the set has no conditions of the empty prompt, which are needed here; make the set with "
    "expunge.unlearning.encoding.encode, or give it 'empty'"
)


def stratified_levels(count: int, levels: int, generator: torch.Generator) -> Tensor:
    """One noise level from each of ``count`` equal slices of 0 … levels − 1, shuffled; int64 ``(count,)``.

    Each alone is uniform over the range, as an independent draw would be; their mean varies far less.
    """
    within = torch.rand(count, generator=generator, dtype=torch.float64)
    drawn = ((torch.arange(count) + within) * (levels / count)).long().clamp(max=levels - 1)
    return drawn[torch.randperm(count, generator=generator)]


def draw_batch(
    data: LatentSet,
    indices: Tensor,
    levels: int,
    generator: torch.Generator,
    empty_share: float = 0.0,
) -> Batch:
    """The members at ``indices`` with fresh noise and stratified noise levels from a CPU generator.

    Args:
        data: the set.
        indices: int64 ``(b,)``.
        levels: of the noise process.
        generator: on the CPU.
        empty_share: share of the batch, 0–1, its first members, that stands under the empty prompt, as in training for
            classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598).

    Raises:
        ExpungeError: a share is wanted and the empty prompt's conditions are not known.
    """
    latents = data.latents[indices]
    sentences = {
        name: chosen(data.conditions, of[indices])
        for name, of in (("prompts", data.prompt_indices), ("anchors", data.anchor_indices))
        if of is not None
    }
    prompted = torch.arange(len(indices)) >= round(empty_share * len(indices))
    if not prompted.all():
        for name, empty in present(data.empty, EMPTY_MISSING).items():
            for conditions in sentences.values():
                conditions[name][~prompted] = empty
    return Batch(
        latents=latents,
        noise=torch.randn(latents.shape, generator=generator, dtype=latents.dtype),
        level=stratified_levels(len(indices), levels, generator),
        conditions=sentences["prompts"],
        indices=indices,
        prompted=prompted,
        anchors=sentences.get("anchors"),
        empty=data.empty,
        shows_target=None if data.shows_target is None else data.shows_target[indices],
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


def predict(denoiser: nn.Module, process: NoiseProcess, batch: Batch) -> tuple[Tensor, Tensor]:
    """The denoiser's prediction and its target, both ``(b, c, h, w)``."""
    noisy = process.noisy(batch.latents, batch.noise, batch.level)
    with computing(process.precision, noisy.device):
        prediction = process.predict(denoiser, noisy, batch.level, batch.conditions).to(noisy.dtype)
    return prediction, process.target(batch.latents, batch.noise, batch.level)


def denoising_error(denoiser: nn.Module, process: NoiseProcess, batch: Batch) -> Tensor:
    """Squared error of each element, ``(b, c, h, w)``, whatever is predicted."""
    return noise_prediction_error(*predict(denoiser, process, batch))
