"""The published update: products in the Euclidean metric, then a plain Adam step.

Source: Ko et al., NeurIPS 2024, arXiv 2412.07808. Notation as in `expunge.unlearning.gradients`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from expunge.unlearning.gradients import Coefficients, combine, cosine_of, restrict
from expunge.unlearning.products import Gradients, dot_products
from expunge.unlearning.step_report import StepReport

Rule = Callable[[float, float, float], Coefficients]  # from <g_f,g_f>, <g_f,g_r>, <g_r,g_r>


class EuclideanAdam:
    """The published rule: combine two gradients in the Euclidean product, then step with
    ``torch.optim.Adam``.

    The reported changes are those of the step that Adam then takes, −<g,P⁻¹ m̂>: they can be positive,
    because the product in which the gradients were restricted is not the metric of the step. An objective
    without any gradient was not looked at: its change, and the cosine, are None.

    Args:
        parameters: what is trained, by name.
        learning_rate: η > 0.
        betas: Adam's decays of first and second moment.
        epsilon: Adam's ε.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self.names, self.parameters = list(parameters), list(parameters.values())
        self.adam = torch.optim.Adam(self.parameters, lr=learning_rate, betas=betas, eps=epsilon, foreach=True)

    @property
    def taken(self) -> int:
        """Steps taken so far."""
        state = self.adam.state[self.parameters[0]]
        return int(state["step"].item()) if state else 0

    @torch.no_grad()
    def step(
        self, forget: Gradients, retain: Gradients, retain_weight: float, fixed: Coefficients | Rule | None = None
    ) -> StepReport:
        """One Adam step along d.

        Args:
            forget: g_f; left as they are.
            retain: g_r; left as they are.
            retain_weight: λ, for the restricted gradient.
            fixed: c_f and c_r to use instead of the restricted gradient's, or what gives them.

        Raises:
            NonFiniteGradientError: a product of the gradients is NaN or infinite. Nothing has been changed.
        """
        restriction = restrict(forget, retain, retain_weight)
        ff, fr, rr, restricted = restriction.ff, restriction.fr, restriction.rr, restriction.coefficients
        chosen = restricted if fixed is None else (fixed(ff, fr, rr) if callable(fixed) else fixed)
        empty = [torch.empty_like(p) for p in self.parameters]
        for parameter, d in zip(self.parameters, combine(forget, retain, chosen, out=empty), strict=True):
            parameter.grad = d
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None
        change_forget, change_retain = self._changes(forget, retain)
        cosine = None if change_forget is None or change_retain is None else cosine_of(ff, fr, rr)
        return StepReport(ff, fr, rr, cosine, chosen, change_forget, change_retain, restricted.conflict)

    def _changes(self, forget: Gradients, retain: Gradients) -> tuple[float | None, float | None]:
        """−<g_f,u> and −<g_r,u> for Adam's step −η u; None where there is no gradient at all."""
        change_forget = change_retain = 0.0
        group = self.adam.param_groups[0]
        for parameter, f, r in zip(self.parameters, forget, retain, strict=True):
            state = self.adam.state[parameter]
            taken, (beta1, beta2) = state["step"].item(), group["betas"]
            root = (state["exp_avg_sq"] / (1 - beta2**taken)).sqrt_().add_(group["eps"])
            step = (state["exp_avg"] / (1 - beta1**taken)).div_(root)
            for gradient, is_forget in ((f, True), (r, False)):
                if gradient is not None:
                    change = dot_products([gradient], [step])[1]
                    change_forget -= change if is_forget else 0.0
                    change_retain -= 0.0 if is_forget else change
        return (
            None if all(g is None for g in forget) else change_forget,
            None if all(g is None for g in retain) else change_retain,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Adam's state as ``kind/name``, flat, for safetensors; empty before the first step."""
        return {
            f"{kind}/{name}": value
            for name, parameter in zip(self.names, self.parameters, strict=True)
            for kind, value in self.adam.state[parameter].items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave."""
        for name, parameter in zip(self.names, self.parameters, strict=True):
            self.adam.state[parameter] = {
                key.split("/", 1)[0]: value.clone() for key, value in state.items() if key.split("/", 1)[1] == name
            }
