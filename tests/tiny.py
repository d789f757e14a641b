"""A text-to-image model too small to draw anything, but real in every part: stock classes, random weights."""

import json
import re
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

VOCABULARY = "a an the cat dog horse apple car in of on by style noto twemoji fluent white plain background"
WORDS = VOCABULARY.split()
CONTEXT = 16


def make_tiny_pipeline(folder: Path, seed: int = 0, context: int = CONTEXT) -> Path:
    """Save a StableDiffusionPipeline with random weights from ``seed``: 8×8 latents, 32×32 pictures, 0.7 MB.

    Words outside ``WORDS`` are spelt with their letters; ``context`` tokens are read.

    Returns:
        ``folder``, as ``StableDiffusionPipeline.from_pretrained`` reads it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = make_tiny_tokenizer(folder / "tokenizer", context)
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
                    max_position_embeddings=context,
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


def make_tiny_tokenizer(folder: Path, context: int = CONTEXT) -> CLIPTokenizer:
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
    return CLIPTokenizer.from_pretrained(folder, model_max_length=context)


# Names of the parts of a resnet block in the checkpoints that Stable Diffusion was published as.
RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.attentions.0": "input_blocks.1.1",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.1.conv",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.attentions.0": "output_blocks.2.1",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
    "up_blocks.1.attentions.1": "output_blocks.3.1",
}
AUTOENCODER = [
    (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d)\.resnets\.(\d)", lambda found: f"up.{2 - int(found[1])}.block.{found[2]}"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{2 - int(found[1])}.upsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"group_norm", "norm"),
    (r"to_([qkv])", r"\1"),
    (r"to_out\.0", "proj_out"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
]


def make_single_file(pipeline: StableDiffusionPipeline, file: Path) -> Path:
    """Save the tiny pipeline's weights in one file, under the names that such checkpoints have."""
    tensors = {}
    for name, tensor in pipeline.unet.state_dict().items():
        module = next(each for each in UNET if name.startswith(f"{each}."))
        rest = name.removeprefix(f"{module}.")
        part, _, last = rest.rpartition(".")
        tensors[f"model.diffusion_model.{UNET[module]}.{RESNET[part] + '.' + last if part in RESNET else rest}"] = (
            tensor
        )
    for name, tensor in pipeline.vae.state_dict().items():
        for ours, theirs in AUTOENCODER:
            name = re.sub(ours, theirs, name)
        flat = ".attn_1." in name and name.endswith("weight") and tensor.dim() == 2
        tensors[f"first_stage_model.{name}"] = tensor[:, :, None, None] if flat else tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    return file
