"""Selective amnesia: learn something else under the forget prompts, hold on to what the retain set needs.

Source: Heng & Soh, NeurIPS 2023, arXiv 2305.10120, section 3 (surrogate, elastic weights, replay).
Update: θ ← Adam(∇[L(x_q, c_f) + ½ ω Σ_i F_i (θ_i − θ₀_i)²] + λ g_r), with x_q a surrogate picture, L the denoising
error, F the Fisher information of the retain set at θ₀, and g_r the replay of retained pictures.

Differs from the paper: the surrogate is by default a retained picture (``surrogate: retain``), as the paper does for
Stable Diffusion with pictures of another concept; ``noise`` takes uniform noise as latents, not encoded pictures of
noise. F is that of the retain set alone, estimated from the cache's mean squares of minibatch gradients: for batches of
b, F = ḡ² + b (E[g²] − ḡ²), which is the mean square of single-sample gradients where noise and its levels are
independent. F is put in units in which ω = 1 is the curvature of one observation with unit variance: times half the
number of elements of a latent. Replay is of the retain set, not of fresh samples, and its weight 1 is λ here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.batches import Batch, denoising_error, generator_of
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.methods.adam_method import AdamSettings
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.methods.own_objective import OwnObjective


class AmnesiaSettings(AdamSettings):
    """Options of selective amnesia."""

    elastic_weight: float = Field(default=100.0, ge=0, le=1e12, description="ω; 0 lets all weights go")
    surrogate: Literal["retain", "noise"] = Field(default="retain", description="what is learnt instead")
    noise_seed: int = Field(default=0, ge=0, description="of surrogate noise")

    @property
    def uses_cache(self) -> bool:
        """The retain gradients and their squares, for the Fisher information."""
        return True


def fisher_information(cache: GradientCache) -> dict[str, Tensor]:
    """Mean squares of single-sample gradients of the retain loss, by parameter, never negative."""
    size = cache.batch_size
    return {
        name: (mean.square() + size * (cache.retain_second[name] - mean.square())).clamp(min=0)
        for name, mean in cache.retain.items()
    }


def elastic_penalty(
    parameters: Mapping[str, Tensor], start: Mapping[str, Tensor], fisher: Mapping[str, Tensor]
) -> Tensor:
    """½ Σ_i F_i (θ_i − θ₀_i)², a scalar ≥ 0; parameters without an entry in ``fisher`` are free."""
    terms = [(fisher[name] * (p - start[name]).square()).sum() / 2 for name, p in parameters.items() if name in fisher]
    return torch.stack(terms).sum()


@register("selective_amnesia")
class SelectiveAmnesia(OwnObjective[AmnesiaSettings]):
    """Adam on surrogate pictures under forget prompts, with elastic weights and replay."""

    settings_type: ClassVar[type[MethodSettings]] = AmnesiaSettings

    def prepare_objective(self, cache: GradientCache | None) -> None:
        """Keep θ₀ and the Fisher information.

        Raises:
            ExpungeError: there is no gradient cache, or it knows no trained parameter.
        """
        if cache is None or not cache.retain.keys() & self.moved.keys():
            raise ExpungeError("selective_amnesia: needs the retain gradients of a gradient cache; make one")
        fisher = fisher_information(cache)
        self.fisher = {name: fisher[name].to(p) for name, p in self.moved.items() if name in fisher}
        self.start = {name: p.detach().clone() for name, p in self.moved.items()}

    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, None]:
        """Error on the surrogate under the forget prompts, and the elastic penalty. Forget pictures are not seen."""
        problem = self.problem
        surrogate = replace(forget, latents=self._surrogate(forget, retain))
        error = denoising_error(problem.denoiser, problem.process, surrogate).mean()
        scale = self.settings.elastic_weight * forget.latents[0].numel() / 2
        return error + scale * elastic_penalty(self.moved, self.start, self.fisher), None

    def _surrogate(self, forget: Batch, retain: Sequence[Batch]) -> Tensor:
        if self.settings.surrogate == "retain":
            latents = torch.cat([batch.latents for batch in retain])
            return latents[torch.arange(len(forget)) % len(latents)]
        generator = generator_of(self.settings.noise_seed, self.optimiser.taken)
        uniform = torch.rand(forget.latents.shape, generator=generator, dtype=torch.float64)
        return ((2 * uniform - 1) * 3**0.5).to(forget.latents)  # unit variance, as scaled latents have
