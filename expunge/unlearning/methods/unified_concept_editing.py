"""UCE: edit the cross-attention's keys and values in closed form, once.

Source: Gandikota et al., WACV 2024, arXiv 2308.14761, the closed-form edit of its method section. For each projection
W of the cross-attention,

    W ← argmin_W E_e‖W c − W₀ c*‖² + λ E_p‖W p − W₀ p‖² + ρ‖W − W₀‖²  =  W₀ K,
    K = I + E_e[(c* − c) cᵀ] (E_e[c cᵀ] + λ E_p[p pᵀ] + ρ I)⁻¹,

with c the token embeddings of forget prompts, c* those of the same sentences without the target, p those of retained
prompts. K is the same for all projections, so one system of the embeddings' width is solved.

Differs from the paper: whole sentences are edited token by token in their positions, instead of the tokens of a name
from its last one on; where target and anchor have differently many tokens, the rest of the sentence is shifted. Sums
are means, so that λ does not depend on the number of prompts; ρ is relative to the mean eigenvalue of the matrix it is
added to. The prompts are those of the whole forget and retain sets. Where only salient entries move, they take their
values of the edit, which is then no longer the minimum.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from expunge.models.conditions import TOKENS
from expunge.unlearning.batches import ANCHORS_MISSING, Batch, LatentSet, present
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import Coefficients, StepReport
from expunge.unlearning.methods.cross_attention import cross_attention_parameters
from expunge.unlearning.methods.method import Method, MethodSettings, MethodStep, StepSize
from expunge.unlearning.methods.method_registry import register


class EditingSettings(MethodSettings):
    """Options of UCE."""

    ridge: float = Field(default=1e-4, gt=0, le=1e3, description="ρ, as a share of the mean eigenvalue")


def editing_matrix(target: Tensor, anchor: Tensor, kept: Tensor, kept_weight: float, ridge: float) -> Tensor:
    """K of the edit W ← W₀ K, float64 ``(d, d)``.

    Args:
        target: c, ``(n, d)``.
        anchor: c*, ``(n, d)``.
        kept: p, ``(m, d)``.
        kept_weight: λ.
        ridge: ρ > 0, as a share of the mean eigenvalue.
    """
    target, anchor, kept = target.double(), anchor.double(), kept.double()
    width = target.shape[1]
    matrix = target.T @ target / len(target) + kept_weight * (kept.T @ kept) / len(kept)
    matrix += ridge * matrix.trace() / width * torch.eye(width, dtype=matrix.dtype, device=matrix.device)
    moved = (anchor - target).T @ target / len(target)
    # matrix is symmetric: X M⁻¹ = (M⁻¹ Xᵀ)ᵀ.
    return torch.eye(width, dtype=matrix.dtype, device=matrix.device) + torch.linalg.solve(matrix, moved.T).T


@register("unified_concept_editing")
class UnifiedConceptEditing(Method[EditingSettings]):
    """One edit in the first step; later steps change nothing. No step passes anything through the denoiser."""

    settings_type: ClassVar[type[MethodSettings]] = EditingSettings

    def prepare(self, cache: GradientCache | None) -> None:
        """Find the projections. The cache is not used.

        Raises:
            ExpungeError: there is no trained cross-attention.
        """
        self.edited = False
        trained = self.problem.parameters
        self.projections = cross_attention_parameters(self.problem.denoiser, trained, ("to_k", "to_v"))

    def retain_batches(self, batches_to_cover: int) -> int:
        """None: the prompts of the whole set are looked at, no picture is."""
        return 0

    def step(self, forget: Batch, retain: Sequence[Batch], size: StepSize) -> MethodStep:
        """The edit, whatever the size, or nothing. Its effect on the losses is not measured.

        Raises:
            ExpungeError: the forget set has no anchors.
        """
        change = 0.0 if self.edited else None
        if not self.edited:
            self._edit()
            self.edited = True
        nothing = Coefficients(0.0, 0.0, conflict=False)
        return MethodStep(None, None, 0, StepReport(0.0, 0.0, 0.0, None, nothing, change, change))

    @torch.no_grad()
    def _edit(self) -> None:
        target, anchor = edited_tokens(self.problem.sets.forget)
        retain = self.problem.sets.retain
        kept = retain.conditions[TOKENS][retain.prompt_indices.unique()].flatten(0, 1)
        matrix = editing_matrix(target, anchor, kept, self.problem.objectives.retain_weight, self.settings.ridge)
        for name, weight in self.projections.items():
            self.problem.put(name, (weight.double() @ matrix.to(weight.device)).to(weight.dtype))

    def state_dict(self) -> dict[str, Tensor]:
        """Whether the edit has been made."""
        return {"edited": torch.tensor(self.edited)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take that back."""
        self.edited = bool(state["edited"])


def edited_tokens(forget: LatentSet) -> tuple[Tensor, Tensor]:
    """Token embeddings of every distinct forget prompt with its anchor's, both ``(n, d)``.

    Raises:
        ExpungeError: the set has no anchors.
    """
    anchors = present(forget.anchor_indices, ANCHORS_MISSING)
    pairs = torch.stack([forget.prompt_indices, anchors], dim=1).unique(dim=0)
    target, anchor = (forget.conditions[TOKENS][column].flatten(0, 1) for column in pairs.T)
    return target, anchor
