"""A text-to-image model too small to draw anything, but real in every part: stock classes, random weights."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

VOCABULARY = "a an the cat dog horse apple car in of on by style noto twemoji fluent white plain background"
WORDS = VOCABULARY.split()
CONTEXT = 16


def make_tiny_pipeline(folder: Path, seed: int = 0) -> Path:
    """Save a StableDiffusionPipeline with random weights from ``seed``: 8×8 latents, 32×32 pictures, 0.7 MB.

    Words outside ``WORDS`` are spelt with their letters.

    Returns:
        ``folder``, as ``StableDiffusionPipeline.from_pretrained`` reads it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = make_tiny_tokenizer(folder / "tokenizer")
        pipeline = StableDiffusionPipeline(
            vae=AutoencoderKL(
                in_channels=3,
                out_channels=3,
                down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3,
                block_out_channels=(8, 16, 16),
                layers_per_block=1,
                latent_channels=4,
                norm_num_groups=8,
                sample_size=32,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=len(tokenizer),
                    hidden_size=16,
                    intermediate_size=32,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    max_position_embeddings=CONTEXT,
                    bos_token_id=tokenizer.bos_token_id,
                    eos_token_id=tokenizer.eos_token_id,
                    pad_token_id=tokenizer.pad_token_id,
                )
            ),
            tokenizer=tokenizer,
            unet=UNet2DConditionModel(
                sample_size=8,
                in_channels=4,
                out_channels=4,
                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                block_out_channels=(16, 16),
                layers_per_block=1,
                cross_attention_dim=16,
                attention_head_dim=8,
                norm_num_groups=8,
            ),
            scheduler=DDIMScheduler(clip_sample=False, steps_offset=1, prediction_type="epsilon"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def make_tiny_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIPTokenizer that knows ``WORDS``, letters, digits and signs; its files are written to ``folder``.

    Each word is built letter by letter by byte-pair merges, as CLIP's own vocabulary is.
    """
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = dict.fromkeys([*letters, *(letter + "</w>" for letter in letters)])
    merges: dict[str, None] = {}
    for word in WORDS:
        whole = word[0]
        for letter in (*word[1:-1], word[-1] + "</w>") if len(word) > 1 else ():
            merges[f"{whole} {letter}"] = None
            whole += letter
            vocabulary[whole] = None
    vocabulary |= dict.fromkeys(["<|startoftext|>", "<|endoftext|>"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    return CLIPTokenizer.from_pretrained(folder, model_max_length=CONTEXT)
