"""What it takes to train a model and to give it away. Torch is imported when it is needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from expunge.errors import ExpungeError

if TYPE_CHECKING:
    from expunge.models.trained_part import TrainedSettings


class Changeable(ABC):
    """A model of which something can be trained.

    Attributes:
        lasting: what must not be cleared away before the model.
        adapter: the file of what was added to its base's weights, where it was made so.
    """

    lasting: Any = None
    adapter: bytes | None = None

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write a folder from which it can be loaded, safetensors only.

        Raises:
            ExpungeError: the model stands behind a filter.
        """

    def save_adapter(self, file: Path) -> None:
        """Write what was added to its base's weights, as stock diffusers reads it.

        Raises:
            ExpungeError: it was not trained as an adapter.
        """
        if self.adapter is None:
            raise ExpungeError("lora: the model was not trained as one; set unlearning.trained.what to lora")
        file.write_bytes(self.adapter)

    def save_single_file(self, file: Path) -> None:
        """Write denoiser, autoencoder and text encoders as one file.

        Raises:
            ExpungeError: there is no such layout for the family, or the model stands behind a filter.
        """
        raise ExpungeError(f"single-file: there is no such layout for a {type(self).__name__}; export --to diffusers")

    @abstractmethod
    def to_train(self, settings: TrainedSettings, to_step: bool = True) -> Self:
        """The model with a denoiser of its own, of which only a part requires a gradient; what is frozen is shared.

        Args:
            settings: which part.
            to_step: whether that part will be changed; else it shares its memory with this model, too.

        Raises:
            ExpungeError: the denoiser has no such part.
        """

    @abstractmethod
    def trained(self, base: Self) -> Self:
        """The model when its training is over: nothing requires a gradient, and an adapter is part of the weights.

        Args:
            base: what it was made of.
        """

    def adapted(self, file: Path) -> Self:
        """The model with an adapter as part of its weights.

        Raises:
            ExpungeError: it belongs to another model, or has no effect; or the family takes none.
        """
        raise ExpungeError(f"adapter: none is loaded into a {type(self).__name__}")

    @abstractmethod
    def with_own_denoiser(self) -> Self:
        """The model with a copy of its denoiser, so that changing it leaves this one as it is; the rest is shared."""
