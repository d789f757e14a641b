"""OCE: rotate the cross-attention's values in closed form, so that nothing changes between them but the direction.

Source: Sun et al., ICML 2026, arXiv 2605.28902; weights of the terms from the reference code at commit 1164d39. With P
orthogonal,

    W ← P W,   P = U Vᵀ,   U Σ Vᵀ = M,

maximises tr(Pᵀ M). Lengths of the values and angles between them stay for all texts: (P W)ᵀ P W = Wᵀ W. Two objectives:

- ``subspace``: M = W K Wᵀ − e R (I − R_*). R and R_* project on the spans of the targets' and the anchors' values: what
  the target has and its anchor has not is turned away, wherever to. K = γ E[p pᵀ] + ν E[c* c*ᵀ] + ι I keeps the rest.
- ``vectors``: M = W (E[c* cᵀ] + λ E[p pᵀ]) Wᵀ, the orthogonal Procrustes problem that takes each W c to its W c* and
  each W p to itself.

With ``subspace`` the anchors only say what not to turn away; what is drawn then is none of them. Where it matters what
is drawn instead, take ``vectors``.

Differs from the paper: whole sentences are edited token by token, as in UCE, so the values' spans are everything; R and
R_* project on the leading directions, found as eigenvectors instead of by Gram–Schmidt. A sentence's tokens differ from
its anchor's less than two names do, so e is 20 by default where the reference's is 1: with 10, at an energy of 0.95,
the zoo still drew dogs. The neighbours are the anchors' sentences, which are the target's nearest. Moments are divided
by their mean eigenvalues, and W K Wᵀ by that of W Wᵀ, so that weights mean the same in every model. P may be a
reflection.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from expunge.unlearning.methods.closed_form import VALUES, ClosedForm, EditedTexts, mean_eigenvalue
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register

GENERAL, NEIGHBOURS, IDENTITY = 0.5, 0.3, 1.5  # γ, ν and ι, where e is 1
WHOLE = 1 - 1e-12  # share of the energy above which a direction is there by rounding alone


class OrthogonalSettings(MethodSettings):
    """Options of OCE."""

    objective: Literal["subspace", "vectors"] = Field(
        default="subspace", description="turn away what the anchor has not, or turn each token to its anchor"
    )
    erase_weight: float = Field(default=20.0, gt=0, le=1e4, description="e, of turning away; subspace only")
    energy: float = Field(
        default=0.5, gt=0, le=1, description="share of the values' energy that R and R_* cover; subspace only"
    )


def nearest_orthogonal(matrix: Tensor) -> Tensor:
    """The orthogonal P with the largest tr(Pᵀ M) for a square M, ``(o, o)``."""
    left, _, right = torch.linalg.svd(matrix)
    return left @ right


def leading_projector(moments: Tensor, energy: float) -> Tensor:
    """Projector on the fewest directions that cover a share of a symmetric matrix's trace, ``(o, o)``.

    Args:
        moments: positive semidefinite, ``(o, o)``.
        energy: the share, 0–1.
    """
    values, directions = torch.linalg.eigh(moments)
    covered = values.clamp(min=0).flip(0).cumsum(0)
    enough = min(energy, WHOLE) * covered[-1]
    count = int((covered < enough).sum()) + 1
    leading = directions[:, -count:]
    return leading @ leading.T


def turned_away(weight: Tensor, texts: EditedTexts, energy: float) -> Tensor:
    """R (I − R_*), ``(o, o)``."""
    target, anchor = (
        leading_projector(weight @ moments @ weight.T, energy) for moments in (texts.moments, texts.anchor_moments)
    )
    return target - target @ anchor


def keeping(texts: EditedTexts) -> Tensor:
    """K of the subspace objective, ``(d, d)``."""
    general, beside = (each / mean_eigenvalue(each) for each in (texts.kept_moments, texts.anchor_moments))
    identity = torch.eye(len(general), dtype=general.dtype, device=general.device)
    return GENERAL * general + NEIGHBOURS * beside + IDENTITY * identity


@register("orthogonal_concept_erasure")
class OrthogonalConceptErasure(ClosedForm[OrthogonalSettings]):
    """Values turn, each projection's by its own rotation."""

    settings_type: ClassVar[type[MethodSettings]] = OrthogonalSettings
    edits: ClassVar[tuple[str, ...]] = VALUES

    def editor(self, texts: EditedTexts) -> Callable[[Tensor], Tensor]:
        """A rotation for each weight."""
        settings = self.settings
        if settings.objective == "vectors":
            wanted = texts.displacement + texts.moments + self.problem.objectives.retain_weight * texts.kept_moments
            return lambda weight: nearest_orthogonal(weight @ wanted @ weight.T) @ weight
        kept = keeping(texts)

        def edited(weight: Tensor) -> Tensor:
            stays = weight @ kept @ weight.T / mean_eigenvalue(weight @ weight.T)
            away = turned_away(weight, texts, settings.energy)
            return nearest_orthogonal(stays - settings.erase_weight * away) @ weight

        return edited
