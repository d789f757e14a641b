"""Pixel diffusion models that draw classes instead of sentences, on diffusers' ``UNet2DModel``.

The setting of class forgetting on CIFAR-10 in Ko et al., NeurIPS 2024, arXiv 2412.07808, and in SalUn. A prompt is the
name of a class; its "embedding" is that class's number, so that whatever works on prompt embeddings works here too,
but for methods that move cross-attention: there is none, and they say so.
"""

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.models.hashing import scheduler_facts, update_with_weights
from expunge.models.loading import LOADING
from expunge.models.text_to_image import draw_in_batches
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.world import Prompt

INDEX = "class_conditional.json"
FORMAT_VERSION = 1


class ClassDenoiser(torch.nn.Module):
    """A ``UNet2DModel`` called as a text-conditioned denoiser is.

    Attributes:
        unet: takes ``class_labels``.
    """

    def __init__(self, unet: UNet2DModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Any:
        """Prediction, ``(b, c, h, w)``, as attribute ``sample``; class numbers are ``(b, 1, 1)``, of any dtype."""
        return self.unet(sample, timestep, class_labels=encoder_hidden_states.flatten().round().long())


class ClassConditional:
    """A model that draws classes: the same surface as ``StableDiffusion``, without autoencoder and text encoder.

    Attributes:
        denoiser: in eval mode.
        scheduler: noise schedule and sampler of pixels in −1–1.
        classes: what it draws, in the order of the class numbers. The number after the last is the empty prompt's.
    """

    def __init__(self, unet: UNet2DModel, scheduler: DDIMScheduler, classes: Sequence[str]) -> None:
        if unet.config.num_class_embeds != len(classes) + 1 or unet.config.in_channels not in (1, 3):
            raise ValueError(
                f"denoiser of {unet.config.num_class_embeds} classes and {unet.config.in_channels} channels: must be "
                f"{len(classes) + 1}, one for each of {len(classes)} names and the empty prompt, and 1 or 3"
            )
        self.denoiser = ClassDenoiser(unet).eval().requires_grad_(False)
        self.scheduler, self.classes = scheduler, tuple(classes)

    @property
    def unet(self) -> torch.nn.Module:
        """The denoiser, the part that unlearning changes."""
        return self.denoiser

    @property
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""
        return self.denoiser.unet.config.sample_size

    def draw(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        steps: int = 20,
        guidance: float = 2.5,
        batch_size: int = 64,
        progress: str = "",
    ) -> np.ndarray:
        """Draw one picture of each class from the noise of its own seed.

        Args:
            texts: n names of classes; empty for the empty prompt.
            seeds: n seeds; the same text and seed give the same picture, whatever else is drawn with it, up to the
                floating-point differences between batch sizes.
            steps: DDIM steps, ≥ 1.
            guidance: classifier-free guidance scale; 1 switches it off.
            batch_size: pictures at once.
            progress: label of the progress bar; none if empty.

        Returns:
            RGB, uint8, ``(n, h, w, 3)``; a model of grey pictures gives three equal channels.

        Raises:
            ExpungeError: a text is no class.
        """

        def batch(some: list[str], generators: list[torch.Generator]) -> np.ndarray:
            return self._sample(self.encode_texts(some), generators, steps, guidance)

        return draw_in_batches(batch, texts, seeds, batch_size, progress)

    @torch.no_grad()
    def _sample(self, classes: Tensor, generators: list[torch.Generator], steps: int, guidance: float) -> np.ndarray:
        """Pictures 0–1, ``(n, h, w, 3)``."""
        scheduler = DDIMScheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        shape = (1, self.denoiser.unet.config.in_channels, self.size, self.size)
        noisy = torch.cat([torch.randn(shape, generator=each) for each in generators]) * scheduler.init_noise_sigma
        empty = self.encode_texts([""]).expand_as(classes)
        for timestep in scheduler.timesteps:
            predicted = self.denoiser(noisy, timestep, classes).sample
            if guidance > 1:
                unconditioned = self.denoiser(noisy, timestep, empty).sample
                predicted = unconditioned + guidance * (predicted - unconditioned)
            noisy = scheduler.step(predicted, timestep, noisy).prev_sample
        return (noisy.clamp(-1, 1) / 2 + 0.5).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()

    def draw_prompts(self, prompts: Sequence[Prompt], seeds: Sequence[int], **how: Any) -> PictureSet:
        """As ``draw``, for prompts of a world."""
        pictures = self.draw([prompt.text for prompt in prompts], seeds, **how)
        return PictureSet(tuple(prompts), tuple(seeds), pictures)

    def encode_texts(self, texts: Sequence[str], batch_size: int = 256) -> Tensor:
        """Class numbers, float32 ``(n, 1, 1)``. ``batch_size`` changes nothing.

        Raises:
            ExpungeError: a text is neither a class nor empty.
        """
        del batch_size
        numbers = {name: number for number, name in enumerate((*self.classes, ""))}
        if unknown := [text for text in texts if text not in numbers]:
            raise ExpungeError(f"prompt: the model draws no '{unknown[0]}'; it draws {', '.join(self.classes)}.")
        return torch.tensor([float(numbers[text]) for text in texts]).view(-1, 1, 1)

    def encode_pictures(self, pictures: np.ndarray, batch_size: int = 64) -> Tensor:
        """Pixels of uint8 pictures ``(n, h, w, 3)`` in −1–1, float32 ``(n, c, size, size)``.

        Pictures of another size are resized; for a model of grey pictures the channels are averaged.
        """
        found = []
        for start in range(0, len(pictures), batch_size):
            batch = torch.from_numpy(pictures[start : start + batch_size]).permute(0, 3, 1, 2).float() / 127.5 - 1
            if self.denoiser.unet.config.in_channels == 1:
                batch = batch.mean(dim=1, keepdim=True)
            if batch.shape[-2:] != (self.size, self.size):
                batch = torch.nn.functional.interpolate(batch, (self.size, self.size), mode="bicubic", antialias=True)
            found.append(batch.clamp(-1, 1))
        return torch.cat(found)

    def training_scheduler(self) -> DDPMScheduler:
        """The noise schedule the model was trained on, for adding noise and for its kind of prediction."""
        return DDPMScheduler.from_config(self.scheduler.config)

    def sampling(self) -> str:
        """Name of the sampler."""
        return type(self.scheduler).__name__.removesuffix("Scheduler")

    def digest(self) -> str:
        """SHA-256 over the weights, the classes and the scheduler's configuration. Independent of where it lies."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        update_with_weights(digest, "unet", self.denoiser.unet)
        digest.update(scheduler_facts(self.scheduler))
        return digest.hexdigest()

    def with_own_denoiser(self) -> Self:
        """The model with a copy of its denoiser; the noise schedule is shared."""
        twin = copy.copy(self)
        twin.denoiser = copy.deepcopy(self.denoiser)
        return twin

    def save(self, folder: Path) -> None:
        """Write ``unet/`` and ``scheduler/`` as diffusers does, safetensors only, and the names of the classes."""
        self.denoiser.unet.save_pretrained(folder / "unet", safe_serialization=True)
        self.scheduler.save_pretrained(folder / "scheduler")
        card = {"format_version": FORMAT_VERSION, "classes": self.classes}
        (folder / INDEX).write_text(json.dumps(card, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "ClassConditional":
        """Read what ``save`` wrote.

        Raises:
            ValueError: an unknown format version, or names that do not fit the denoiser.
        """
        card = json.loads((folder / INDEX).read_text())
        if card["format_version"] != FORMAT_VERSION:
            raise ValueError(f"class-conditional format {card['format_version']}: this version reads {FORMAT_VERSION}")
        with LOADING:
            unet = UNet2DModel.from_pretrained(folder / "unet", use_safetensors=True, local_files_only=True)
            scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        return cls(unet, scheduler, tuple(card["classes"]))
