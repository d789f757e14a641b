"""The two objectives on a denoiser: their losses and gradients, one set of tensors each."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from expunge.models.text_to_image import NoiseProcess
from expunge.unlearning.batches import Batch, LatentSet, denoising_error, predict
from expunge.unlearning.objectives import (
    alignment_loss,
    noise_prediction_error,
    retain_loss,
    truncated_forget_loss,
)
from expunge.unlearning.unlearn_settings import Alignment


def trained_parameters(denoiser: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that require a gradient, by name. A frozen parameter takes no part.

    Raises:
        ValueError: there are none.
    """
    trained = {name: p for name, p in denoiser.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("the denoiser has no parameter that requires a gradient")
    return trained


@dataclass
class Problem:
    """Forget loss and retain loss over one denoiser's trained parameters.

    Attributes:
        denoiser: the denoiser; trained in place.
        process: adds the noise.
        learning_rate: η.
        retain_weight: λ.
        forget_threshold: τ of the truncated forget loss, squared noise units.
        alignment: retain loss against the ``data``, the ``original`` model's prediction, or the mean of
            ``both``.
        forget_set: what the forget batches are drawn from, for methods that want to see it whole.
        retain_set: the same of the retain batches.
        forget_weight: w > 0 of the forget loss against λ of the retain loss; less than 1 where the target is gone and
            what that cost is taken back. Published methods do not know it.
        on_retain: called with every retain batch whose loss is taken, and the retain loss of each of its pictures,
            ``(b,)`` without gradient: the distance to the original where the alignment asks for it, else the data loss.
        parameters: what is trained, by name.
        original: frozen copy of the denoiser at θ₀; only where the alignment or a method needs one.
    """

    denoiser: nn.Module
    process: NoiseProcess
    learning_rate: float
    retain_weight: float
    forget_threshold: float
    alignment: Alignment = "data"
    forget_set: LatentSet | None = None
    retain_set: LatentSet | None = None
    on_retain: Callable[[Batch, Tensor], None] | None = None
    forget_weight: float = 1.0
    parameters: dict[str, nn.Parameter] = field(init=False)
    original: nn.Module | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.parameters = trained_parameters(self.denoiser)
        if self.alignment != "data":
            self.original_denoiser()

    def original_denoiser(self) -> nn.Module:
        """The frozen copy at θ₀, made now if there is none: a method asks for it before its first step."""
        if self.original is None:
            self.original = copy.deepcopy(self.denoiser).requires_grad_(False).eval()
        return self.original

    @property
    def retain_passes(self) -> float:
        """What a retain batch costs: 1, and a third where the original predicts it too."""
        return 1.0 if self.alignment == "data" else 1 + 1 / 3

    def forget_loss(self, batch: Batch) -> Tensor:
        """Truncated forget loss, a scalar."""
        return truncated_forget_loss(
            denoising_error(self.denoiser, self.process, self.placed(batch)), self.forget_threshold
        )

    def retain_loss(self, batch: Batch) -> Tensor:
        """Retain loss as the alignment says, a scalar."""
        batch = self.placed(batch)
        prediction, target = predict(self.denoiser, self.process, batch)
        error = noise_prediction_error(prediction, target)
        data_loss = retain_loss(error)
        if self.alignment == "data":
            self._report_retain(batch, error)
            return data_loss
        with torch.no_grad():
            original, _ = predict(self.original_denoiser(), self.process, batch)
        self._report_retain(batch, noise_prediction_error(prediction, original))
        distance = alignment_loss(prediction, original)
        return distance if self.alignment == "original" else (data_loss + distance) / 2

    def _report_retain(self, batch: Batch, error: Tensor) -> None:
        if self.on_retain is not None:
            self.on_retain(batch, error.detach().flatten(1).mean(dim=1))

    def forget_gradient(self, batches: Iterable[Batch]) -> tuple[float, list[Tensor | None]]:
        """Mean forget loss over the batches, weighted by their sizes, and its gradient."""
        return self.gradient(self.forget_loss, batches)

    def retain_gradient(self, batches: Iterable[Batch]) -> tuple[float, list[Tensor | None]]:
        """Mean retain loss over the batches, weighted by their sizes, and its gradient."""
        return self.gradient(self.retain_loss, batches)

    def no_gradient(self) -> list[Tensor | None]:
        """An absent objective: zero everywhere."""
        return [None] * len(self.parameters)

    def gradient(
        self,
        loss_of: Callable[[Batch], Tensor],
        batches: Iterable[Batch],
        parameters: Mapping[str, nn.Parameter] | None = None,
    ) -> tuple[float, list[Tensor | None]]:
        """Mean of a loss over the batches, weighted by their sizes, and its gradient.

        Args:
            loss_of: a scalar for each batch.
            batches: at least one.
            parameters: by which the gradient is taken; None for all that are trained.
        """
        wanted = list((self.parameters if parameters is None else parameters).values())
        batches = list(batches)
        total_size, total_loss = sum(map(len, batches)), 0.0
        total: list[Tensor | None] = [None] * len(wanted)
        for batch in batches:
            loss = loss_of(batch) * (len(batch) / total_size)
            gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
            total_loss += loss.item()
            total = [g if t is None else (t if g is None else t.add_(g)) for t, g in zip(total, gradients, strict=True)]
        return total_loss, total

    def placed(self, batch: Batch) -> Batch:
        """The batch where the parameters are and in their dtype."""
        first = next(iter(self.parameters.values()))
        return batch.to(first.device, first.dtype)
