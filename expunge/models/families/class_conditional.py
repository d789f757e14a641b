"""Pixel diffusion models that draw classes instead of sentences, on diffusers' ``UNet2DModel``.

The setting of class forgetting on CIFAR-10 in Ko et al., NeurIPS 2024, arXiv 2412.07808, and in SalUn. A prompt is the
name of a class; its condition is that class's number. Methods that move cross-attention find none, and say so.
"""

import copy
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import diffusers
import numpy as np
import torch
from diffusers import UNet2DModel
from torch import Tensor

from expunge.errors import ExpungeError, UnsupportedError
from expunge.models.adapter import merge
from expunge.models.conditions import Conditions
from expunge.models.diffusion import SAMPLERS, DiffusionProcess
from expunge.models.held_weights import as_they_came
from expunge.models.loading import LOADING
from expunge.models.text_to_image import NewWords, TextToImage
from expunge.models.trained_part import TrainedSettings, own_copy, prepare

LABELS = "class_labels"  # as ``UNet2DModel`` takes them, int64 ``(n,)``
INDEX = "class_conditional.json"
FORMAT_VERSION = 1


class ClassConditional(DiffusionProcess, TextToImage):
    """A model that draws classes: the same surface as ``StableDiffusion``, without autoencoder and text encoder.

    Attributes:
        unet: the denoiser; takes ``class_labels``.
        scheduler: noise schedule and sampler of pixels in −1–1.
        classes: what it draws, in the order of the class numbers. The number after the last is the empty prompt's.
    """

    def __init__(self, unet: UNet2DModel, scheduler: Any, classes: Sequence[str]) -> None:
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

    def parts(self) -> dict[str, Any]:
        """Denoiser and scheduler."""
        return {"unet": self.unet, "scheduler": self.scheduler}

    def _facts(self) -> str:
        """The classes, in their order."""
        return json.dumps(self.classes)

    @property
    def native_size(self) -> int:
        """Side of its pictures, in pixels; it draws no others."""
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

    def _pictures(self, latents: Tensor) -> Tensor:
        """As they are; a grey one has three equal channels."""
        return latents.expand(-1, 3, -1, -1)

    @torch.no_grad()
    def _sample(
        self, conditions: Conditions, generators: list[torch.Generator], steps: int, guidance: float
    ) -> np.ndarray:
        scheduler = type(self.scheduler).from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        shape = (1, self.denoiser.config.in_channels, self.size, self.size)
        noise = torch.cat([torch.randn(shape, generator=each) for each in generators])
        noisy = noise.to(self.device, self.dtype) * scheduler.init_noise_sigma
        classes = conditions[LABELS].to(self.device)
        empty = torch.full_like(classes, len(self.classes))
        how = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
        for timestep in scheduler.timesteps:
            given = scheduler.scale_model_input(noisy, timestep)
            predicted = self.denoiser(given, timestep, class_labels=classes).sample
            if guidance > 1:
                unconditioned = self.denoiser(given, timestep, class_labels=empty).sample
                predicted = unconditioned + guidance * (predicted - unconditioned)
            noisy = scheduler.step(predicted, timestep, noisy, **how).prev_sample
        return self.decode_latents(noisy)

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

    def with_own_denoiser(self) -> Self:
        """The model with a copy of its denoiser; the noise schedule is shared."""
        twin = copy.copy(self)
        twin.unet = own_copy(self.denoiser)
        return twin

    def to_train(self, settings: TrainedSettings, to_step: bool = True) -> Self:
        """The model with a denoiser to be trained; see the protocol."""
        twin = copy.copy(self)
        twin.unet = prepare(self.denoiser, settings, to_step)
        return twin

    def trained(self, base: Self) -> Self:
        """The model when its training is over. An adapter to it has no file that others read: it is merged."""
        merge(self.denoiser)
        return self

    def save(self, folder: Path) -> None:
        """Write ``unet/`` and ``scheduler/`` as diffusers does, safetensors only, and the names of the classes.

        Raises:
            ExpungeError: the model stands behind a filter.
        """
        self.refuse_filter(folder)
        with as_they_came([self.denoiser]):
            self.denoiser.save_pretrained(folder / "unet", safe_serialization=True)
        self.scheduler.save_pretrained(folder / "scheduler")
        card = {"format_version": FORMAT_VERSION, "classes": self.classes}
        (folder / INDEX).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ValueError: an unknown format version, or names that do not fit the denoiser.
        """
        if not list((folder / "unet").glob("*.safetensors")):
            raise ExpungeError("it holds no unet/*.safetensors; only safetensors weights are read")
        card = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if card["format_version"] != FORMAT_VERSION:
            raise ValueError(f"class-conditional format {card['format_version']}: this version reads {FORMAT_VERSION}")
        with LOADING:
            unet = UNet2DModel.from_pretrained(folder / "unet", use_safetensors=True, local_files_only=True)
            scheduler = _scheduler_class(folder).from_pretrained(folder / "scheduler", local_files_only=True)
        return cls(unet, scheduler, tuple(card["classes"]))


def _scheduler_class(folder: Path) -> Any:
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    name = config.get("_class_name")
    if name not in SAMPLERS:
        raise ExpungeError(f"scheduler: {name} is not sampled with; take one of {', '.join(SAMPLERS)}")
    return getattr(diffusers, name)
