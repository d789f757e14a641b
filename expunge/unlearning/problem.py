"""The two objectives on a denoiser: their losses and gradients, one set of tensors each."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from expunge.models.adapter import original_of
from expunge.models.noise_process import NoiseProcess
from expunge.unlearning.batches import Batch, LatentSets, predict, present
from expunge.unlearning.forget import ForgetLoss, Seen, make_forget_loss
from expunge.unlearning.objectives import alignment_loss, noise_prediction_error, retain_loss
from expunge.unlearning.unlearn_settings import AS_PUBLISHED, Alignment


@dataclass(frozen=True)
class Objectives:
    """What is minimised.

    Attributes:
        retain_weight: λ, of the retain loss.
        forget_threshold: τ of the truncated forget loss, squared noise units.
        alignment: retain loss against the ``data`` or the ``original`` model's prediction.
        forget: weights of the forget losses, by name.
        forget_guidance: η of the anchor.
    """

    retain_weight: float = 1.0
    forget_threshold: float = 1.0
    alignment: Alignment = "data"
    forget: Mapping[str, float] = field(default_factory=lambda: AS_PUBLISHED)
    forget_guidance: float = 0.0

    @cached_property
    def forget_loss(self) -> ForgetLoss:
        """The forget loss.

        Raises:
            ExpungeError: a name or weight is wrong.
        """
        return make_forget_loss(self.forget, self.forget_threshold, self.forget_guidance)


def trained_parameters(denoiser: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that require a gradient, by name. A frozen parameter takes no part.

    Raises:
        ValueError: there are none.
    """
    trained = {name: p for name, p in denoiser.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("the denoiser has no parameter that requires a gradient")
    return trained


class Problem:
    """Forget loss and retain loss over one denoiser's trained parameters.

    Args:
        denoiser: trained in place.
        process: adds the noise.
        objectives: what is minimised.
        sets: what the batches are drawn from, for those that want to see it whole.
        original: the denoiser at θ₀, where somebody has it and leaves it as it is; else it is made where it is needed.

    Attributes:
        parameters: what is trained, by name.
        original: the denoiser at θ₀, frozen; only where a loss or a method needs it.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        process: NoiseProcess,
        objectives: Objectives,
        sets: LatentSets | None = None,
        original: nn.Module | None = None,
    ) -> None:
        self.denoiser, self.process, self.objectives, self.known_sets = denoiser, process, objectives, sets
        self.parameters = trained_parameters(denoiser)
        self.original = original
        if objectives.alignment == "original" or objectives.forget_loss.forward_passes:
            self.original_denoiser()

    @property
    def sets(self) -> LatentSets:
        """The sets.

        Raises:
            ExpungeError: they are not known.
        """
        return present(self.known_sets, "sets: what is to be forgotten and retained is not known, but needed here")

    def original_denoiser(self) -> nn.Module:
        """The denoiser at θ₀, frozen, made now if there is none: a method asks for it before its first step."""
        if self.original is None:
            self.original = original_of(self.denoiser)
        return self.original

    @property
    def forget_passes(self) -> float:
        """What a forget batch costs: 1, and a third for each prediction of the original."""
        return 1 + self.objectives.forget_loss.forward_passes / 3

    @property
    def retain_passes(self) -> float:
        """What a retain batch costs: 1, and a third where the original predicts it too."""
        return 1.0 if self.objectives.alignment == "data" else 1 + 1 / 3

    def forget_loss(self, batch: Batch) -> Tensor:
        """Forget loss, a scalar."""
        batch = self.placed(batch)
        return self.objectives.forget_loss(
            Seen(batch, *predict(self.denoiser, self.process, batch), self.original_prediction)
        )

    def retain_loss(self, batch: Batch) -> Tensor:
        """Retain loss as the alignment says, a scalar. The original is asked with a picture's anchor where it has one:
        what stands for something forgotten earlier stays what it was to be."""
        batch = self.placed(batch)
        prediction, target = predict(self.denoiser, self.process, batch)
        if self.objectives.alignment == "data":
            return retain_loss(noise_prediction_error(prediction, target))
        asked = batch if batch.anchors is None else batch.under_anchors()
        return alignment_loss(prediction, self.original_prediction(asked))

    @torch.no_grad()
    def original_prediction(self, batch: Batch) -> Tensor:
        """The frozen original's prediction, ``(b, c, h, w)``."""
        return predict(self.original_denoiser(), self.process, batch)[0]

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
