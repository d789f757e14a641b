"""The optimiser that takes its products in the metric of the step that it then takes.

Notation as in `expunge.unlearning.gradients`; m_f, m_r first moments; v second moment; η learning rate.
"""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from expunge.unlearning.gradients import (
    HUGE,
    Coefficients,
    coefficients,
    combine_tensor,
    refuse_non_finite,
)
from expunge.unlearning.products import Gradients, Products
from expunge.unlearning.step_report import Rows, StepReport, report_of
from expunge.unlearning.stretches import Stretch, Stretches

Scope = Literal["model", "tensor"]


class RestrictedAdam:
    """AdamW-like steps along the restricted gradient, taken in the metric of the step itself.

    One step, in this order:

    1. v ← β v + (1 − β) (g_f² + λ² g_r²), shared by both objectives; P = diag(√v̂ + ε).
    2. m_f, m_r ← their own moving averages; without momentum, the gradients themselves.
    3. c_f, c_r from <m̂_f,m̂_f>, <m̂_f,m̂_r>, <m̂_r,m̂_r> with <a,b> = aᵀ P⁻¹ b.
    4. θ ← θ − η P⁻¹ (c_f m̂_f + c_r m̂_r).

    Everything before the coefficients is done stretch by stretch in one pass over memory, everything after them in
    another; P is formed twice instead of kept. Memory: the moments, which lie in one vector each, as much for the
    gradient of an objective without momentum, and a stretch or two. Products are accumulated in float64.

    To first order, neither of the two (averaged) losses rises in step 4. A preconditioner is any positive
    diagonal, so the choice of v is free: the sum of squares does not vanish where the two gradients
    cancel, which the square of their sum would, and with it the step there would blow up.

    Weight decay is decoupled, acts before the step and is NOT covered by the guarantee (default 0).
    Limiting the step's norm scales d as a whole and is covered. Parameters must be float32 or float64: a
    rounded half-precision update is not the step whose products were taken; keep float32 weights and use
    autocast for the forward pass.

    Differs from the paper (arXiv 2412.07808): products in Adam's metric instead of Euclidean; one first
    moment per objective instead of one moment of the projected sum.

    Args:
        parameters: what is trained, by name.
        learning_rate: η > 0.
        retain_weight: λ > 0.
        forget_momentum: decay of m_f, 0 ≤ β < 1; 0 keeps no moment.
        retain_momentum: decay of m_r.
        second_momentum: decay of v.
        epsilon: ε > 0.
        weight_decay: ≥ 0.
        max_step_norm: upper bound of √(dᵀ P⁻¹ d); None for no bound.
        scope: one pair of coefficients for the whole ``model``, or one for every ``tensor``.

    Raises:
        ValueError: a parameter is neither float32 nor float64.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        learning_rate: float,
        retain_weight: float,
        forget_momentum: float = 0.9,
        retain_momentum: float = 0.9,
        second_momentum: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        max_step_norm: float | None = None,
        scope: Scope = "model",
    ) -> None:
        for name, parameter in parameters.items():
            if parameter.dtype not in (torch.float32, torch.float64):
                raise ValueError(
                    f"parameter {name} is {parameter.dtype}: must be float32 or float64; "
                    "use autocast for half-precision passes"
                )
        self.names, self.parameters = list(parameters), list(parameters.values())
        self.learning_rate, self.retain_weight = learning_rate, retain_weight
        self.epsilon, self.weight_decay = epsilon, weight_decay
        self.max_step_norm, self.scope = max_step_norm, scope
        self.decay = {"forget": forget_momentum, "retain": retain_momentum, "second": second_momentum}
        # Weight that each average has gathered so far, 1 − βᵗ for a cold start, 1 for a warm one.
        self.weight = {"forget": 0.0, "retain": 0.0, "second": 0.0}
        # An objective without momentum, a decay of 0, has its gradient for an average.
        self.stretches = Stretches(self.parameters, kept=tuple(self.decay), scratch=("root", "direction"))
        self.moments = {
            kind: self.stretches.by_parameter[kind] if decay or kind == "second" else []
            for kind, decay in self.decay.items()
        }

    def warm_start(
        self,
        forget: Mapping[str, Tensor] | None = None,
        retain: Mapping[str, Tensor] | None = None,
        forget_second: Mapping[str, Tensor] | None = None,
        retain_second: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Begin with full gradients as first moments, and with v = E[g_f²] + λ² E[g_r²] from both second
        moments.

        Names without an entry start at zero. An objective without momentum has no moment to be warmed.
        """
        for kind, given in (("forget", forget), ("retain", retain)):
            if given is not None and self.moments[kind]:
                for name, moment in zip(self.names, self.moments[kind], strict=True):
                    moment.copy_(given[name]) if name in given else moment.zero_()
                self.weight[kind] = 1.0
        if forget_second is not None and retain_second is not None:
            for name, v in zip(self.names, self.moments["second"], strict=True):
                v.zero_()
                for given, weight in ((forget_second, 1.0), (retain_second, self.retain_weight**2)):
                    if name in given:
                        v.add_(given[name].to(v), alpha=weight)
            self.weight["second"] = 1.0

    @torch.no_grad()
    def step(self, forget: Gradients, retain: Gradients, forget_weight: float = 1.0) -> StepReport:
        """One update from both gradients, which are left as they are.

        Args:
            forget: g_f.
            retain: g_r.
            forget_weight: w > 0 of this step's d = w δ_f + λ δ_r: the smaller, the more the forget loss is only kept
                from rising.

        Raises:
            NonFiniteGradientError: a gradient holds NaN, infinity or a number whose square overflows.
                Parameters and moments are as they were before.
        """
        forget, retain = self.stretches.aligned(forget), self.stretches.aligned(retain)
        refuse_non_finite(forget, self.names, "forget")
        refuse_non_finite(retain, self.names, "retain", self.retain_weight)
        for kind, decay in self.decay.items():
            if self.moments[kind]:
                self.weight[kind] = decay * self.weight[kind] + (1 - decay)
        # Bias correction: the averages are scaled as numbers, not as tensors.
        scale_f, scale_r = (1 / self.weight[k] if self.moments[k] else 1.0 for k in ("forget", "retain"))
        ratio = self.retain_weight / forget_weight  # d / w = δ_f + (λ / w) δ_r
        products = self._average(forget, retain)
        scales = torch.tensor([scale_f**2, scale_f * scale_r, scale_r**2], dtype=torch.float64)
        rows: Rows = (products * scales * math.sqrt(self.weight["second"])).tolist()
        chosen = [coefficients(ff, fr, rr, ratio) for ff, fr, rr in rows]
        chosen = [Coefficients(c.forget * forget_weight, c.retain * forget_weight, c.conflict) for c in chosen]
        shrink = self._shrink(rows, chosen)
        chosen = [Coefficients(c.forget * shrink, c.retain * shrink, c.conflict) for c in chosen]
        if self.weight_decay:
            torch._foreach_mul_(self.parameters, 1 - self.learning_rate * self.weight_decay)
        self._move([Coefficients(c.forget * scale_f, c.retain * scale_r, c.conflict) for c in chosen])
        return report_of(rows, chosen)

    def _average(self, forget: Gradients, retain: Gradients) -> Tensor:
        """Take the gradients into the averages.

        Returns:
            ff, fr and rr of the averages as they stand, not corrected for bias, with √v + √w ε for the diagonal of P
            (see `_root`): a row for the model, or one for every tensor; float64 on the CPU, ``(rows, 3)``.
        """
        found: list[tuple[int, Tensor]] = []
        products = Products()
        for stretch in self.stretches.all:
            self._average_stretch(stretch, forget, retain)
            f, r, metric = stretch.vectors["forget"], stretch.vectors["retain"], self._root(stretch).reciprocal_()
            for row, part in self._rows(stretch):
                products.add(f[part], r[part], metric[part])
                if self.scope == "tensor":
                    found.append((row, products.take()))
        if self.scope == "model":
            found.append((0, products.take()))
        rows = torch.zeros(len(self.parameters) if self.scope == "tensor" else 1, 3, dtype=torch.float64)
        if found:
            taken = torch.stack([each.to(found[0][1].device) for _, each in found]).cpu()
            rows.index_add_(0, torch.tensor([row for row, _ in found]), taken)
        return rows

    def _rows(self, stretch: Stretch) -> list[tuple[int, slice]]:
        """The parts of a stretch that share coefficients, with their row."""
        if self.scope == "model":
            return [(0, slice(None))]
        return [(piece.index, piece.part) for piece in stretch.pieces]

    def _average_stretch(self, stretch: Stretch, forget: Gradients, retain: Gradients) -> None:
        decay = self.decay["second"]
        stretch.vectors["second"].mul_(decay)
        for kind, gradients, weight in (("forget", forget, 1.0), ("retain", retain, self.retain_weight**2)):
            seconds, present = stretch.present("second", gradients)
            if len(present) < len(stretch.pieces):
                for average, piece in zip(stretch.views[kind], stretch.pieces, strict=True):
                    if gradients[piece.index] is None:
                        average.mul_(self.decay[kind])
            if present:
                torch._foreach_addcmul_(seconds, present, present, value=(1 - decay) * weight)
                torch._foreach_lerp_(stretch.present(kind, gradients)[0], present, 1 - self.decay[kind])

    def _root(self, stretch: Stretch) -> Tensor:
        """√w times the diagonal of P: √v + √w ε, with w the weight that v has gathered, so that v̂ = v / w."""
        root = torch.sqrt(stretch.vectors["second"], out=stretch.vectors["root"])
        return root.add_(self.epsilon * math.sqrt(self.weight["second"]))

    def _shrink(self, rows: Rows, chosen: list[Coefficients]) -> float:
        """Factor ≤ 1 that brings √(dᵀ P⁻¹ d) under ``max_step_norm``."""
        if self.max_step_norm is None:
            return 1.0
        square = 0.0
        for (ff, fr, rr), c in zip(rows, chosen, strict=True):
            square += max(c.forget**2 * ff + 2 * c.forget * c.retain * fr + c.retain**2 * rr, 0.0)
        return min(1.0, self.max_step_norm / math.sqrt(square)) if square > 0 else 1.0

    def _move(self, chosen: list[Coefficients]) -> None:
        length = self.learning_rate * math.sqrt(self.weight["second"])
        # c_f (f + c_r/c_f r): c_f goes into the step, which saves a pass over f.
        factors = [c.forget if 0 < c.forget < HUGE else 1.0 for c in chosen]
        along = [Coefficients(c.forget / x, c.retain / x, c.conflict) for c, x in zip(chosen, factors, strict=True)]
        for stretch in self.stretches.all:
            f, r, direction = (stretch.vectors[name] for name in ("forget", "retain", "direction"))
            for row, part in self._rows(stretch):
                combine_tensor(direction[part], f[part], r[part], along[row])
            self._root(stretch)
            lengths = [-length * factors[0 if self.scope == "model" else p.index] for p in stretch.pieces]
            places = [piece.of(self.parameters[piece.index]) for piece in stretch.pieces]
            torch._foreach_addcdiv_(places, stretch.views["direction"], stretch.views["root"], lengths)

    def state_dict(self) -> dict[str, Tensor]:
        """Moments as ``kind/name`` and their gathered weights, flat, for safetensors."""
        state = {
            f"{kind}/{name}": moment
            for kind, moments in self.moments.items()
            for name, moment in zip(self.names if moments else [], moments, strict=True)
        }
        return state | {"weights": torch.tensor(list(self.weight.values()), dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            KeyError: a moment is missing.
        """
        for kind, moments in self.moments.items():
            for name, moment in zip(self.names if moments else [], moments, strict=True):
                moment.copy_(state[f"{kind}/{name}"])
        self.weight = dict(zip(self.weight, state["weights"].tolist(), strict=True))
