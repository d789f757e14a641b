"""A control variate for the retain gradient: the same pictures and noise at θ and at θ₀.

Source: stochastic variance reduced gradient (SVRG), Johnson & Zhang, NeurIPS 2013, the update of its algorithm, with θ₀
as the only snapshot. For a batch of b pictures,

    ĝ_r = g_r(θ; batch) − (1/b) Σ_k w_k (g_k(θ₀) − ḡ),

with g_k(θ₀) the gradient of picture k at θ₀ under the same noise, ḡ the cached full gradient at θ₀, and w_k how likely
a picture is among all of the set, evenly drawn, over how likely it is in this batch: 1 for a balanced batch from
strata of equal size, 0 under the empty prompt, which the cached gradient does not know. Every term of the sum has mean
zero, so ĝ_r has the mean of g_r; near θ₀ the two gradients are nearly equal, and with w = 1 only ḡ is left.

Differs from the paper: ḡ is itself an estimate, from as many draws of noise as the cache was made with (``draws``); its
error, unlike a batch's, is the same at every step. The snapshot is not renewed: far from θ₀ the variance may rise above
the plain gradient's.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from expunge.errors import ExpungeError
from expunge.unlearning.cache import GradientCache
from expunge.unlearning.data import Batch, denoising_error
from expunge.unlearning.problem import Problem


class ControlVariate:
    """Corrects retain gradients of the data loss.

    Args:
        problem: at θ₀; its trained parameters are copied.
        cache: holds ḡ.

    Raises:
        ExpungeError: the alignment is not ``data``, or there is no cache.
    """

    def __init__(self, problem: Problem, cache: GradientCache | None) -> None:
        if problem.alignment == "original":
            raise ExpungeError(
                "control_variate is true with alignment 'original', where the original's prediction already is a "
                "control variate: its gradient at θ₀ is zero for every batch; set control_variate to false"
            )
        if problem.alignment != "data":
            raise ExpungeError(
                f"control_variate is true with alignment '{problem.alignment}': it corrects the data loss alone; set "
                "alignment to 'data', or control_variate to false"
            )
        if cache is None:
            raise ExpungeError("control_variate is true but there is no gradient cache; make one, or set it to false")
        self.problem = problem
        self.start = {name: nn.Parameter(p.detach().clone()) for name, p in problem.parameters.items()}
        self.mean = [cache.retain[name].to(p) if name in cache.retain else None for name, p in self.start.items()]

    @torch.no_grad()
    def correct(self, retain: Sequence[Batch], gradient: list[Tensor | None]) -> list[Tensor | None]:
        """ĝ_r from the batches' plain gradient, which is overwritten. One pass a batch, forward and backward."""
        with torch.enable_grad():
            _, at_start = self.problem.gradient(self._weighted_loss, retain, self.start)
        pictures = sum(map(len, retain))
        weight = sum(_weights(batch).sum().item() for batch in retain) / pictures
        corrected: list[Tensor | None] = []
        for plain, here, mean in zip(gradient, at_start, self.mean, strict=True):
            terms = [(t, c) for t, c in ((here, -1.0), (mean, weight)) if t is not None]
            for term, scalar in terms:
                plain = term * scalar if plain is None else plain.add_(term, alpha=scalar)
            corrected.append(plain)
        return corrected

    def _weighted_loss(self, batch: Batch) -> Tensor:
        placed = self.problem.placed(batch)
        losses = denoising_error(self._at_start, self.problem.scheduler, placed).flatten(1).mean(dim=1)
        return (losses * _weights(placed).to(losses)).mean()

    def _at_start(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Any:
        """The denoiser with its trained parameters at θ₀."""
        start: dict[str, Tensor] = {**self.start}
        inputs = {"encoder_hidden_states": encoder_hidden_states}
        return functional_call(self.problem.unet, start, (sample, timestep), inputs)


def _weights(batch: Batch) -> Tensor:
    return torch.ones(len(batch), dtype=torch.float64) if batch.weights is None else batch.weights
