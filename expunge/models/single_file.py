"""Stable Diffusion 1, 2 and XL as the one file that ComfyUI, A1111 and others read.

The layout is that of the checkpoints as they were published: a flat list of tensors, under names of the code they were
trained with. Facts, found by what diffusers' ``from_single_file`` reads.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from expunge.errors import ExpungeError

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
AUTOENCODER = (
    (r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2"),
    (r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"group_norm", "norm"),
    (r"to_([qkv])\b", r"\1"),
    (r"to_out\.0", "proj_out"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
)
OPEN_CLIP = (
    (r"^embeddings\.token_embedding\.weight", "token_embedding.weight"),
    (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^encoder\.layers\.", "transformer.resblocks."),
    (r"\.layer_norm([12])\.", r".ln_\1."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"^final_layer_norm\.", "ln_final."),
)


def write_single_file(pipeline: Any, file: Path) -> None:
    """Write a pipeline's denoiser, autoencoder and text encoders as one safetensors file.

    Args:
        pipeline: a ``StableDiffusionPipeline`` or ``StableDiffusionXLPipeline``.
        file: to be written.

    Raises:
        ExpungeError: it is another one, or its text encoder is of neither kind that such files hold.
    """
    kind = type(pipeline).__name__
    if kind not in ("StableDiffusionPipeline", "StableDiffusionXLPipeline"):
        raise ExpungeError(f"single-file: there is no such layout for a {kind}; export it --to diffusers")
    tensors = dict(_unet(pipeline.unet))
    tensors |= {f"first_stage_model.{name}": each for name, each in _autoencoder(pipeline.vae)}
    if kind == "StableDiffusionXLPipeline":
        tensors |= _clip(pipeline.text_encoder, "conditioner.embedders.0.transformer.text_model.")
        tensors |= _open_clip(pipeline.text_encoder_2, "conditioner.embedders.1.model.")
    elif pipeline.text_encoder.config.hidden_act == "quick_gelu":
        tensors |= _clip(pipeline.text_encoder, "cond_stage_model.transformer.text_model.")
    else:
        tensors |= _open_clip(pipeline.text_encoder, "cond_stage_model.model.")
        _repeat_last_layer(tensors, pipeline.text_encoder.config.num_hidden_layers)
    save_file({name: each.contiguous() for name, each in tensors.items()}, file, {"format": "pt"})


def _unet(unet: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Blocks of the way down and up are numbered through."""
    layers: int = unet.config.layers_per_block  # type: ignore[union-attr, assignment]
    for name, tensor in unet.state_dict().items():
        if matched := re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.", name):
            way, block, part, inner = matched[1], int(matched[2]), matched[3], int(matched[4])
            module, rest = name[: matched.end() - 1], name[matched.end() :]
            if way == "down":
                place = f"input_blocks.{1 + block * (layers + 1) + (inner if part != 'downsamplers' else layers)}"
            else:
                place = f"output_blocks.{block * (layers + 1) + (inner if part != 'upsamplers' else layers)}"
            if part == "downsamplers":
                yield f"model.diffusion_model.{place}.0.op.{rest.removeprefix('conv.')}", tensor
                continue
            attends = hasattr(unet.get_submodule(module.rsplit(".", 2)[0]), "attentions")
            number = {"resnets": 0, "attentions": 1, "upsamplers": 2 if attends else 1}[part]
        else:
            module = next(each for each in UNET if name.startswith(f"{each}."))
            part, rest = module.split(".")[-2] if "." in module else "", name.removeprefix(f"{module}.")
            place, number = UNET[module], None
        inner_name, _, last = rest.rpartition(".")
        if part == "resnets":
            rest = f"{RESNET[inner_name]}.{last}"
        yield f"model.diffusion_model.{place}{'' if number is None else f'.{number}'}.{rest}", tensor


def _autoencoder(vae: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Its way up is numbered from the end; the attention's weights are convolutions of one pixel."""
    last = len(vae.config.block_out_channels) - 1  # type: ignore[union-attr, arg-type]
    for name, tensor in vae.state_dict().items():
        for ours, theirs in AUTOENCODER:
            name = re.sub(ours, theirs, name)
        name = re.sub(r"up_blocks\.(\d+)\.resnets\.(\d+)", lambda m: f"up.{last - int(m[1])}.block.{m[2]}", name)
        name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{last - int(m[1])}.upsample", name)
        flat = ".attn_1." in name and name.endswith("weight") and tensor.dim() == 2
        yield name, tensor[:, :, None, None] if flat else tensor


def _clip(encoder: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name.removeprefix('text_model.')}": each for name, each in encoder.state_dict().items()}


def _open_clip(encoder: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Queries, keys and values are one matrix, and the projection stands on its side."""
    found: dict[str, Tensor] = {}
    state = {name.removeprefix("text_model."): each for name, each in encoder.state_dict().items()}
    for name, tensor in state.items():
        if name == "text_projection.weight":
            found[f"{prefix}text_projection"] = tensor.T
        elif matched := re.fullmatch(r"(.+)\.self_attn\.q_proj\.(weight|bias)", name):
            joined = torch.cat([state[f"{matched[1]}.self_attn.{each}_proj.{matched[2]}"] for each in "qkv"])
            found[f"{prefix}{_renamed(matched[1] + '.')}attn.in_proj_{matched[2]}"] = joined
        elif not re.search(r"self_attn\.[kv]_proj", name) and not name.endswith("position_ids"):
            found[prefix + _renamed(name)] = tensor
    return found


def _renamed(name: str) -> str:
    for ours, theirs in OPEN_CLIP:
        name = re.sub(ours, theirs, name)
    return name


def _repeat_last_layer(tensors: dict[str, Tensor], layers: int) -> None:
    """Stable Diffusion 2 reads the last layer but one, and its folders leave the last away; files are expected to have
    it, whatever is in it."""
    last = f"cond_stage_model.model.transformer.resblocks.{layers - 1}."
    more = {name.replace(last, last.replace(f".{layers - 1}.", f".{layers}.")): tensors[name].clone()
            for name in tensors if name.startswith(last)}  # fmt: skip
    tensors |= more
