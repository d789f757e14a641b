"""The zoo's CLIP: a small open_clip model trained on drawings and their captions."""

import json
from collections.abc import Callable
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from expunge.zoo.autoencoder import PICTURE_SIZE
from expunge.zoo.classifiers import degrade
from expunge.zoo.denoiser import MAX_TOKENS
from expunge.zoo.training import Progress, Schedule, fit

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
    progress: Progress | None = None,
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
    loss_function = open_clip.ClipLoss()

    def loss_of() -> torch.Tensor:
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6)
        pictures, captions = batches(batch_size)
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        return loss_function(*model(degrade(pictures, generator), tokens))

    how = Schedule(steps, rate=1.5e-3, decay=0.05, betas=(0.9, 0.98), warm_up=0.1, averaging=None)
    return fit(model, loss_of, how, progress)


def save_clip(model: CLIP, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write a folder that ``open_clip.create_model_and_transforms("local-dir:FOLDER")`` loads."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {"model_cfg": clip_config(len(tokenizer)), "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    tokenizer.save_pretrained(folder)


def load_clip(folder: Path) -> CLIP:
    """Read what ``save_clip`` wrote."""
    model = open_clip.create_model(f"local-dir:{folder}")
    return model.eval().requires_grad_(False)
