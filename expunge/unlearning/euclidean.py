"""The published update: products in the Euclidean metric, then a plain Adam step.

Source: Ko et al., NeurIPS 2024, arXiv 2412.07808. Notation as in `expunge.unlearning.gradients`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from expunge.unlearning.gradients import Coefficients, StepReport, combine, cosine_of, refuse_non_finite
from expunge.unlearning.products import Gradients, dense, dot_products, groups, slopes

Rule = Callable[[float, float, float], Coefficients]  # from <g_f,g_f>, <g_f,g_r>, <g_r,g_r>


class EuclideanAdam:
    """Combine two gradients by a rule in the Euclidean product, then step with ``torch.optim.Adam``.

    The reported changes can be positive even where the rule restricts: the product in which it does is not the metric
    of the step. An objective without any gradient was not looked at: its change, and the cosine, are None.

    Args:
        parameters: what is trained, by name.
        betas: Adam's decays of first and second moment.
        epsilon: Adam's ε.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8
    ) -> None:
        self.names, self.parameters = list(parameters), list(parameters.values())
        self.adam = torch.optim.Adam(self.parameters, betas=betas, eps=epsilon, foreach=True)

    @property
    def taken(self) -> int:
        """Steps taken so far."""
        state = self.adam.state[self.parameters[0]]
        return int(state["step"].item()) if state else 0

    @torch.no_grad()
    def step(self, forget: Gradients, retain: Gradients, rule: Rule, learning_rate: float) -> StepReport:
        """One Adam step along c_f g_f + c_r g_r.

        Args:
            forget: g_f; left as they are.
            retain: g_r; left as they are.
            rule: gives c_f and c_r.
            learning_rate: η > 0.

        Raises:
            NonFiniteGradientError: a product of the gradients is NaN or infinite. Nothing has been changed.
        """
        known = [any(g is not None for g in gradients) for gradients in (forget, retain)]
        products = dot_products(forget, retain)
        refuse_non_finite(*products)
        chosen = rule(*products)
        f, r = dense(forget, self.parameters), dense(retain, self.parameters)
        for parameter, each_f, each_r in zip(self.parameters, f, r, strict=True):
            parameter.grad = combine(each_f, each_r, chosen)
        self.adam.param_groups[0]["lr"] = learning_rate
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None
        changes = [c if is_known else None for c, is_known in zip(self._changes(f, r), known, strict=True)]
        return StepReport(*products, cosine_of(*products) if all(known) else None, chosen, *changes)

    def _changes(self, forget: list[Tensor], retain: list[Tensor]) -> list[float]:
        """−<g_f,u> and −<g_r,u> for Adam's step −η u."""
        total, taken = torch.zeros(2, dtype=torch.float64), self.taken
        beta1, beta2 = self.adam.param_groups[0]["betas"]
        for group in groups(self.parameters):
            states = [self.adam.state[self.parameters[i]] for i in group]
            roots = torch._foreach_sqrt([state["exp_avg_sq"] for state in states])
            torch._foreach_div_(roots, (1 - beta2**taken) ** 0.5)
            torch._foreach_add_(roots, self.adam.param_groups[0]["eps"])
            direction = torch._foreach_div([state["exp_avg"] for state in states], roots)
            total -= slopes([forget[i] for i in group], [retain[i] for i in group], direction)
        return (total / (1 - beta1**taken)).tolist()

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
