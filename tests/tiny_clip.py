"""An open_clip model too small to judge anything, but real in every part: its own classes, random weights."""

import json
from pathlib import Path

import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

from tests.tiny import make_tiny_tokenizer

PICTURE_SIZE = 32
CONTEXT = 160  # tokens: words that the tokenizer does not know are spelt


def make_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Save a CLIP with random weights from ``seed``, for 32×32 pictures, 16 features, the words of ``tests.tiny``.

    Returns:
        ``folder``, as open_clip's ``local-dir:`` reads it.
    """
    tokenizer = make_tiny_tokenizer(folder, CONTEXT)
    tokenizer.save_pretrained(folder)
    vision = {"image_size": PICTURE_SIZE, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8}
    text = {"context_length": CONTEXT, "vocab_size": len(tokenizer), "width": 16, "heads": 2, "layers": 1}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIP(embed_dim=16, vision_cfg=vision, text_cfg=text)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    text["hf_tokenizer_name"] = "tokenizer"
    config = {
        "model_cfg": {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder
