"""What models that diffusers has a pipeline for share; a family adds how its denoiser is asked.

Texts are encoded and pictures drawn by the pipeline itself: what is trained is what is drawn.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from expunge.errors import ExpungeError, UnsupportedError
from expunge.models.adapter import FILE, adapted_layers, adapter_file, apply_adapter, merge
from expunge.models.autoencoded import Autoencoded
from expunge.models.batched_drawing import in_batches
from expunge.models.conditions import TOKENS, Conditions, cast
from expunge.models.hardware import computing
from expunge.models.held_weights import as_they_came
from expunge.models.loading import LOADING
from expunge.models.pipeline_folder import UNUSED, read_pipeline, write_pipeline
from expunge.models.single_file import write_single_file
from expunge.models.text_to_image import NewWords, TextToImage
from expunge.models.text_window import TextWindow
from expunge.models.trained_part import TrainedSettings, own_copy, prepare

POOLED, MASK = "pooled", "mask"  # one vector a text, ``(n, d)``; which tokens count, ``(n, tokens)``
ADAPTER = f"lora/{FILE}"  # in a model's folder
UNCONDITIONAL = "unconditional "  # before the name of what guidance moves away from

# Loading takes a second; its bars would drown those of long work.
diffusers_logging.disable_progress_bar()
transformers_logging.disable_progress_bar()


class DiffusersModel(TextWindow, Autoencoded, TextToImage):
    """A diffusers pipeline as a model.

    Args:
        pipeline: the pipeline, float32.
        folder: the one it was read from; None if it was made here.

    Attributes:
        pipeline: the pipeline, in eval mode.
        folder: as given.

    Raises:
        ExpungeError: its parts do not fit together.
    """

    PIPELINE: ClassVar[Any]  # its class
    DENOISER: ClassVar[str] = "transformer"
    ENCODING: ClassVar[Mapping[str, Any]] = {}  # what ``encode_prompt`` is told beside the texts
    ENCODED: ClassVar[tuple[str, ...]] = (TOKENS,)  # what it answers, in order
    ASKED: ClassVar[Mapping[str, str]] = {TOKENS: "prompt_embeds"}  # how the pipeline calls conditions
    GUIDED: ClassVar[bool] = True  # whether it takes conditions for guidance to move away from
    DRAWING: ClassVar[Mapping[str, Any]] = {}  # what the pipeline is told beside the usual
    REDRAWING: ClassVar[Any] = None  # class of the pipeline for image-to-image
    REDRAWN_WITH: ClassVar[Mapping[str, Any]] = {}  # what that is made with beside the components
    READ_WITH: ClassVar[Mapping[str, Any]] = {}  # what ``from_single_file`` is told beside the usual

    def __init__(self, pipeline: Any, folder: Path | None = None) -> None:
        self.pipeline, self.folder = pipeline, folder
        self._sampler = dict(pipeline.scheduler.config)
        pipeline.set_progress_bar_config(disable=True)
        for each in self.modules():
            each.eval().requires_grad_(False)
        self._fit()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a diffusers folder; see the protocol. Always in float32."""
        model = cls(read_pipeline(cls.PIPELINE, folder, cls.DENOISER), folder)
        if (folder / ADAPTER).is_file():
            model.adapter = (folder / ADAPTER).read_bytes()
        return model

    @classmethod
    def load_file(cls, file: Path, config: Path) -> Self:
        """Read a single safetensors file with the configuration, vocabulary and scheduler of a folder."""
        if not hasattr(cls.PIPELINE, "from_single_file"):
            return super().load_file(file, config)
        with LOADING:
            pipeline = cls.PIPELINE.from_single_file(
                str(file), config=str(config), local_files_only=True, torch_dtype=torch.float32, **cls.READ_WITH
            )
        return cls(pipeline)

    def save(self, folder: Path) -> None:
        """Write a stock diffusers folder, safetensors only: the denoiser, and the other parts as they were.

        Raises:
            ExpungeError: the model stands behind a filter, or the folder that it was read from is gone.
        """
        self.refuse_filter(folder)
        with as_they_came(self.modules()):
            write_pipeline(self.pipeline, self.DENOISER, self.folder, folder)
        if self.adapter:
            (folder / ADAPTER).parent.mkdir(exist_ok=True)
            (folder / ADAPTER).write_bytes(self.adapter)

    def save_single_file(self, file: Path) -> None:
        """Write denoiser, autoencoder and text encoders as one file; see the protocol."""
        self.refuse_filter(file)
        with as_they_came(self.modules()):
            write_single_file(self.pipeline, file)

    @property
    def denoiser(self) -> nn.Module:
        """The part that unlearning changes, in eval mode."""
        return getattr(self.pipeline, self.DENOISER)

    @property
    def _config(self) -> Any:
        """The denoiser's configuration."""
        return self.denoiser.config

    @property
    def native_size(self) -> int:
        """As the denoiser's configuration says, else the pipeline's default."""
        side = self._config.get("sample_size") or self.pipeline.default_sample_size
        return side * self.pipeline.vae_scale_factor

    @property
    def smallest_size(self) -> int:
        """Latents of 8 × 8."""
        return 8 * self.pipeline.vae_scale_factor

    def parts(self) -> dict[str, Any]:
        """All that the pipeline draws with."""
        known = self.pipeline.components
        return {name: part for name, part in known.items() if part is not None and name not in UNUSED}

    def sampling(self) -> str:
        """Name of the sampler."""
        return type(self.pipeline.scheduler).__name__.removesuffix("Scheduler")

    def with_own_denoiser(self) -> Self:
        """The model with a copy of its denoiser; everything else is shared."""
        return self._with(own_copy(self.denoiser))

    def _with(self, denoiser: nn.Module) -> Self:
        twin = copy.copy(self)
        twin.pipeline, twin.adapter = copy.copy(self.pipeline), None
        twin.pipeline.register_modules(**{self.DENOISER: denoiser})
        return twin

    def to_train(self, settings: TrainedSettings, to_step: bool = True) -> Self:
        """The model with a denoiser to be trained; see the protocol."""
        return self._with(prepare(self.denoiser, settings, to_step))

    def trained(self, base: Self) -> Self:
        """The model when its training is over; see the protocol."""
        if adapted_layers(self.denoiser):
            self.adapter = adapter_file(self.pipeline, self.DENOISER, self.denoiser, base.digest())
            merge(self.denoiser)
        self.denoiser.requires_grad_(False)
        return self

    def adapted(self, file: Path) -> Self:
        """The model with an adapter as part of its weights; see the protocol."""
        twin = self.with_own_denoiser()
        apply_adapter(twin.pipeline, self.DENOISER, file, self.digest())
        twin.adapter = file.read_bytes()
        return twin

    def new_words(self, signs: Sequence[str]) -> NewWords:
        """Refused, where a family does not say otherwise.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"model: of {type(self).__name__}, words with embeddings of their own are not there.")

    def _encoded(self, texts: list[str], **more: Any) -> Conditions:
        """What the pipeline's own ``encode_prompt`` makes of texts."""
        answer = self.pipeline.encode_prompt(list(texts), device=self.device, **{**self.ENCODING, **more})
        return dict(zip(self.ENCODED, answer, strict=False))

    def _conditions(self, texts: list[str]) -> Conditions:
        """Under the empty text stands the sampler's own unconditional branch, which may be encoded in another way."""
        found = self._encoded(texts)
        own = {name: each for name, each in found.items() if not name.startswith(UNCONDITIONAL)}
        if UNCONDITIONAL + TOKENS in self.ENCODED and not all(texts):
            guided = self._encoded([""], do_classifier_free_guidance=True)
            empty = torch.tensor([not text for text in texts], device=self.device)
            for name, each in own.items():
                instead = guided[UNCONDITIONAL + name].to(each)
                own[name] = torch.where(empty.view(-1, *(1,) * (each.dim() - 1)), instead, each)
        return cast(own, torch.device("cpu"), torch.float32)

    def _prompted(self, conditions: Conditions, guidance: float) -> dict[str, Any]:
        """Conditions and guidance as the pipeline takes them."""
        given = {self.ASKED[name]: each for name, each in cast(conditions, self.device, self.dtype).items()}
        if self.GUIDED:
            empty = cast(self._empty(len(conditions[TOKENS])), self.device, self.dtype)
            given |= {f"negative_{self.ASKED[name]}": each for name, each in empty.items()}
        return {"guidance_scale": guidance, **given}

    def _empty(self, count: int) -> Conditions:
        """What guidance moves away from, ``count`` times."""
        return {name: each.expand(count, *each.shape[1:]) for name, each in self.encode_texts([""]).items()}

    def _packed(self, latents: Tensor) -> Tensor:
        """Latents ``(b, c, h, w)`` as the pipeline takes them."""
        return latents

    def _sample(
        self, conditions: Conditions, generators: list[torch.Generator], steps: int, guidance: float
    ) -> np.ndarray:
        noise = torch.cat([torch.randn((1, *self.latent_shape), generator=each) for each in generators])
        pictures = self.pipeline(
            **self._prompted(conditions, guidance),
            latents=self._packed(noise.to(self.device, self.dtype)),
            height=self.size,
            width=self.size,
            num_inference_steps=steps,
            generator=generators,
            output_type="np",
            **self.DRAWING,
        ).images
        self._restore_sampler()
        return pictures

    def _restore_sampler(self) -> None:
        """Some samplers change their own configuration while they sample; a model stays what it was."""
        sampler = self.pipeline.scheduler
        if dict(sampler.config) != self._sampler:
            self.pipeline.register_modules(scheduler=type(sampler).from_config(self._sampler))

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
            UnsupportedError: the family has no such pipeline.
        """
        if self.REDRAWING is None:
            raise UnsupportedError(f"model: of {type(self).__name__}, image-to-image is not there for it.")
        if int(steps * strength) < 1:
            raise ExpungeError(
                f"strength: {strength:g} of {steps} steps is less than one step; "
                f"take a strength of at least {1 / steps:.2g}, or more steps."
            )
        pipeline = self.REDRAWING(**self.pipeline.components, **self.REDRAWN_WITH)
        pipeline.set_progress_bar_config(disable=True)

        def batch(part: slice, generators: list[torch.Generator]) -> np.ndarray:
            with computing(self.precision, self.device):
                return pipeline(
                    **self._prompted(self.encode_texts(texts[part]), guidance if any(texts[part]) else 1.0),
                    image=(torch.from_numpy(pictures[part]).permute(0, 3, 1, 2).float() / 255).to(self.dtype),
                    strength=strength,
                    num_inference_steps=steps,
                    generator=generators,
                    output_type="np",
                ).images

        redrawn = in_batches(batch, len(texts), seeds, batch_size)
        self._restore_sampler()
        return redrawn

    def _fit(self) -> None:
        """Raise ``ExpungeError`` if the parts do not fit together."""
        if self.native_size % self.smallest_size:
            raise ExpungeError(
                f"{self.DENOISER}: draws pictures of {self.native_size} pixels; must be a multiple of "
                f"{self.smallest_size}, see sample_size in its config.json"
            )
        for name, part in self.parts().items():
            if name.startswith("tokenizer"):
                encoder = getattr(self.pipeline, name.replace("tokenizer", "text_encoder"))
                words, known = len(getattr(part, "tokenizer", part)), encoder.get_input_embeddings().num_embeddings
                if words > known:
                    raise ExpungeError(
                        f"{name}: has {words} words, its text encoder knows {known}; they are not of one model"
                    )
