"""A pipeline of every family, too small to draw anything, but real in every part: stock classes, random weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from tokenizers import pre_tokenizers
from tokenizers.models import BPE
from torch import nn

from tests.tiny import WORDS, make_tiny_tokenizer

LETTERS = [chr(code) for code in range(33, 127)]
WIDTH = 16  # of text encoders
SIZE = 32  # side of the pictures that autoencoders were made for
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }} "
    "{{ m['content'] if m['content'] is string else m['content'][0]['text'] }}<|im_end|>{% endfor %}"
)
READING = ("caption", "context_embedder", "cap_embedder", "txt_in")
FLOW = {"shift": 3.0, "use_dynamic_shifting": True}


def make_family(name: str, folder: Path, seed: int = 0) -> Path:
    """Save a pipeline of a family, one of ``FAMILIES``, with random weights from ``seed``.

    Returns:
        ``folder``, as stock diffusers reads it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = FAMILIES[name](folder)
        for part in pipeline.components.values():
            for parameter in part.parameters() if isinstance(part, nn.Module) else ():
                if not parameter.any():  # what begins as zero would leave its gradient, or others', zero
                    nn.init.normal_(parameter, std=0.02)
        for parameter in _reading(pipeline):
            nn.init.normal_(parameter, std=0.5)  # so that one text is predicted otherwise than another
    pipeline.save_pretrained(folder, safe_serialization=True)
    if names := getattr(pipeline, "labels", None):  # published folders hold them, but they are not saved again
        index = json.loads((folder / "model_index.json").read_text())
        index["id2label"] = {str(number): name for name, number in names.items()}
        (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def _reading(pipeline: Any) -> list[nn.Parameter]:
    """Where a transformer takes the text in."""
    named = pipeline.components.get("transformer", nn.Module()).named_parameters()
    return [each for name, each in named if each.dim() == 2 and any(part in name for part in READING)]


def _clip(folder: Path, number: str = "", projected: bool = False, width: int = WIDTH) -> dict[str, Any]:
    tokenizer = make_tiny_tokenizer(folder / f"tokenizer{number}", 77)
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    ends = {f"{end}_token_id": getattr(tokenizer, f"{end}_token_id") for end in ("bos", "eos", "pad")}
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        projection_dim=WIDTH,
        **ends,
    )
    return {f"tokenizer{number}": tokenizer, f"text_encoder{number}": kind(config)}


def _t5(number: str = "") -> dict[str, Any]:
    words = [(f"▁{word}", -1.0) for word in WORDS]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *words, *((each, -5.0) for each in LETTERS)]
    tokenizer = transformers.T5Tokenizer(vocab=pieces, extra_ids=0)
    config = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_ff=32,
        d_kv=8,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
    )
    return {f"tokenizer{number}": tokenizer, f"text_encoder{number}": transformers.T5EncoderModel(config)}


def _qwen_tokenizer() -> Any:
    signs = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    vocabulary = {piece: i for i, piece in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), *signs])}
    tokenizer = transformers.Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[],
        unk_token=signs[0],
        pad_token=signs[0],
        eos_token=signs[2],
        additional_special_tokens=signs[1:],
        model_max_length=1024,
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def _qwen_3(kind: Any, layers: int) -> dict[str, Any]:
    tokenizer = _qwen_tokenizer()
    config = transformers.Qwen3Config(**_language(tokenizer, layers), num_key_value_heads=2, head_dim=8)
    return {"tokenizer": tokenizer, "text_encoder": kind(config)}


def _language(tokenizer: Any, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "max_position_embeddings": 2048,
    }


def _gemma(layers: int) -> dict[str, Any]:
    vocabulary = {piece: i for i, piece in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *LETTERS, "▁"])}
    tokenizer = transformers.GemmaTokenizer(vocab=vocabulary, merges=[])
    config = transformers.Gemma2Config(**_language(tokenizer, layers), num_key_value_heads=2, head_dim=8)
    return {"tokenizer": tokenizer, "text_encoder": transformers.Gemma2Model(config)}


def _autoencoder(kind: Any = diffusers.AutoencoderKL, channels: int = 4, stages: int = 3, **more: Any) -> nn.Module:
    """Pictures to latents; every stage but the first halves their side."""
    return kind(
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
        block_out_channels=(8,) * stages,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=SIZE,
        **more,
    )


def _shifted_autoencoder(channels: int = 16, stages: int = 3) -> nn.Module:
    plain = {"use_quant_conv": False, "use_post_quant_conv": False}
    return _autoencoder(channels=channels, stages=stages, shift_factor=0.12, scaling_factor=0.36, **plain)


def _unet(**more: Any) -> nn.Module:
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 16),
        layers_per_block=1,
        attention_head_dim=8,
        norm_num_groups=8,
        **more,
    )


def stable_diffusion(folder: Path, prediction: str = "epsilon") -> Any:
    """Stable Diffusion 1; with velocities, 2."""
    return diffusers.StableDiffusionPipeline(
        **_clip(folder),
        vae=_autoencoder(),
        unet=_unet(cross_attention_dim=WIDTH),
        scheduler=diffusers.DDIMScheduler(
            beta_schedule="scaled_linear", clip_sample=False, steps_offset=1, prediction_type=prediction
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl(folder: Path) -> Any:
    """Two text encoders; the picture's size is told."""
    return diffusers.StableDiffusionXLPipeline(
        **_clip(folder),
        **_clip(folder, "_2", projected=True, width=2 * WIDTH),  # single files tell the two by their widths
        vae=_autoencoder(scaling_factor=0.13),
        unet=_unet(
            cross_attention_dim=3 * WIDTH,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        ),
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", steps_offset=1),
    )


def stable_diffusion_3(folder: Path) -> Any:
    """Three text encoders."""
    return diffusers.StableDiffusion3Pipeline(
        **_clip(folder, projected=True),
        **_clip(folder, "_2", projected=True),
        **_t5("_3"),
        vae=_shifted_autoencoder(),
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=8,
            in_channels=16,
            out_channels=16,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            caption_projection_dim=16,
            joint_attention_dim=32,
            pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=16,
            qk_norm="rms_norm",
            dual_attention_layers=(0,),
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def flux(folder: Path, guided: bool = True) -> Any:
    """FLUX.1 dev; without guidance as an input, schnell."""
    return diffusers.FluxPipeline(
        **_clip(folder),
        **_t5("_2"),
        vae=_shifted_autoencoder(),
        transformer=diffusers.FluxTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=WIDTH,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=guided,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(**FLOW if guided else {}),
    )


def _flux_2_parts(guided: bool) -> dict[str, Any]:
    return {
        "vae": _autoencoder(diffusers.AutoencoderKLFlux2),
        "transformer": diffusers.Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * WIDTH,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=guided,
        ),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(**FLOW),
    }


def flux_2(folder: Path) -> Any:
    """FLUX.2 dev. Its text encoder also sees."""
    signs = ["[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]
    pieces = ["<unk>", "<s>", "</s>", "<pad>", *signs, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(pieces),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=signs,
    )
    said = "{{ bos_token }}{% for m in messages %}[INST]{{ m['content'][0]['text'] }}[/INST]{% endfor %}"
    processor = transformers.PixtralProcessor(
        image_processor=transformers.PixtralImageProcessor(patch_size=6, size={"longest_edge": 30}),
        tokenizer=words,
        chat_template=said,
        patch_size=6,
    )
    seeing = {"model_type": "pixtral", "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 1}
    config = transformers.Mistral3Config(
        text_config={"model_type": "mistral", **_language(words, 30), "num_key_value_heads": 2, "head_dim": 8},
        vision_config={**seeing, "num_attention_heads": 2, "image_size": 30, "patch_size": 6},
        image_token_index=6,
    )
    return diffusers.Flux2Pipeline(
        tokenizer=processor,
        text_encoder=transformers.Mistral3ForConditionalGeneration(config),
        **_flux_2_parts(guided=True),
    )


def _byte_level(pieces: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders

    made = Tokenizer(BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def flux_2_klein(folder: Path) -> Any:
    """The small FLUX.2, before it was distilled."""
    return diffusers.Flux2KleinPipeline(
        **_qwen_3(transformers.Qwen3ForCausalLM, 27), **_flux_2_parts(guided=False), is_distilled=False
    )


def pixart(folder: Path, kind: Any = diffusers.PixArtAlphaPipeline) -> Any:
    """PixArt-α; of another kind, Σ."""
    return kind(
        **_t5(),
        vae=_autoencoder(),
        transformer=diffusers.PixArtTransformer2DModel(
            sample_size=8,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            caption_channels=32,
            in_channels=4,
            out_channels=8,
            cross_attention_dim=16,
        ),
        scheduler=diffusers.DPMSolverMultistepScheduler(beta_schedule="linear"),
    )


def sana(folder: Path) -> Any:
    """Linear attention in latents of half a side: its autoencoder has two stages here."""
    stages = {
        f"{way}_{what}": value
        for way in ("encoder", "decoder")
        for what, value in {
            "block_types": ("ResBlock", "EfficientViTBlock"),
            "block_out_channels": (8, 8),
            "qkv_multiscales": ((), (5,)),
            "layers_per_block": (1, 1),
        }.items()
    }
    return diffusers.SanaPipeline(
        **_gemma(1),
        vae=diffusers.AutoencoderDC(
            in_channels=3,
            latent_channels=4,
            attention_head_dim=2,
            downsample_block_type="conv",
            upsample_block_type="interpolate",
            scaling_factor=0.4,
            **stages,
        ),
        transformer=diffusers.SanaTransformer2DModel(
            patch_size=1,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            num_attention_heads=2,
            attention_head_dim=8,
            num_cross_attention_heads=2,
            cross_attention_head_dim=8,
            cross_attention_dim=16,
            caption_channels=WIDTH,
            sample_size=16,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def qwen_image(folder: Path) -> Any:
    """Its autoencoder is one of films."""
    tokenizer = _qwen_tokenizer()
    signs = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{sign}|>")
        for name, sign in {"vision_start": "vision_start", "vision_end": "vision_end", "image": "image_pad"}.items()
    }
    places = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"}
    config = transformers.Qwen2_5_VLConfig(
        text_config={**_language(tokenizer, 2), "num_key_value_heads": 2, "rope_scaling": places, "rope_theta": 1e6},
        vision_config={
            "depth": 1,
            "hidden_size": WIDTH,
            "intermediate_size": WIDTH,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
        },
        **signs,
    )
    return diffusers.QwenImagePipeline(
        tokenizer=tokenizer,
        text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config),
        vae=diffusers.AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 2, 2, 2],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[1.5, 2.0, 0.5, 1.0],
        ),
        transformer=diffusers.QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            axes_dims_rope=(8, 4, 4),
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(**FLOW),
    )


def z_image(folder: Path) -> Any:
    """One stream of text and picture."""
    return diffusers.ZImagePipeline(
        **_qwen_3(transformers.Qwen3Model, 4),
        vae=_shifted_autoencoder(),
        transformer=diffusers.ZImageTransformer2DModel(
            in_channels=16,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=WIDTH,
            axes_dims=[8, 4, 4],
            axes_lens=[1024, 32, 32],
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def lumina_2(folder: Path) -> Any:
    """One stream, with time that runs towards the picture."""
    return diffusers.Lumina2Pipeline(
        **_gemma(3),
        vae=_shifted_autoencoder(4, stages=4),
        transformer=diffusers.Lumina2Transformer2DModel(
            sample_size=8,
            in_channels=4,
            hidden_size=24,
            num_layers=1,
            num_refiner_layers=1,
            num_attention_heads=1,
            num_kv_heads=1,
            cap_feat_dim=WIDTH,
            multiple_of=16,
            axes_dim_rope=(8, 8, 8),
            axes_lens=(300, 64, 64),
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=6.0),
    )


def dit(folder: Path) -> Any:
    """Draws classes. Its pipeline knows a thousand of them, whatever they are called."""
    names = {i: name for i, name in enumerate([*WORDS, *(f"class {i}" for i in range(1000 - len(WORDS)))])}
    return diffusers.DiTPipeline(
        vae=_autoencoder(),
        transformer=diffusers.DiTTransformer2DModel(
            sample_size=8,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            in_channels=4,
            out_channels=8,
            num_embeds_ada_norm=1000,
        ),
        scheduler=diffusers.DDIMScheduler(beta_schedule="linear", clip_sample=False),
        id2label={str(number): name for number, name in names.items()},
    )


FAMILIES: dict[str, Callable[[Path], Any]] = {
    "stable_diffusion": stable_diffusion,
    "stable_diffusion_2": lambda folder: stable_diffusion(folder, "v_prediction"),
    "stable_diffusion_xl": stable_diffusion_xl,
    "stable_diffusion_3": stable_diffusion_3,
    "flux": flux,
    "flux_schnell": lambda folder: flux(folder, guided=False),
    "flux_2": flux_2,
    "flux_2_klein": flux_2_klein,
    "pixart_alpha": pixart,
    "pixart_sigma": lambda folder: pixart(folder, diffusers.PixArtSigmaPipeline),
    "sana": sana,
    "qwen_image": qwen_image,
    "z_image": z_image,
    "lumina_2": lumina_2,
    "dit": dit,
}
