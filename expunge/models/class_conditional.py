"""Pixel diffusion models that draw classes instead of sentences, on diffusers' ``UNet2DModel``.

The setting of class forgetting on CIFAR-10 in Ko et al., NeurIPS 2024, arXiv 2412.07808, and in SalUn. A prompt is the
name of a class; its condition is that class's number. Methods that move cross-attention find none, and say so.
"""

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch import Tensor

from expunge.errors import UnsupportedError
from expunge.models.adapter import ModelAdapter
from expunge.models.diffusion import DiffusionProcess
from expunge.models.hashing import scheduler_facts, update_with_weights
from expunge.models.loading import LOADING
from expunge.models.text_to_image import Conditions, NewWords

LABELS = "class_labels"  # as ``UNet2DModel`` takes them, int64 ``(n,)``
INDEX = "class_conditional.json"
FORMAT_VERSION = 1


class ClassConditional(DiffusionProcess, ModelAdapter):
    """A model that draws classes: the same surface as ``StableDiffusion``, without autoencoder and text encoder.

    Attributes:
        unet: the denoiser; takes ``class_labels``.
        scheduler: noise schedule and sampler of pixels in −1–1.
        classes: what it draws, in the order of the class numbers. The number after the last is the empty prompt's.
    """

    def __init__(self, unet: UNet2DModel, scheduler: DDIMScheduler, classes: Sequence[str]) -> None:
        config = unet.config
        if config.num_class_embeds != len(classes) + 1 or config.in_channels not in (1, 3):
            raise ValueError(
                f"denoiser of {config.num_class_embeds} classes and {config.in_channels} channels: must be "
                f"{len(classes) + 1}, one for each of {len(classes)} names and the empty prompt, and 1 or 3"
            )
        super().__init__(scheduler)
        self.unet = unet.eval().requires_grad_(False)
        self.scheduler, self.classes = scheduler, tuple(classes)

    @property
    def denoiser(self) -> UNet2DModel:
        """The UNet, in eval mode."""
        return self.unet

    @property
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""
        return self.denoiser.config.sample_size

    def _conditions(self, texts: list[str]) -> Conditions:
        """Class numbers.

        Raises:
            UnsupportedError: a text is neither a class nor empty.
        """
        numbers = {name: number for number, name in enumerate((*self.classes, ""))}
        if unknown := [text for text in texts if text not in numbers]:
            raise UnsupportedError(f"prompt: the model draws no '{unknown[0]}'; it draws {', '.join(self.classes)}.")
        return {LABELS: torch.tensor([numbers[text] for text in texts])}

    def _latents(self, pictures: Tensor) -> Tensor:
        """The pixels; for a model of grey pictures the channels are averaged."""
        return pictures.mean(dim=1, keepdim=True) if self.denoiser.config.in_channels == 1 else pictures

    @torch.no_grad()
    def _sample(
        self, conditions: Conditions, generators: list[torch.Generator], steps: int, guidance: float
    ) -> np.ndarray:
        """A model of grey pictures gives three equal channels."""
        scheduler = DDIMScheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        shape = (1, self.denoiser.config.in_channels, self.size, self.size)
        noisy = torch.cat([torch.randn(shape, generator=each) for each in generators]) * scheduler.init_noise_sigma
        classes = conditions[LABELS]
        empty = torch.full_like(classes, len(self.classes))
        for timestep in scheduler.timesteps:
            predicted = self.denoiser(noisy, timestep, class_labels=classes).sample
            if guidance > 1:
                unconditioned = self.denoiser(noisy, timestep, class_labels=empty).sample
                predicted = unconditioned + guidance * (predicted - unconditioned)
            noisy = scheduler.step(predicted, timestep, noisy).prev_sample
        return (noisy.clamp(-1, 1) / 2 + 0.5).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()

    def redraw(self, *_: Any, **__: Any) -> np.ndarray:
        """Refused.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("model: draws classes; image-to-image is not there for it.")

    def new_words(self, signs: Sequence[str]) -> NewWords:
        """Refused.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("model: draws classes and knows no words; there are no embeddings to search.")

    def sampling(self) -> str:
        """Name of the sampler."""
        return type(self.scheduler).__name__.removesuffix("Scheduler")

    def digest(self) -> str:
        """SHA-256 over the weights, the classes and the scheduler's configuration. Independent of where it lies."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        update_with_weights(digest, "unet", self.denoiser)
        digest.update(scheduler_facts(self.scheduler) + self._filter_facts.encode())
        return digest.hexdigest()

    def with_own_denoiser(self) -> Self:
        """The model with a copy of its denoiser; the noise schedule is shared."""
        twin = copy.copy(self)
        twin.unet = copy.deepcopy(self.denoiser)
        return twin

    def save(self, folder: Path) -> None:
        """Write ``unet/`` and ``scheduler/`` as diffusers does, safetensors only, and the names of the classes.

        Raises:
            ExpungeError: the model stands behind a filter.
        """
        self.refuse_filter(folder)
        self.denoiser.save_pretrained(folder / "unet", safe_serialization=True)
        self.scheduler.save_pretrained(folder / "scheduler")
        card = {"format_version": FORMAT_VERSION, "classes": self.classes}
        (folder / INDEX).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "ClassConditional":
        """Read what ``save`` wrote.

        Raises:
            ValueError: an unknown format version, or names that do not fit the denoiser.
        """
        card = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if card["format_version"] != FORMAT_VERSION:
            raise ValueError(f"class-conditional format {card['format_version']}: this version reads {FORMAT_VERSION}")
        with LOADING:
            unet = UNet2DModel.from_pretrained(folder / "unet", use_safetensors=True, local_files_only=True)
            scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        return cls(unet, scheduler, tuple(card["classes"]))
