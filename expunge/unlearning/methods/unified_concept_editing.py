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
added to. The prompts are those of the whole forget and retain sets.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from expunge.unlearning.methods.closed_form import ClosedForm, EditedTexts, mean_eigenvalue
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register


class EditingSettings(MethodSettings):
    """Options of UCE."""

    ridge: float = Field(default=1e-4, gt=0, le=1e3, description="ρ, as a share of the mean eigenvalue")


def editing_matrix(texts: EditedTexts, kept_weight: float, ridge: float) -> Tensor:
    """K of the edit W ← W₀ K, float64 ``(d, d)``.

    Args:
        texts: c, c* and p.
        kept_weight: λ.
        ridge: ρ > 0, as a share of the mean eigenvalue.
    """
    matrix = texts.moments + kept_weight * texts.kept_moments
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    # The matrix is symmetric: X M⁻¹ = (M⁻¹ Xᵀ)ᵀ.
    regular = matrix + ridge * mean_eigenvalue(matrix) * identity
    return identity + torch.linalg.solve(regular, texts.displacement.T).T


@register("unified_concept_editing")
class UnifiedConceptEditing(ClosedForm[EditingSettings]):
    """Keys and values move towards the anchors', as far as what is kept pulls less."""

    settings_type: ClassVar[type[MethodSettings]] = EditingSettings

    def editor(self, texts: EditedTexts) -> Callable[[Tensor], Tensor]:
        """The same matrix for every weight."""
        matrix = editing_matrix(texts, self.problem.objectives.retain_weight, self.settings.ridge)
        return lambda weight: weight @ matrix
