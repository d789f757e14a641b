"""The zoo's independent classifiers: small convolutional nets that share nothing with the model or with its CLIP judge.

Each has one class more than its factor has levels: ``none``. It is trained on pictures that show nothing in
particular (blends, shuffled patches, smears, plain colour, textures), so that a broken picture counts neither as the
target nor as a rightly drawn neighbour. Without it, four styles would give every smudge a one-in-four chance of being
the target.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from expunge.judges.protocols import NOTHING
from expunge.models.hashing import module_digest
from expunge.models.loading import LOADING
from expunge.zoo.training import Progress, Schedule, fit

NONE = NOTHING


def make_network(classes: int, width: int = 24) -> nn.Sequential:
    """Five strided convolutions and a linear layer: ``(n, 3, 64, 64)`` in −1–1 to ``(n, classes)`` logits."""
    layers: list[nn.Module] = []
    channels = 3
    for wide in (width, 2 * width, 3 * width, 4 * width):
        layers += [nn.Conv2d(channels, wide, 3, stride=2, padding=1), nn.BatchNorm2d(wide), nn.ReLU()]
        layers += [nn.Conv2d(wide, wide, 3, padding=1, groups=wide), nn.BatchNorm2d(wide), nn.ReLU()]
        channels = wide
    layers += [nn.Conv2d(channels, channels, 4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


class FactorClassifier:
    """Recognises the level of one factor, e.g. which ``subject`` a picture shows, or ``none``."""

    def __init__(self, factor: str, levels: tuple[str, ...], network: nn.Sequential, batch_size: int = 256) -> None:
        self.factor = factor
        self.levels = levels
        self.network = network.eval().requires_grad_(False)
        self._batch_size = batch_size

    @torch.no_grad()
    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """Class probabilities of uint8 pictures ``(n, 64, 64, 3)``: float32 ``(n, levels + 1)``, ``none`` last.

        Raises:
            ValueError: the pictures are not 64×64.
        """
        if pictures.shape[1:] != (64, 64, 3):
            raise ValueError(f"pictures are {pictures.shape[1:]}: the zoo's classifiers take (64, 64, 3)")
        found = []
        for start in range(0, len(pictures), self._batch_size):
            batch = torch.from_numpy(pictures[start : start + self._batch_size]).permute(0, 3, 1, 2).float()
            found.append(self.network(batch / 127.5 - 1).softmax(dim=1).numpy())
        return np.concatenate(found) if found else np.zeros((0, len(self.levels) + 1), np.float32)

    def digest(self) -> str:
        """SHA-256 of its weights and levels."""
        return module_digest(self.network, self.factor, *self.levels)

    def recognise(self, pictures: np.ndarray) -> list[str]:
        """The most probable level for each picture, or ``none``."""
        names = (*self.levels, NONE)
        return [names[index] for index in self.probabilities(pictures).argmax(axis=1)]

    def save(self, folder: Path) -> None:
        """Write ``FACTOR.safetensors`` and ``FACTOR.json`` below ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        save_file(weights, folder / f"{self.factor}.safetensors")
        width = self.network[0].out_channels
        card = {"format_version": 1, "factor": self.factor, "levels": self.levels, "width": width}
        (folder / f"{self.factor}.json").write_text(json.dumps(card, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, factor: str) -> "FactorClassifier":
        """Read what ``save`` wrote.

        Raises:
            ValueError: an unknown format version.
        """
        card = json.loads((folder / f"{factor}.json").read_text(encoding="utf-8"))
        if card["format_version"] != 1:
            raise ValueError(f"classifier format {card['format_version']}: this version reads 1")
        with LOADING:
            network = make_network(len(card["levels"]) + 1, card["width"])
        network.load_state_dict(load_file(folder / f"{factor}.safetensors"))
        return cls(factor, tuple(card["levels"]), network)


def train_classifier(
    factor: str,
    levels: tuple[str, ...],
    labelled: Callable[[], tuple[torch.Tensor, torch.Tensor]],
    steps: int,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> FactorClassifier:
    """Train a classifier on augmented drawings.

    Args:
        factor: the factor's name.
        levels: its levels, in class order.
        labelled: draws a batch: pictures ``(n, 3, 64, 64)`` in −1–1 and their class indices ``(n,)``; half as many
            pictures of nothing are added.
        steps: optimiser steps.
        generator: source of the degradations.
        progress: told of every step.
    """
    network = make_network(len(levels) + 1)

    def loss_of() -> torch.Tensor:
        pictures, labels = labelled()
        part = len(pictures) // 4
        nothing = torch.cat([spoil(pictures, generator)[:part] for spoil in (showing_nothing, texture)])
        inputs = torch.cat([degrade(pictures, generator), nothing])
        targets = torch.cat([labels, torch.full((len(nothing),), len(levels))])
        return nn.functional.cross_entropy(network(inputs), targets, label_smoothing=0.05)

    how = Schedule(steps, rate=3e-3, decay=1e-2, betas=(0.9, 0.999), warm_up=1 / 3, clip=None, averaging=None)
    fit(network, loss_of, how, progress)
    return FactorClassifier(factor, levels, network)


def degrade(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Blur, noise, contrast and tint as mild as a small generator's own faults. Same shape and range."""
    n = len(pictures)
    blurred = nn.functional.avg_pool2d(nn.functional.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    amount = torch.rand(n, 1, 1, 1, generator=generator)
    mixed = pictures + amount * (blurred - pictures)
    contrast = 0.85 + 0.3 * torch.rand(n, 1, 1, 1, generator=generator)
    tint = 0.08 * torch.randn(n, 3, 1, 1, generator=generator)
    grain = 0.08 * torch.rand(n, 1, 1, 1, generator=generator) * torch.randn(pictures.shape, generator=generator)
    return (mixed * contrast + tint + grain).clamp(-1, 1)


def showing_nothing(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures that show nothing in particular, made from ``pictures``; same shape and range.

    In turn: an even blend of two, 16-pixel patches of one in random places, heavy blur with noise, plain colour.
    """
    n, channels, height, width = pictures.shape
    # A roll, not a permutation: no picture is blended with itself.
    other = pictures.roll(int(torch.randint(1, max(n, 2), (1,), generator=generator)), dims=0)
    blend = 0.5 * (pictures + other)
    tiles = pictures.unfold(2, 16, 16).unfold(3, 16, 16).reshape(n, channels, 16, 16, 16)
    tiles = tiles[:, :, torch.randperm(16, generator=generator)].reshape(n, channels, 4, 4, 16, 16)
    shuffled = tiles.permute(0, 1, 2, 4, 3, 5).reshape(n, channels, height, width)
    small = nn.functional.avg_pool2d(pictures, 16)
    small = small + 0.5 * torch.randn(small.shape, generator=generator)
    smear = nn.functional.interpolate(small, scale_factor=16, mode="bilinear")
    plain = (2 * torch.rand(n, channels, 1, 1, generator=generator) - 1).expand_as(pictures)
    plain = plain + 0.05 * torch.randn(pictures.shape, generator=generator)
    kinds = torch.stack([blend, shuffled, smear, plain])
    return kinds[torch.arange(n) % 4, torch.arange(n)].clamp(-1, 1)


def texture(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Grain of any size in the pictures' colours, as a model draws that was unlearned too far; same shape and range.

    What is left of each picture is its heavy blur. On it lie four layers of noise, of 2 to 16 pixels a grain, each
    with a strength of its own, and in half of the pictures a frame, lighter or darker.
    """
    n, channels, height, width = pictures.shape
    base = nn.functional.avg_pool2d(pictures, 16) + 0.4 * torch.randn(n, channels, 1, 1, generator=generator)
    drawn = nn.functional.interpolate(base, scale_factor=16, mode="bilinear")
    for grain in (2, 4, 8, 16):
        noise = torch.randn(n, channels + 1, height // grain, width // grain, generator=generator)
        noise = noise[:, :1] + torch.rand(n, 1, 1, 1, generator=generator) * noise[:, 1:]  # light, and some colour
        strength = 0.4 * torch.rand(n, 1, 1, 1, generator=generator) ** 2
        drawn = drawn + strength * nn.functional.interpolate(noise, scale_factor=grain, mode="bilinear")
    across = torch.linspace(-1, 1, width).abs().maximum(torch.linspace(-1, 1, height).abs()[:, None])
    edge = ((across - 0.85) / 0.15).clamp(min=0) * torch.randn(n, 1, 1, 1, generator=generator)
    framed = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    return (drawn + framed * edge).clamp(-1, 1)
