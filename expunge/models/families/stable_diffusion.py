"""Stable Diffusion 1 and 2 (Rombach et al., CVPR 2022, arXiv 2112.10752): a UNet that attends to a text."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from torch import Tensor, nn

from expunge.errors import ExpungeError
from expunge.models.conditions import Conditions
from expunge.models.diffusion import DiffusionModel


class StableDiffusion(DiffusionModel):
    """Predicts noise, velocities or pictures; one text encoder."""

    PIPELINE = StableDiffusionPipeline
    DENOISER = "unet"
    ENCODING: ClassVar = {"num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    REDRAWING = StableDiffusionImg2ImgPipeline
    REDRAWN_WITH: ClassVar = {"requires_safety_checker": False}
    READ_WITH: ClassVar = {"safety_checker": None}

    def new_words(self, signs: Sequence[str]) -> "TokenEmbeddings":
        """Signs as words to be found; see the protocol.

        Raises:
            ExpungeError: the tokenizer reads one of them as no single token.
        """
        return TokenEmbeddings(self, signs)

    def _fit(self) -> None:
        unet, vae, tokenizer = self.pipeline.unet.config, self.pipeline.vae.config, self.pipeline.tokenizer
        encoder = self.pipeline.text_encoder.config
        width, window = encoder.hidden_size, encoder.max_position_embeddings
        faults = {
            f"unet: sample_size is {unet.sample_size}; must be one whole number": not isinstance(unet.sample_size, int),
            f"unet: takes {unet.in_channels} channels, not the autoencoder's {vae.latent_channels}; inpainting and "
            "other variants that see more than noise are not drawn with": unet.in_channels != vae.latent_channels,
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
        super()._fit()


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
