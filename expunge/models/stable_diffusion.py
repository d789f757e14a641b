"""Latent diffusion models of the Stable Diffusion family, as diffusers' ``StableDiffusionPipeline`` holds them."""

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from expunge.models.hashing import scheduler_facts, update_with_weights
from expunge.models.loading import LOADING
from expunge.models.text_to_image import draw_in_batches
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.world import Prompt

COMPONENTS = ("unet", "vae", "text_encoder")

# Loading takes a second; its bars would drown those of long work.
diffusers_logging.disable_progress_bar()
transformers_logging.disable_progress_bar()


class StableDiffusion:
    """A text-to-image model: draws, encodes, and lends its denoiser for unlearning.

    Attributes:
        pipeline: the diffusers pipeline, in eval mode, float32.
    """

    def __init__(self, pipeline: StableDiffusionPipeline) -> None:
        self.pipeline = pipeline
        pipeline.set_progress_bar_config(disable=True)
        for name in COMPONENTS:
            getattr(pipeline, name).eval().requires_grad_(False)

    @property
    def unet(self) -> torch.nn.Module:
        """The denoiser, the part that unlearning changes."""
        return self.pipeline.unet

    @property
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""
        return self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor

    def draw(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        steps: int = 20,
        guidance: float = 2.5,
        batch_size: int = 64,
        progress: str = "",
    ) -> np.ndarray:
        """Draw one picture for each text from the noise of its own seed.

        Args:
            texts: n prompts.
            seeds: n seeds; the same text and seed give the same picture, whatever else is drawn with it, up to the
                floating-point differences between batch sizes.
            steps: DDIM steps, ≥ 1.
            guidance: classifier-free guidance scale; 1 switches it off.
            batch_size: pictures at once.
            progress: label of the progress bar; none if empty.

        Returns:
            RGB, uint8, ``(n, h, w, 3)``.
        """

        def batch(some: list[str], generators: list[torch.Generator]) -> np.ndarray:
            return self.pipeline(
                prompt=some,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=generators,
                output_type="np",
            ).images

        return draw_in_batches(batch, texts, seeds, batch_size, progress)

    def draw_prompts(self, prompts: Sequence[Prompt], seeds: Sequence[int], **how: Any) -> PictureSet:
        """As ``draw``, for prompts of a world."""
        pictures = self.draw([prompt.text for prompt in prompts], seeds, **how)
        return PictureSet(tuple(prompts), tuple(seeds), pictures)

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str], batch_size: int = 256) -> torch.Tensor:
        """Text embeddings as the denoiser takes them, float32 ``(n, tokens, d)``."""
        tokenizer = self.pipeline.tokenizer
        found = []
        for start in range(0, len(texts), batch_size):
            tokens = tokenizer(
                list(texts[start : start + batch_size]),
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            )
            found.append(self.pipeline.text_encoder(tokens.input_ids).last_hidden_state)
        return torch.cat(found)

    @torch.no_grad()
    def encode_pictures(self, pictures: np.ndarray, batch_size: int = 64) -> torch.Tensor:
        """Scaled latents of uint8 pictures ``(n, h, w, 3)``: float32 ``(n, c, h/8, w/8)``, the posterior's mode.

        Pictures of another size are resized to the model's own.
        """
        vae, size = self.pipeline.vae, self.size
        found = []
        for start in range(0, len(pictures), batch_size):
            batch = torch.from_numpy(pictures[start : start + batch_size]).permute(0, 3, 1, 2).float() / 127.5 - 1
            if batch.shape[-2:] != (size, size):
                batch = torch.nn.functional.interpolate(batch, (size, size), mode="bicubic", antialias=True)
            found.append(vae.encode(batch.clamp(-1, 1)).latent_dist.mode() * vae.config.scaling_factor)
        return torch.cat(found)

    def training_scheduler(self) -> DDPMScheduler:
        """The noise schedule the model was trained on, for adding noise and for its kind of prediction."""
        return DDPMScheduler.from_config(self.pipeline.scheduler.config)

    def sampling(self) -> str:
        """Name of the sampler."""
        return type(self.pipeline.scheduler).__name__.removesuffix("Scheduler")

    def digest(self) -> str:
        """SHA-256 over the weights of all parts and the scheduler's configuration. Independent of where it lies."""
        digest = hashlib.sha256()
        for component in COMPONENTS:
            update_with_weights(digest, component, getattr(self.pipeline, component))
        digest.update(scheduler_facts(self.pipeline.scheduler))
        return digest.hexdigest()

    def with_own_denoiser(self) -> Self:
        """The model with a copy of its denoiser; autoencoder, text encoder and whatever filters prompts are shared."""
        twin = copy.copy(self)
        twin.pipeline = copy.copy(self.pipeline)
        twin.pipeline.register_modules(unet=copy.deepcopy(self.unet))
        return twin

    def save(self, folder: Path) -> None:
        """Write a stock diffusers folder, safetensors only, that does not say where its parts were loaded from."""
        self.pipeline.save_pretrained(folder, safe_serialization=True)
        for path in (folder / "model_index.json", *folder.glob("*/config.json")):
            config = json.loads(path.read_text())
            if config.pop("_name_or_path", None) is not None:
                path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "StableDiffusion":
        """Read a diffusers folder, safetensors only, nothing fetched from a network."""
        with LOADING:
            pipeline = StableDiffusionPipeline.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, safety_checker=None, dtype=torch.float32
            )
        if not isinstance(pipeline.scheduler, DDIMScheduler):
            # Latents are not confined to −1–1, though DDIM clips to that unless told otherwise.
            pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
        return cls(pipeline)
