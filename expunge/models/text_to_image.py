"""What unlearning, benchmark and evaluation ask of a model, whatever family it belongs to.

It imports torch only where it is used: settings that mention a model load in no time.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from expunge.errors import ExpungeError
from expunge.models.batched_drawing import in_batches
from expunge.models.changeable import Changeable
from expunge.models.conditions import Conditions, chosen, filled_up
from expunge.models.hardware import Precision, computing
from expunge.models.latent_pictures import LatentPictures
from expunge.models.noise_process import NoiseProcess

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class NewWords(Protocol):
    """Signs that no sentence holds, standing for words whose embeddings are free to choose.

    Attributes:
        spread: standard deviation of the elements of all known embeddings.
    """

    spread: float

    def start(self, names: Sequence[str]) -> Tensor:
        """The mean embedding of known names, once for each sign, ``(count, d)``; of all words if there are no names."""
        ...

    def encode(self, texts: Sequence[str], vectors: Tensor) -> Conditions:
        """As ``encode_texts``, the signs read as ``vectors`` ``(count, d)``; differentiable in them."""
        ...


class TextToImage(Changeable, NoiseProcess, LatentPictures, ABC):
    """A model that draws what a prompt asks for, and lends its denoiser for unlearning. A family is one adapter.

    Pictures are RGB, uint8, ``(n, h, w, 3)``. What is drawn depends on text, seed, steps and guidance, whatever else is
    drawn with it, up to the floating-point differences between batch sizes.
    """

    _rewrite: Callable[[str], str] | None = None
    _filter_facts: str = ""
    _size: int | None = None
    precision: Precision = "float32"

    @property
    @abstractmethod
    def denoiser(self) -> nn.Module:
        """The part that unlearning changes, in eval mode."""

    @property
    @abstractmethod
    def native_size(self) -> int:
        """Side of the pictures it was made for, in pixels."""

    @property
    def smallest_size(self) -> int:
        """Side of the smallest pictures that it can draw, however badly, in pixels."""
        return self.native_size

    @property
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""
        return self._size or self.native_size

    def at_size(self, size: int | None) -> Self:
        """Draw pictures of another size from now on, in place; None for its own.

        Raises:
            ExpungeError: it cannot draw that size.
        """
        if size is not None and size != self.native_size and (size < self.smallest_size or size % self.smallest_size):
            raise ExpungeError(
                f"size: {size} given; the model draws {self.native_size} pixels"
                + (f", or a multiple of {self.smallest_size}." if self.smallest_size < self.native_size else ".")
            )
        self._size = size
        return self

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder, safetensors only, nothing fetched from a network.

        Raises:
            ExpungeError: it does not hold what the family needs.
        """

    @classmethod
    def load_file(cls, file: Path, config: Path) -> Self:
        """Read a single file, with the configuration of a folder.

        Raises:
            ExpungeError: the family is not kept in single files.
        """
        raise ExpungeError(f"{cls.__name__} is not read from a single file; give a folder")

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Modules, schedulers and tokenizers by name: everything that its pictures depend on."""

    @abstractmethod
    def _conditions(self, texts: list[str]) -> Conditions:
        """Conditions of a batch of texts, each ``(b, …)``."""

    @abstractmethod
    def _sample(
        self, conditions: Conditions, generators: list[torch.Generator], steps: int, guidance: float
    ) -> np.ndarray:
        """Pictures 0–1, ``(b, h, w, 3)``, from the noise of CPU generators, wherever the model is."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.denoiser.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of what the denoiser is given: that of its weights, unless passes round by themselves."""
        import torch

        return torch.float32 if self.precision == "bf16" else next(self.denoiser.parameters()).dtype

    def modules(self) -> list[nn.Module]:
        """Those of the parts that have weights."""
        from torch import nn

        return [each for each in self.parts().values() if isinstance(each, nn.Module)]

    def to(self, device: str, dtype: torch.dtype | None = None) -> Self:
        """Move it to a device, and to another floating-point dtype if one is given; in place.

        Conditions and latents stay on the CPU, in float32, and noise comes from CPU generators: a seed means the same
        everywhere.
        """
        from expunge.models.held_weights import give_back

        if dtype is not None:
            give_back(self.modules())
        # diffusers warns of half precision wherever it is told a dtype, even none.
        where = {"device": device} if dtype is None else {"device": device, "dtype": dtype}
        for each in self.modules():
            each.to(**where)
        return self

    def on(self, device: str, precision: Precision) -> Self:
        """Move it to a device, and have it compute in a precision; in place. With bf16, weights that passes would round
        are held so. Digest and files stay those of what it came as."""
        from expunge.models.held_weights import give_back, hold

        self.precision = precision
        (hold if precision == "bf16" else give_back)(self.modules())
        return self.to(device)

    def digest(self) -> str:
        """SHA-256 over weights, configurations, vocabulary, scheduler and filter. Independent of where it lies."""
        from expunge.models.hashing import content_digest

        return content_digest(self.parts(), type(self).__name__, self._facts(), self._filter_facts)

    def _facts(self) -> str:
        """What pictures depend on beside the parts."""
        return ""

    def cut_off(self, texts: Sequence[str]) -> list[str]:
        """For each text the words that the model does not read, because it is too long; "" if it reads all."""
        return [""] * len(texts)

    def seen(self, texts: Sequence[str]) -> list[str]:
        """The texts as the model gets to see them."""
        return [self._rewrite(text) for text in texts] if self._rewrite else list(texts)

    @abstractmethod
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
        """Image-to-image: noise pictures up to a part of the way and denoise them again.

        Source: Meng et al., *SDEdit*, ICLR 2022, arXiv 2108.01073.

        Args:
            pictures: of the model's size.
            texts: n prompts. Under the empty prompt guidance has nothing to add and is off.
            seeds: n seeds, of the noise.
            strength: how far up the noise goes, 0–1; 1 leaves nothing of the picture.
            steps: of the whole way, of which the strength's share is made.
            guidance: as in ``draw``.
            batch_size: pictures at once.

        Raises:
            ExpungeError: so few steps and so little strength that not one step is made; or the family cannot do it.
        """

    @abstractmethod
    def new_words(self, signs: Sequence[str]) -> NewWords:
        """Signs as words to be found.

        Raises:
            ExpungeError: the model reads one of them as no single token, or knows no words.
        """

    @abstractmethod
    def sampling(self) -> str:
        """Name of the sampler."""

    def encode_texts(self, texts: Sequence[str], batch_size: int = 256) -> Conditions:
        """Conditions as the denoiser takes them, on the CPU. The empty text gives what guidance moves away from."""
        import torch

        seen = self.seen(texts)
        with torch.no_grad(), computing(self.precision, self.device):
            found = [self._conditions(seen[start : start + batch_size]) for start in range(0, len(seen), batch_size)]
        return {name: torch.cat(filled_up([each[name] for each in found])) for name in found[0]}

    def draw(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        steps: int = 20,
        guidance: float = 2.5,
        batch_size: int = 64,
        progress: str = "",
    ) -> np.ndarray:
        """One picture for each text from the noise of its own seed.

        Args:
            texts: n prompts.
            seeds: n seeds.
            steps: sampling steps, ≥ 1.
            guidance: classifier-free guidance scale; 1 switches it off.
            batch_size: pictures at once.
            progress: label of the progress bar; none if empty.

        Raises:
            ExpungeError: a picture is not finite.
        """

        def batch(part: slice, generators: list[torch.Generator]) -> np.ndarray:
            with computing(self.precision, self.device):
                return self._sample(self.encode_texts(texts[part]), generators, steps, guidance)

        return in_batches(batch, len(texts), seeds, batch_size, progress)

    def draw_conditions(
        self, conditions: Conditions, seeds: Sequence[int], steps: int = 20, guidance: float = 2.5, batch_size: int = 64
    ) -> np.ndarray:
        """As ``draw``, under conditions, each ``(n, …)``."""
        import torch

        count = len(next(iter(conditions.values())))

        def batch(part: slice, generators: list[torch.Generator]) -> np.ndarray:
            with computing(self.precision, self.device):
                return self._sample(chosen(conditions, torch.arange(count)[part]), generators, steps, guidance)

        return in_batches(batch, count, seeds, batch_size)

    def behind_filter(self, rewrite: Callable[[str], str], facts: str) -> Self:
        """The model behind a filter of its texts; ``facts`` is all that the filter depends on."""
        twin = copy.copy(self)
        twin._rewrite, twin._filter_facts = rewrite, facts
        return twin

    def refuse_filter(self, folder: Path) -> None:
        """Before saving.

        Raises:
            ExpungeError: the model stands behind a filter.
        """
        if self._rewrite:
            raise ExpungeError(f"text filter: not saved to {folder.name}: the folder would hold the model without it.")
