"""Latent diffusion models of the Stable Diffusion family, as diffusers' ``StableDiffusionPipeline`` holds them."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from expunge.errors import ExpungeError
from expunge.models.batched_drawing import in_batches
from expunge.models.diffusion import DiffusionProcess
from expunge.models.loading import LOADING
from expunge.models.text_to_image import TOKENS, Conditions, TextToImage

COMPONENTS = ("unet", "vae", "text_encoder")

# Loading takes a second; its bars would drown those of long work.
diffusers_logging.disable_progress_bar()
transformers_logging.disable_progress_bar()


class StableDiffusion(DiffusionProcess, TextToImage):
    """A text-to-image model: draws, encodes, and lends its denoiser for unlearning.

    Attributes:
        pipeline: the diffusers pipeline, in eval mode, float32.
    """

    def __init__(self, pipeline: StableDiffusionPipeline) -> None:
        super().__init__(pipeline.scheduler)
        self.pipeline = pipeline
        pipeline.set_progress_bar_config(disable=True)
        for name in COMPONENTS:
            getattr(pipeline, name).eval().requires_grad_(False)

    @property
    def denoiser(self) -> nn.Module:
        """The UNet."""
        return self.pipeline.unet

    @property
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""
        return self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor

    def parts(self) -> dict[str, Any]:
        """Denoiser, autoencoder, text encoder, tokenizer and scheduler."""
        return {name: getattr(self.pipeline, name) for name in (*COMPONENTS, "tokenizer", "scheduler")}

    def _conditions(self, texts: list[str]) -> Conditions:
        """By the pipeline's own way, so that what is trained is what is drawn."""
        return {TOKENS: self.pipeline.encode_prompt(texts, self.device, 1, False)[0].to("cpu", torch.float32)}

    def cut_off(self, texts: Sequence[str]) -> list[str]:
        """What lies beyond the text encoder's window; see the protocol."""
        tokenizer, found = self.pipeline.tokenizer, []
        for text in self.seen(texts):
            tokens = tokenizer(self.pipeline.maybe_convert_prompt(text, tokenizer)).input_ids
            beyond = len(tokens) > tokenizer.model_max_length
            found.append(tokenizer.decode(tokens[tokenizer.model_max_length - 1 : -1]).strip() if beyond else "")
        return found

    def _latents(self, pictures: Tensor) -> Tensor:
        """Scaled: the posterior's mode."""
        vae = self.pipeline.vae
        return vae.encode(pictures).latent_dist.mode() * vae.config.scaling_factor

    def _sample(
        self, conditions: Conditions, generators: list[torch.Generator], steps: int, guidance: float
    ) -> np.ndarray:
        side = self.pipeline.unet.config.sample_size
        shape = (1, self.pipeline.unet.config.in_channels, side, side)
        noise = torch.cat([torch.randn(shape, generator=each) for each in generators])
        return self.pipeline(
            **self._prompted(conditions),
            latents=noise.to(next(self.denoiser.parameters())),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generators,
            output_type="np",
        ).images

    def redraw(
        self,
        pictures: np.ndarray,
        texts: Sequence[str],
        seeds: Sequence[int],
        strength: float,
        steps: int = 20,
        guidance: float = 2.5,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Image-to-image by diffusers' own pipeline; see the protocol.

        Raises:
            ExpungeError: so few steps and so little strength that not one step is made.
        """
        if int(steps * strength) < 1:
            raise ExpungeError(
                f"strength: {strength:g} of {steps} steps is less than one step; "
                f"take a strength of at least {1 / steps:.2g}, or more steps."
            )
        pipeline = StableDiffusionImg2ImgPipeline(**self.pipeline.components, requires_safety_checker=False)
        pipeline.set_progress_bar_config(disable=True)

        def batch(part: slice, generators: list[torch.Generator]) -> np.ndarray:
            return pipeline(
                **self._prompted(self.encode_texts(texts[part])),
                image=(torch.from_numpy(pictures[part]).permute(0, 3, 1, 2).float() / 255).to(self.pipeline.vae.dtype),
                strength=strength,
                num_inference_steps=steps,
                guidance_scale=guidance if any(texts[part]) else 1.0,
                generator=generators,
                output_type="np",
            ).images

        return in_batches(batch, len(texts), seeds, batch_size)

    def _prompted(self, conditions: Conditions) -> dict[str, Tensor]:
        """As the pipeline takes them, with what guidance moves away from."""
        place = next(self.denoiser.parameters())
        embeddings, empty = conditions[TOKENS].to(place), self.encode_texts([""])[TOKENS].to(place)
        return {"prompt_embeds": embeddings, "negative_prompt_embeds": empty.expand_as(embeddings)}

    def new_words(self, signs: Sequence[str]) -> "TokenEmbeddings":
        """Signs as words to be found; see the protocol.

        Raises:
            ExpungeError: the tokenizer reads one of them as no single token.
        """
        return TokenEmbeddings(self, signs)

    def sampling(self) -> str:
        """Name of the sampler."""
        return type(self.pipeline.scheduler).__name__.removesuffix("Scheduler")

    def with_own_denoiser(self) -> Self:
        """The model with a copy of its denoiser; autoencoder, text encoder and whatever filters prompts are shared."""
        twin = copy.copy(self)
        twin.pipeline = copy.copy(self.pipeline)
        twin.pipeline.register_modules(unet=copy.deepcopy(self.denoiser))
        return twin

    def save(self, folder: Path) -> None:
        """Write a stock diffusers folder, safetensors only, that does not say where its parts were loaded from.

        Raises:
            ExpungeError: the model stands behind a filter.
        """
        self.refuse_filter(folder)
        self.pipeline.save_pretrained(folder, safe_serialization=True)
        for path in (folder / "model_index.json", *folder.glob("*/config.json")):
            config = json.loads(path.read_text(encoding="utf-8"))
            if config.pop("_name_or_path", None) is not None:
                path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a diffusers folder, safetensors only, nothing fetched from a network. Always in float32.

        Raises:
            ExpungeError: weights or vocabulary are missing, or its parts do not fit together.
        """
        weights = list((folder / "unet").glob("*.safetensors"))
        if not weights:
            raise ExpungeError("it holds no unet/*.safetensors; only safetensors weights are read")
        if not any((folder / "tokenizer" / name).is_file() for name in ("vocab.json", "tokenizer.json")):
            # Without them, transformers makes up an empty vocabulary and every prompt means the same.
            raise ExpungeError("it holds no tokenizer/vocab.json or tokenizer/tokenizer.json")
        half = all(".fp16." in each.name for each in weights)
        with LOADING:
            pipeline = StableDiffusionPipeline.from_pretrained(
                folder,
                use_safetensors=True,
                local_files_only=True,
                safety_checker=None,
                dtype=torch.float32,
                variant="fp16" if half else None,
            )
        config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
        named, drawn_with = config.get("_class_name"), type(pipeline.scheduler).__name__
        if named not in (None, drawn_with):
            raise ExpungeError(
                f"scheduler: model_index.json says {drawn_with}, scheduler_config.json {named}; make them agree"
            )
        return cls(_fitting(pipeline))

    @classmethod
    def load_file(cls, file: Path, config: Path) -> Self:
        """Read a single safetensors file with the configuration, vocabulary and scheduler of a folder."""
        with LOADING:
            pipeline = StableDiffusionPipeline.from_single_file(
                str(file), config=str(config), local_files_only=True, safety_checker=None, torch_dtype=torch.float32
            )
        return cls(_fitting(pipeline))


def _fitting(pipeline: StableDiffusionPipeline) -> StableDiffusionPipeline:
    """The pipeline.

    Raises:
        ExpungeError: it is of another family than its index says, or could not be drawn with.
    """
    unet, vae, tokenizer = pipeline.unet.config, pipeline.vae.config, pipeline.tokenizer
    width, window = pipeline.text_encoder.config.hidden_size, pipeline.text_encoder.config.max_position_embeddings
    faults = {
        f"unet: sample_size is {unet.sample_size}; must be one whole number": not isinstance(unet.sample_size, int),
        f"unet: takes {unet.in_channels} channels, not the autoencoder's {vae.latent_channels}; inpainting and other "
        "variants that see more than noise are not drawn with": unet.in_channels != vae.latent_channels,
        f"unet: asks for {unet.addition_embed_type} beside the text, as SDXL does": bool(unet.addition_embed_type),
        "unet: takes the guidance as an input (LCM); such a model is not drawn with": bool(unet.time_cond_proj_dim),
        f"unet: attends to {unet.cross_attention_dim} numbers a token, the text encoder gives {width}": (
            unet.cross_attention_dim != width and unet.encoder_hid_dim != width
        ),
        f"tokenizer: model_max_length is {tokenizer.model_max_length:g}, the text encoder reads {window} tokens; "
        "set it in tokenizer_config.json": tokenizer.model_max_length > window,
    }  # fmt: skip
    for fault, found in faults.items():
        if found:
            raise ExpungeError(fault)
    return pipeline


class TokenEmbeddings:
    """Signs whose token embeddings are given from outside, read by the pipeline's own way of encoding.

    Attributes:
        spread: standard deviation of the elements of all token embeddings.
    """

    def __init__(self, model: StableDiffusion, signs: Sequence[str]) -> None:
        self.model, self.tokenizer = model, model.pipeline.tokenizer
        self.layer = model.pipeline.text_encoder.get_input_embeddings()
        ids = [self._ids(sign) for sign in signs]
        if any(len(each) != 1 for each in ids):
            raise ExpungeError(
                f"embedding attack: the tokenizer reads '{' '.join(signs)}' as {sum(map(len, ids))} tokens, not "
                f"{len(signs)}; it must know each of these signs as one token."
            )
        self.ids = [token for each in ids for token in each]
        self.spread = float(self.layer.weight.std())

    def start(self, names: Sequence[str]) -> Tensor:
        """The mean embedding of known names, once for each sign, ``(count, d)``; of all tokens if there are none."""
        ids = [token for name in names for token in self._ids(name)] or list(range(len(self.layer.weight)))
        return self.layer.weight.detach()[ids].mean(dim=0).expand(len(self.ids), -1).clone()

    def encode(self, texts: Sequence[str], vectors: Tensor) -> Conditions:
        """Conditions, each ``(n, …)``, differentiable in the signs' vectors ``(count, d)``."""

        def read_vectors(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            for token, vector in zip(self.ids, vectors, strict=True):
                output = torch.where((inputs[0] == token).unsqueeze(-1), vector.to(output), output)
            return output

        hook = self.layer.register_forward_hook(read_vectors)
        try:
            return self.model._conditions(list(texts))
        finally:
            hook.remove()

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids
