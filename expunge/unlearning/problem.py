"""The two objectives on a denoiser: their losses and gradients, one set of tensors each."""

import copy
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import cast

import torch
from torch import Tensor, nn

from expunge.errors import present
from expunge.models.adapter import original_of
from expunge.models.noise_process import NoiseProcess
from expunge.unlearning.batches import Batch, LatentSets, denoising_error, predict
from expunge.unlearning.forget import ForgetLoss, Seen, make_forget_loss
from expunge.unlearning.objectives import alignment_loss, retain_loss
from expunge.unlearning.ranks import ALONE, Ranks
from expunge.unlearning.sharding import gathered, local, shard_of
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
        ranks: the processes that train it together.

    Attributes:
        trained: parameters that are trained, by name.
        parameters: the same, of sharded ones this process's shards: what is changed, in place.
        original: the denoiser at θ₀, frozen; only where a loss or a method needs it.
        still: entries of the parameters that are not to move, by name, bool of the same shape; see ``within``.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        process: NoiseProcess,
        objectives: Objectives,
        sets: LatentSets | None = None,
        original: nn.Module | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.denoiser, self.process, self.objectives, self.known_sets = denoiser, process, objectives, sets
        self.ranks, self.trained = ranks, trained_parameters(denoiser)
        self.parameters = {name: cast(nn.Parameter, local(p)) for name, p in self.trained.items()}
        self.original, self.still = original, dict[str, Tensor]()
        if objectives.alignment == "original" or objectives.forget_loss.forward_passes:
            self.original_denoiser()

    @property
    def sets(self) -> LatentSets:
        """The sets.

        Raises:
            ExpungeError: they are not known.
        """
        return present(self.known_sets, "sets: what is to be forgotten and retained is not known, but needed here")

    def within(self, moving: Mapping[str, Tensor]) -> "Problem":
        """The same problem in the subspace of some entries: gradients are zero elsewhere, and nothing else moves.

        Args:
            moving: entries that may, by parameter, bool of its whole shape, the same in all processes; of a parameter
                that is missing, none.
        """
        inner, rank, size = copy.copy(self), self.ranks.rank, self.ranks.size
        inner.still = {
            name: ~shard_of(moving[name], p, rank, size).to(p.device)
            if name in moving
            else torch.ones_like(p, dtype=torch.bool)
            for name, p in self.parameters.items()
        }
        return inner

    def masked(self, name: str, gradient: Tensor) -> Tensor:
        """A parameter's gradient, or step, with zeros where it is not to move."""
        return gradient.masked_fill(self.still[name], 0.0) if name in self.still else gradient

    @torch.no_grad()
    def put(self, name: str, value: Tensor) -> None:
        """Give a parameter a value, where it may move."""
        parameter = self.parameters[name]
        parameter.copy_(torch.where(self.still[name], parameter, value) if name in self.still else value)

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
        if self.objectives.alignment == "data":
            return self.data_loss(batch)
        batch = self.placed(batch)
        asked = batch if batch.anchors is None else batch.under_anchors()
        prediction, _ = predict(self.denoiser, self.process, batch)
        return alignment_loss(prediction, self.original_prediction(asked))

    def data_loss(self, batch: Batch) -> Tensor:
        """Retain (data) loss, whatever the alignment, a scalar."""
        return retain_loss(denoising_error(self.denoiser, self.process, self.placed(batch)))

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
            loss_of: a scalar for each batch, the mean of what its members have; no random numbers.
            batches: at least one.
            parameters: by which the gradient is taken; None for all that are trained.
        """
        named = self.trained if parameters is None else parameters
        wanted = list(named.values())
        total_loss, total = 0.0, list[Tensor | None]([None] * len(wanted))
        for batch, share in self.ranks.parts(batches):
            if self.ranks.sharded:
                loss, found = self._backward(loss_of, batch, share), [_taken(p) for p in wanted]
            else:
                loss = loss_of(batch) * share
                found = list(torch.autograd.grad(loss, wanted, allow_unused=True))
            total_loss += loss.item()
            total = [g if t is None else (t if g is None else t.add_(g)) for t, g in zip(total, found, strict=True)]
        if not self.ranks.sharded:
            total = [None if g is None else self.ranks.sum(g) for g in total]
        for place, (name, g) in enumerate(zip(named, total, strict=True)):
            total[place] = None if g is None else self.masked(name, g)
        return self.ranks.total(total_loss), total

    def each_gradient(
        self, loss_of: Callable[[Batch], Tensor], batch: Batch, take: Callable[[int, Tensor], None]
    ) -> float:
        """Mean of a loss over a batch. Its gradient is given away parameter by parameter as the pass finds it, so that
        it is never whole in memory.

        Args:
            loss_of: as in `gradient`.
            batch: the batch.
            take: given each parameter's place among the trained ones, and its gradient; not those without one.
        """

        names = list(self.trained)

        def give(index: int, parameter: Tensor) -> None:
            gradient = _taken(parameter)
            if gradient is not None:
                summed = gradient if self.ranks.sharded else self.ranks.sum(gradient)
                take(index, self.masked(names[index], summed))

        ((part, share),) = self.ranks.parts([batch])
        with ExitStack() as hooks:
            for index, parameter in enumerate(self.trained.values()):
                hooks.callback(parameter.register_post_accumulate_grad_hook(partial(give, index)).remove)
            return self.ranks.total(self._backward(loss_of, part, share).item())

    def _backward(self, loss_of: Callable[[Batch], Tensor], part: Batch, share: float) -> Tensor:
        """A part's share of a loss, after its backward pass. FSDP2 averages gradients over processes; they are to be
        summed."""
        loss = loss_of(part) * share
        (loss * self.ranks.size if self.ranks.sharded else loss).backward()
        return loss.detach()

    def value(self, loss_of: Callable[[Batch], Tensor], batch: Batch) -> float:
        """A loss of a batch, without a gradient."""
        with torch.no_grad():
            return self.ranks.total(sum(loss_of(part).item() * share for part, share in self.ranks.parts([batch])))

    def whole(self, shards: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors by parameter, from what each process has of them, which it lets go; the first one's, the others get
        none."""
        return gathered(shards, self.trained, self.ranks.first)

    def placed(self, batch: Batch) -> Batch:
        """The batch where the parameters are and in their dtype."""
        first = next(iter(self.parameters.values()))
        return batch.to(first.device, first.dtype)


def _taken(parameter: Tensor) -> Tensor | None:
    """A parameter's gradient, of a sharded one the shard's; it is let go."""
    gradient, parameter.grad = parameter.grad, None
    return None if gradient is None else local(gradient)
