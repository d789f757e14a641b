"""Ways to draw beside a plain prompt: from embeddings, and from pictures. By diffusers' own pipelines."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings


def draw_embeddings(
    model: StableDiffusion, embeddings: Tensor, seeds: Sequence[int], drawing: DrawingSettings
) -> np.ndarray:
    """One picture for each prompt embedding, from the noise of its own seed.

    Args:
        model: draws.
        embeddings: as the denoiser takes them, ``(n, tokens, d)``.
        seeds: n seeds.
        drawing: steps, guidance and batch size.

    Returns:
        RGB, uint8, ``(n, h, w, 3)``.
    """
    empty = model.encode_texts([""])
    drawn = []
    for start in range(0, len(embeddings), drawing.batch_size):
        batch = embeddings[start : start + drawing.batch_size]
        pictures = model.pipeline(
            prompt_embeds=batch,
            negative_prompt_embeds=empty.expand_as(batch),
            num_inference_steps=drawing.steps,
            guidance_scale=drawing.guidance,
            generator=_generators(seeds[start : start + drawing.batch_size]),
            output_type="np",
        ).images
        drawn.append(_as_bytes(pictures))
    return np.concatenate(drawn)


def redraw(
    model: StableDiffusion,
    pictures: np.ndarray,
    texts: Sequence[str],
    seeds: Sequence[int],
    strength: float,
    drawing: DrawingSettings,
) -> np.ndarray:
    """Image-to-image: noise pictures up to a part of the way and denoise them again.

    Source: Meng et al., *SDEdit*, ICLR 2022, arXiv 2108.01073.

    Args:
        model: draws.
        pictures: RGB, uint8, ``(n, h, w, 3)``, of the model's size.
        texts: n prompts. Under the empty prompt guidance has nothing to add and is off.
        seeds: n seeds, of the noise.
        strength: how far up the noise goes, 0–1; 1 leaves nothing of the picture.
        drawing: steps of the whole way, of which the strength's share is made; guidance and batch size.

    Returns:
        RGB, uint8, ``(n, h, w, 3)``.

    Raises:
        ExpungeError: so few steps and so little strength that not one step is made.
    """
    if int(drawing.steps * strength) < 1:
        raise ExpungeError(
            f"strength: {strength:g} of {drawing.steps} steps is less than one step; "
            f"take a strength of at least {1 / drawing.steps:.2g}, or more steps."
        )
    pipeline = StableDiffusionImg2ImgPipeline(**model.pipeline.components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    empty, drawn = model.encode_texts([""]), []
    for start in range(0, len(pictures), drawing.batch_size):
        part = slice(start, start + drawing.batch_size)
        embeddings = model.encode_texts(texts[part])
        made = pipeline(
            prompt_embeds=embeddings,
            negative_prompt_embeds=empty.expand_as(embeddings),
            image=torch.from_numpy(pictures[part]).permute(0, 3, 1, 2).float() / 255,
            strength=strength,
            num_inference_steps=drawing.steps,
            guidance_scale=drawing.guidance if any(texts[part]) else 1.0,
            generator=_generators(seeds[part]),
            output_type="np",
        ).images
        drawn.append(_as_bytes(made))
    return np.concatenate(drawn)


def _generators(seeds: Sequence[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def _as_bytes(pictures: np.ndarray) -> np.ndarray:
    return np.rint(np.nan_to_num(pictures) * 255).astype(np.uint8)
