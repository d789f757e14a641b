"""Models of published sizes with random weights: what they cost is known before anybody has fetched the weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.models.families.stable_diffusion_xl import StableDiffusionXL
from expunge.models.text_to_image import TextToImage
from tests.families import stable_diffusion, stable_diffusion_xl
from tests.tiny import make_tiny_tokenizer


def _clip(folder: Path, width: int, layers: int, projected: bool = False) -> tuple[Any, Any]:
    """A tokenizer of few words and an encoder of published width and depth."""
    tokenizer = make_tiny_tokenizer(folder, 77)
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        projection_dim=width,
    )
    return tokenizer, kind(config)


def autoencoder(scale: float) -> Any:
    """That of Stable Diffusion; XL's has the same layers."""
    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        scaling_factor=scale,
    )


def sd15(folder: Path, device: str) -> TextToImage:
    """Stable Diffusion 1.5: a denoiser of 860M parameters, 512 × 512 pixels."""
    with torch.device(device):
        tokenizer, encoder = _clip(folder / "tokenizer", 768, 12)
        vae, unet = autoencoder(0.18215), diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return StableDiffusion(pipeline)


def sdxl(folder: Path, device: str) -> TextToImage:
    """SDXL: a denoiser of 2.57G parameters, 1024 × 1024 pixels."""
    with torch.device(device):
        (one, small), (two, large) = _clip(folder / "tokenizer", 768, 12), _clip(folder / "tokenizer_2", 1280, 32, True)
        vae, unet = autoencoder(0.13025), large_unet()
    pipeline = diffusers.StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=small,
        tokenizer=one,
        text_encoder_2=large,
        tokenizer_2=two,
        unet=unet,
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", steps_offset=1),
    )
    return StableDiffusionXL(pipeline)


def large_unet() -> Any:
    """SDXL's denoiser."""
    return diffusers.UNet2DConditionModel(
        sample_size=128,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


# By a folder for vocabularies, and the device on which the weights are made.
SIZES: dict[str, Callable[[Path, str], TextToImage]] = {
    "tiny": lambda folder, device: StableDiffusion(stable_diffusion(folder)),
    "tiny-xl": lambda folder, device: StableDiffusionXL(stable_diffusion_xl(folder)),
    "sd15": sd15,
    "sdxl": sdxl,
}


def made(size: str, folder: Path, device: str) -> TextToImage:
    """A model of one of ``SIZES``; vocabularies are written to ``folder``."""
    torch.manual_seed(0)
    return SIZES[size](folder, device).to(device)
