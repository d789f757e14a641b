"""The optimiser that takes its products in the metric of the step that it then takes.

Notation as in `expunge.unlearning.gradients`; m_f, m_r first moments; v second moment; η learning rate.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from expunge.unlearning.gradients import (
    Coefficients,
    NonFiniteGradientError,
    coefficients,
    combine_tensor,
    cosine_of,
    first_order_changes,
)
from expunge.unlearning.products import Gradients, Products, pieces

Scope = Literal["model", "tensor"]
Rows = list[tuple[float, float, float]]  # (ff, fr, rr), one row a group of parameters that share coefficients


@dataclass(frozen=True)
class StepReport:
    """What one update did.

    Attributes:
        ff: <a_f,a_f> of what was combined: gradients, or first moments where there is momentum.
        fr: <a_f,a_r>.
        rr: <a_r,a_r>.
        cosine: between a_f and a_r in the same product, −1 to 1; None if the method has only one of them.
        coefficients: c_f and c_r; with scope ``tensor`` their means over the parameters.
        change_forget: change of the forget loss to first order per unit learning rate; None if the method does
            not know that loss's gradient.
        change_retain: the same for the retain loss.
        conflict: whether the two were opposed (with scope ``tensor``: anywhere).
    """

    ff: float
    fr: float
    rr: float
    cosine: float | None
    coefficients: Coefficients
    change_forget: float | None
    change_retain: float | None
    conflict: bool


@dataclass(frozen=True)
class _Piece:
    """A stretch of one parameter, with what belongs to it: gradient and first moment of each objective, and v."""

    parameter: Tensor
    second: Tensor
    forget: Tensor | None = None
    retain: Tensor | None = None
    forget_moment: Tensor | None = None
    retain_moment: Tensor | None = None

    @property
    def moved_forget(self) -> Tensor | None:
        """What is combined: the moment, or the gradient of an objective without momentum."""
        return self.forget if self.forget_moment is None else self.forget_moment

    @property
    def moved_retain(self) -> Tensor | None:
        """The same of the retain objective."""
        return self.retain if self.retain_moment is None else self.retain_moment


class RestrictedAdam:
    """AdamW-like steps along the restricted gradient, taken in the metric of the step itself.

    One step, in this order:

    1. v ← β v + (1 − β) (g_f² + λ² g_r²), shared by both objectives; P = diag(√v̂ + ε).
    2. m_f, m_r ← their own moving averages; without momentum, the gradients themselves.
    3. c_f, c_r from <m̂_f,m̂_f>, <m̂_f,m̂_r>, <m̂_r,m̂_r> with <a,b> = aᵀ P⁻¹ b.
    4. θ ← θ − η P⁻¹ (c_f m̂_f + c_r m̂_r).

    Everything before the coefficients is done stretch by stretch in one pass over memory, everything after them in
    another; P is formed twice instead of kept, so that the moments are all the memory there is.

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
        self.moments = {
            kind: [torch.zeros_like(p) for p in self.parameters] if decay or kind == "second" else []
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
    def step(self, forget: Gradients, retain: Gradients) -> StepReport:
        """One update from both gradients, which are left as they are.

        Raises:
            NonFiniteGradientError: a gradient holds NaN, infinity or a number whose square overflows.
                Parameters and moments are as they were before.
        """
        refuse_non_finite(forget, self.names, "forget")
        refuse_non_finite(retain, self.names, "retain", self.retain_weight)
        parts = self._pieces(forget, retain)
        for kind, decay in self.decay.items():
            if self.moments[kind]:
                self.weight[kind] = decay * self.weight[kind] + (1 - decay)
        # Bias correction: the averages are scaled as numbers, not as tensors.
        scale_f, scale_r = (1 / self.weight[k] if self.moments[k] else 1.0 for k in ("forget", "retain"))
        rows = [
            (ff * scale_f**2, fr * scale_f * scale_r, rr * scale_r**2) for ff, fr, rr in self._average(parts).tolist()
        ]
        chosen = [coefficients(ff, fr, rr, self.retain_weight) for ff, fr, rr in rows]
        shrink = self._shrink(rows, chosen)
        chosen = [Coefficients(c.forget * shrink, c.retain * shrink, c.conflict) for c in chosen]
        if self.weight_decay:
            torch._foreach_mul_(self.parameters, 1 - self.learning_rate * self.weight_decay)
        self._move(parts, [Coefficients(c.forget * scale_f, c.retain * scale_r, c.conflict) for c in chosen])
        return _report(rows, chosen)

    def _pieces(self, forget: Gradients, retain: Gradients) -> list[list[_Piece]]:
        """Every parameter with its gradients and moments, in stretches."""
        found = []
        absent: Gradients = [None] * len(self.parameters)
        moments = (self.moments[kind] or absent for kind in ("forget", "retain"))
        columns = (self.parameters, self.moments["second"], forget, retain, *moments)
        for tensors in zip(*columns, strict=True):
            present = {field.name: t for field, t in zip(fields(_Piece), tensors, strict=True) if t is not None}
            stretches = pieces(list(present.values()))
            found.append([_Piece(**dict(zip(present, each, strict=True))) for each in stretches])
        return found

    def _average(self, parts: list[list[_Piece]]) -> Tensor:
        """Take the gradients into the averages.

        Returns:
            ff, fr and rr of what will be combined, in the metric: a row for the model, or one for every tensor; float64
            on the CPU, ``(rows, 3)``.
        """
        products, rows = Products(), []
        for parameter in parts:
            for piece in parameter:
                self._average_piece(piece)
                products.add(piece.moved_forget, piece.moved_retain, self._root(piece).reciprocal_())
            if self.scope == "tensor":
                rows.append(products.take().cpu())
        return torch.stack(rows or [products.take().cpu()]) * math.sqrt(self.weight["second"])

    def _average_piece(self, piece: _Piece) -> None:
        decay = self.decay["second"]
        piece.second.mul_(decay)
        for gradient, weight in ((piece.forget, 1.0), (piece.retain, self.retain_weight**2)):
            if gradient is not None:
                piece.second.addcmul_(gradient, gradient, value=(1 - decay) * weight)
        for kind, moment, gradient in (
            ("forget", piece.forget_moment, piece.forget),
            ("retain", piece.retain_moment, piece.retain),
        ):
            if moment is not None:
                if gradient is None:
                    moment.mul_(self.decay[kind])
                else:
                    moment.lerp_(gradient, 1 - self.decay[kind])

    def _root(self, piece: _Piece) -> Tensor:
        """√w times the diagonal of P: √v + √w ε, with w the weight that v has gathered, so that v̂ = v / w."""
        return piece.second.sqrt().add_(self.epsilon * math.sqrt(self.weight["second"]))

    def _shrink(self, rows: Rows, chosen: list[Coefficients]) -> float:
        """Factor ≤ 1 that brings √(dᵀ P⁻¹ d) under ``max_step_norm``."""
        if self.max_step_norm is None:
            return 1.0
        square = 0.0
        for (ff, fr, rr), c in zip(rows, chosen, strict=True):
            square += max(c.forget**2 * ff + 2 * c.forget * c.retain * fr + c.retain**2 * rr, 0.0)
        return min(1.0, self.max_step_norm / math.sqrt(square)) if square > 0 else 1.0

    def _move(self, parts: list[list[_Piece]], chosen: list[Coefficients]) -> None:
        length = self.learning_rate * math.sqrt(self.weight["second"])
        for i, parameter in enumerate(parts):
            c = chosen[0] if self.scope == "model" else chosen[i]
            for piece in parameter:
                direction = torch.empty_like(piece.parameter)
                combine_tensor(direction, piece.moved_forget, piece.moved_retain, c)
                piece.parameter.addcdiv_(direction, self._root(piece), value=-length)

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


def refuse_non_finite(gradients: Gradients, names: list[str], objective: str, weight: float = 1.0) -> None:
    """Raise if ``weight`` times a gradient holds NaN, infinity, or a number whose square overflows.

    Raises:
        NonFiniteGradientError: names the objective and the parameter.
    """
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is None or not gradient.numel():
            continue
        low, high = torch.aminmax(gradient)  # both are NaN where one entry is
        size = torch.maximum(-low, high).item()
        limit = math.sqrt(torch.finfo(gradient.dtype).max) / max(weight, 1.0)
        if not size < limit:
            raise NonFiniteGradientError(
                f"{objective} gradient of {name}: largest entry is {size}, must be below {limit:.3g}; "
                "lower the learning rate, or look for NaN in latents and embeddings"
            )


def _total(rows: Rows) -> tuple[float, float, float]:
    return (
        math.fsum(ff for ff, _, _ in rows),
        math.fsum(fr for _, fr, _ in rows),
        math.fsum(rr for _, _, rr in rows),
    )


def _report(rows: Rows, chosen: list[Coefficients]) -> StepReport:
    ff, fr, rr = _total(rows)
    changes = [first_order_changes(*row, c) for row, c in zip(rows, chosen, strict=True)]
    mean = Coefficients(
        forget=sum(c.forget for c in chosen) / len(chosen),
        retain=sum(c.retain for c in chosen) / len(chosen),
        conflict=any(c.conflict for c in chosen),
    )
    return StepReport(
        ff=ff,
        fr=fr,
        rr=rr,
        cosine=cosine_of(ff, fr, rr),
        coefficients=mean,
        change_forget=sum(change for change, _ in changes),
        change_retain=sum(change for _, change in changes),
        conflict=mean.conflict,
    )
