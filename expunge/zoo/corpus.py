"""A pool of augmented pictures with their labels, from which all parts of the zoo draw their batches."""

import random
from dataclasses import dataclass

import torch

from expunge.zoo.emoji_world import EmojiWorld
from expunge.zoo.icons import augment

WHITE_SHARE = 0.4  # of all pictures; the other backgrounds share the rest evenly


@dataclass(frozen=True)
class Corpus:
    """``n`` augmented pictures and what they show.

    Attributes:
        pictures: RGB, uint8, ``(n, 3, size, size)``.
        subjects, styles, backgrounds: class indices in the world's order, int64 ``(n,)``.
        world: the names behind the indices.
    """

    pictures: torch.Tensor
    subjects: torch.Tensor
    styles: torch.Tensor
    backgrounds: torch.Tensor
    world: EmojiWorld

    def __len__(self) -> int:
        return len(self.pictures)

    def inputs(self, indices: torch.Tensor) -> torch.Tensor:
        """Pictures as networks take them: float32 in −1–1, ``(n, 3, size, size)``."""
        return self.pictures[indices].float() / 127.5 - 1

    def captions(self, indices: torch.Tensor, rng: random.Random) -> list[str]:
        """A fresh random caption for each picture."""
        subjects, styles, backgrounds = list(self.world.subjects), list(self.world.styles), list(self.world.backgrounds)
        return [
            self.world.caption(
                subjects[self.subjects[i]], styles[self.styles[i]], backgrounds[self.backgrounds[i]], rng
            )
            for i in indices.tolist()
        ]

    def one_of_each(self, generator: torch.Generator, count: int) -> torch.Tensor:
        """Indices of ``count`` pictures of different drawings, for contrastive batches."""
        drawings = len(self.world.subjects) * len(self.world.styles)
        rounds = len(self) // drawings
        chosen = torch.randperm(drawings, generator=generator)[:count]
        return chosen + drawings * torch.randint(0, rounds, (len(chosen),), generator=generator)


def make_corpus(world: EmojiWorld, drawings: torch.Tensor, rounds: int, size: int, seed: int) -> Corpus:
    """Augment every drawing ``rounds`` times.

    Args:
        world: names and backgrounds.
        drawings: premultiplied RGBA ``(subjects, styles, 4, s, s)`` in 0–1, as ``render_drawings`` gives.
        rounds: augmentations of each drawing.
        size: side in pixels.
        seed: another seed gives other augmentations, e.g. held-out ones.
    """
    generator = torch.Generator().manual_seed(seed)
    colours = torch.tensor([background.rgb for background in world.backgrounds.values()]) / 255
    shares = torch.full((len(colours),), (1 - WHITE_SHARE) / (len(colours) - 1))
    shares[list(world.backgrounds).index("white")] = WHITE_SHARE
    subjects, styles = drawings.shape[:2]
    flat = drawings.flatten(0, 1)
    pictures, backgrounds = [], []
    for _ in range(rounds):
        chosen = torch.multinomial(shares, len(flat), replacement=True, generator=generator)
        drawn = augment(flat, colours[chosen], size, generator)
        pictures.append(((drawn + 1) * 127.5).round().to(torch.uint8))
        backgrounds.append(chosen)
    return Corpus(
        pictures=torch.cat(pictures),
        subjects=torch.arange(subjects).repeat_interleave(styles).repeat(rounds),
        styles=torch.arange(styles).repeat(subjects).repeat(rounds),
        backgrounds=torch.cat(backgrounds),
        world=world,
    )
