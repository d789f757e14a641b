"""Low-rank erasure: the erasing update of every weight is B A of small rank, merged as it is learnt.

Source: Lyu et al., CVPR 2024, arXiv 2312.16145 (SPM: rank 1, erasing loss with a surrogate prompt, latent anchoring);
low-rank weights of Hu et al., ICLR 2022, arXiv 2106.09685. Update of the factors, W = W₀ + B A:
(A, B) ← Adam(∇[‖ε_θ(x_t|c) − ε*‖² + λ L_r]), ε* = ε₀(x_t|c*) − η (ε₀(x_t|c) − ε₀(x_t|c*)), with c* the same
sentence without the target; ∂/∂B = G Aᵀ and ∂/∂A = Bᵀ G for the weight's own gradient G.

Differs from the paper: rank is an option (default 4); the adapter has no gate that looks at the prompt and is merged
into the weights, so that the result is a plain model; x_t are noised forget pictures; latent anchoring is the retain
loss, and ``alignment: original`` gives it the paper's form, the distance to the original. Where a safeguard takes back
part of a step, W − W₀ − B A keeps what was taken back, and the rank of W − W₀ may be higher; so it may be where only
salient entries move, W = W₀ + m ⊙ B A.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from expunge.errors import ExpungeError
from expunge.unlearning.batches import Batch, generator_of, predict
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import StepReport
from expunge.unlearning.methods.adam_method import AdamSettings
from expunge.unlearning.methods.cross_attention import cross_attention_parameters
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.methods.own_objective import OwnObjective
from expunge.unlearning.objectives import negative_guidance, noise_prediction_error


class LowRankSettings(AdamSettings):
    """Options of low-rank erasure. Factors want a higher learning rate than weights do."""

    rank: int = Field(default=4, ge=1, le=1024, description="of each update; at most the weight's smaller side")
    layers: Literal["cross_attention", "linear", "linear_and_convolution"] = Field(
        default="linear", description="whose weights move"
    )
    surrogate: Literal["anchor", "empty"] = Field(default="anchor", description="prompt that the target's gives way to")
    guidance: float = Field(default=1.0, ge=0, le=100, description="η, how far beyond the surrogate")
    factor_seed: int = Field(default=0, ge=0, description="of the first A; the first B is zero")


@register("low_rank_erasure")
class LowRankErasure(OwnObjective[LowRankSettings]):
    """Adam on the factors of low-rank updates."""

    settings_type: ClassVar[type[MethodSettings]] = LowRankSettings
    forward_passes: int = 2

    def moved_parameters(self) -> dict[str, nn.Parameter]:
        """Weights of the layers that are meant, among what is trained.

        Raises:
            ExpungeError: there is none.
        """
        kinds: tuple[type[nn.Module], ...] = (nn.Linear,)
        if self.settings.layers == "linear_and_convolution":
            kinds = (nn.Linear, nn.Conv2d)
        trained = self.problem.parameters
        if self.settings.layers == "cross_attention":
            trained = cross_attention_parameters(self.problem.denoiser, trained)
        meant = [f"{name}.weight" for name, each in self.problem.denoiser.named_modules() if isinstance(each, kinds)]
        if not any(name in trained for name in meant):
            raise ExpungeError(f"layers: no weight of '{self.settings.layers}' is trained; unfreeze some or widen it")
        return {name: trained[name] for name in meant if name in trained}

    def prepare_objective(self, cache: GradientCache | None) -> None:
        """Keep the original; make the factors, A random and B zero, so that the first product is zero."""
        self.original = self.problem.original_denoiser()
        self.factors: dict[str, Tensor] = {}
        for number, (name, weight) in enumerate(self.moved.items()):
            rows, columns = weight.flatten(1).shape
            rank = min(self.settings.rank, rows, columns)
            generator = generator_of(self.settings.factor_seed, number)
            drawn = torch.randn(rank, columns, generator=generator, dtype=torch.float64) / math.sqrt(columns)
            self.factors[f"a/{name}"] = drawn.to(weight)
            self.factors[f"b/{name}"] = torch.zeros(rows, rank).to(weight)

    def stepped(self) -> Mapping[str, Tensor]:
        """The factors."""
        return self.factors

    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Distance to the original's prediction guided away from the target, beyond the surrogate."""
        process = self.problem.process
        instead = forget.under_anchors() if self.settings.surrogate == "anchor" else forget.under_empty_prompt()
        with torch.no_grad():
            conditioned, _ = predict(self.original, process, forget)
            surrogate, _ = predict(self.original, process, instead)
        goal = negative_guidance(conditioned, surrogate, self.settings.guidance)
        prediction, target = predict(self.problem.denoiser, process, forget)
        error = noise_prediction_error(prediction.detach(), target)
        return noise_prediction_error(prediction, goal).mean(), error

    @torch.no_grad()
    def update(self, own: list[Tensor | None], retain: list[Tensor | None], learning_rate: float) -> StepReport:
        """Step the factors, then move each weight by the change of its product. Reported products are of factors."""
        before = {name: self._product(name) for name in self.moved}
        report = super().update(self._by_factor(own), self._by_factor(retain), learning_rate)
        for name, weight in self.moved.items():
            self.problem.put(name, weight + (self._product(name) - before[name]).view_as(weight))
        return report

    def state_dict(self) -> dict[str, Tensor]:
        """The factors and Adam's moments."""
        return super().state_dict() | {f"factors/{name}": factor for name, factor in self.factors.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back the factors and Adam's moments."""
        for name, factor in self.factors.items():
            factor.copy_(state[f"factors/{name}"])
        super().load_state_dict({name: t for name, t in state.items() if not name.startswith("factors/")})

    def _product(self, name: str) -> Tensor:
        return self.factors[f"b/{name}"] @ self.factors[f"a/{name}"]

    def _by_factor(self, gradients: list[Tensor | None]) -> list[Tensor | None]:
        """∂/∂A = Bᵀ G and ∂/∂B = G Aᵀ, in the order of the factors."""
        found: list[Tensor | None] = []
        for name, gradient in zip(self.moved, gradients, strict=True):
            flat = None if gradient is None else gradient.flatten(1)
            found.append(None if flat is None else self.factors[f"b/{name}"].T @ flat)
            found.append(None if flat is None else flat @ self.factors[f"a/{name}"].T)
        return found
