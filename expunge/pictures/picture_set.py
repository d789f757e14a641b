"""Pictures with the prompts and seeds they were drawn from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from expunge.prompts.world import Prompt


@dataclass(frozen=True)
class PictureSet:
    """``n`` pictures, each with its own prompt and seed.

    Attributes:
        prompts: n prompts.
        seeds: n seeds of the initial noise.
        pictures: RGB, uint8, ``(n, h, w, 3)``.
    """

    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    pictures: np.ndarray

    def __post_init__(self) -> None:
        if not (len(self.prompts) == len(self.seeds) == len(self.pictures)):
            raise ValueError(
                f"{len(self.prompts)} prompts, {len(self.seeds)} seeds and {len(self.pictures)} pictures: must be equal"
            )
        if self.pictures.dtype != np.uint8 or self.pictures.ndim != 4 or self.pictures.shape[3] != 3:
            raise ValueError(f"pictures are {self.pictures.dtype} {self.pictures.shape}: must be uint8 (n, h, w, 3)")

    def __len__(self) -> int:
        return len(self.prompts)

    def select(self, indices: Sequence[int]) -> "PictureSet":
        """The pictures at ``indices``, in that order."""
        return PictureSet(
            tuple(self.prompts[i] for i in indices),
            tuple(self.seeds[i] for i in indices),
            self.pictures[np.asarray(indices, dtype=np.int64)],
        )

    def where(self, keep) -> "PictureSet":
        """The pictures whose prompt satisfies ``keep(prompt)``."""
        return self.select([i for i, prompt in enumerate(self.prompts) if keep(prompt)])

    def digest(self) -> str:
        """SHA-256 over prompts, seeds and pixels."""
        digest = hashlib.sha256()
        for prompt, seed in zip(self.prompts, self.seeds, strict=True):
            digest.update(f"{prompt.model_dump_json()}\n{seed}\n".encode())
        digest.update(str(self.pictures.shape).encode())
        digest.update(np.ascontiguousarray(self.pictures).tobytes())
        return digest.hexdigest()


def concatenate(sets: Sequence[PictureSet]) -> PictureSet:
    """One set after the other. Pictures must be of one size."""
    return PictureSet(
        tuple(prompt for each in sets for prompt in each.prompts),
        tuple(seed for each in sets for seed in each.seeds),
        np.concatenate([each.pictures for each in sets]),
    )
