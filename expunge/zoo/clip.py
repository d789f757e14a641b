"""The zoo's CLIP: a small open_clip model trained on drawings and their captions."""

import json
from collections.abc import Callable
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file
from transformers import CLIPTokenizer, get_cosine_schedule_with_warmup

from expunge.zoo.autoencoder import PICTURE_SIZE
from expunge.zoo.classifiers import degrade
from expunge.zoo.denoiser import MAX_TOKENS

PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "squash"}


def clip_config(vocabulary: int) -> dict:
    """open_clip's configuration of the model."""
    return {
        "embed_dim": 64,
        "vision_cfg": {
            "image_size": PICTURE_SIZE,
            "layers": [1, 1, 1, 1],  # a residual network: with so few drawings it generalises better than a ViT
            "width": 16,
            "head_width": 16,
        },
        "text_cfg": {
            "context_length": MAX_TOKENS,
            "vocab_size": vocabulary,
            "hf_tokenizer_name": "tokenizer",
            "width": 128,
            "heads": 4,
            "layers": 2,
            "mlp_ratio": 2.0,
        },
    }


def train_clip(
    tokenizer: CLIPTokenizer,
    batches: Callable[[int], tuple[torch.Tensor, list[str]]],
    steps: int,
    generator: torch.Generator,
    batch_size: int = 80,
    progress: Callable[[int, float], None] | None = None,
) -> CLIP:
    """Train with CLIP's symmetric contrastive loss (Radford et al. 2021, arXiv 2103.00020).

    Args:
        tokenizer: the tokenizer saved beside the model.
        batches: draws pictures ``(n, 3, 64, 64)`` in −1–1 and their captions, no two of the same drawing.
        steps: optimiser steps.
        generator: source of the degradations.
        batch_size: pairs a batch.
        progress: called after every step with its number and loss.
    """
    config = clip_config(len(tokenizer))
    text = {key: value for key, value in config["text_cfg"].items()}
    model = CLIP(embed_dim=config["embed_dim"], vision_cfg=config["vision_cfg"], text_cfg=text)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = get_cosine_schedule_with_warmup(optimiser, steps // 10, steps)
    loss_function = open_clip.ClipLoss()
    for step in range(steps):
        pictures, captions = batches(batch_size)
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        features, texts, scale = model(degrade(pictures, generator), tokens)
        loss = loss_function(features, texts, scale)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6)
        if progress:
            progress(step, loss.item())
    return model.eval().requires_grad_(False)


def save_clip(model: CLIP, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write a folder that ``open_clip.create_model_and_transforms("local-dir:FOLDER")`` loads."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {"model_cfg": clip_config(len(tokenizer)), "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1))
    tokenizer.save_pretrained(folder)


def load_clip(folder: Path) -> CLIP:
    """Read what ``save_clip`` wrote."""
    model = open_clip.create_model(f"local-dir:{folder}")
    return model.eval().requires_grad_(False)
