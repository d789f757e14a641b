"""SPEED: edit the cross-attention's values in closed form, only where nothing that is kept lies.

Source: Li et al., ICLR 2026, arXiv 2503.07392, its closed form with the three parts of the kept set. In columns, with
C₁ the targets, C_* their anchors and C₀ what is kept,

    ΔP = W (C_* C₁ᵀ − C₁ C₁ᵀ) P Q M,   M = (C₁ C₁ᵀ P + I)⁻¹,   Q = I − M C₂ (C₂ᵀ P M C₂)⁻¹ C₂ᵀ P,

P projects on the null space of C₀ C₀ᵀ, and C₂ is what stands in every prompt: start token and empty prompt (invariant
equality constraints). It is the least-squares edit with a ridge among those that leave C₀ and C₂ as they are. With the
columns of B an orthonormal basis of what P leaves and C₂ does not touch, the same edit is

    W ← W (I + E[(c* − c) cᵀ] B (Bᵀ E[c cᵀ] B + ρ I)⁻¹ Bᵀ),

which needs no inverse of C₂'s products; these are singular where C₂ lies in the span of C₀.

What is kept is refined for each W as published. Only tokens whose value the same edit without P would move more than
the mean are kept (influence-based filtering), and W's smallest right singular direction is kept as well, so that what W
hardly tells from a kept token stays too (directed augmentation).

Differs from the paper: whole sentences are edited token by token, as in UCE, and not the last token of a name. Their
tokens span every direction, most of them barely, so the limit below which a direction counts as free decides: what is
kept changes in those, and only start token, empty prompt and W's smallest direction stay exactly. ρ is relative to
E[c cᵀ], that limit to E[p pᵀ], so that neither depends on the number of prompts or their scale. The augmentation adds
the direction itself in place of copies with noise along it.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.methods.closed_form import VALUES, ClosedForm, EditedTexts, mean_eigenvalue
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register

SPANNED = 1e-9  # share of the largest singular value below which rounding makes a direction look spanned


class NullSpaceSettings(MethodSettings):
    """Options of SPEED."""

    ridge: float = Field(default=1e-2, gt=0, le=1e3, description="ρ, as a share of the mean eigenvalue of E[c cᵀ]")
    null_below: float = Field(
        default=1e-2,
        gt=0,
        lt=1,
        description="directions in which E[p pᵀ] of the tokens that are kept has less than this share of its mean "
        "eigenvalue are free to be edited: lower keeps more exactly, and erases less",
    )


def free_displacement(texts: EditedTexts, ridge: float) -> Tensor:
    """D such that W D is the edit with nothing kept, ``(d, d)``: what the filter asks."""
    return edit_within(
        texts, torch.eye(len(texts.moments), dtype=texts.target.dtype, device=texts.target.device), ridge
    )


def edit_within(texts: EditedTexts, basis: Tensor, ridge: float) -> Tensor:
    """D of the edit W ← W (I + D), ``(d, d)``; D x = 0 for every x orthogonal to the basis.

    Args:
        texts: c and c*.
        basis: B, orthonormal columns, ``(d, k)``.
        ridge: ρ > 0, as a share of the mean eigenvalue of E[c cᵀ].
    """
    moments = texts.moments
    within = basis.T @ moments @ basis
    within += ridge * mean_eigenvalue(moments) * torch.eye(len(within), dtype=within.dtype, device=within.device)
    # The matrix is symmetric: X M⁻¹ = (M⁻¹ Xᵀ)ᵀ.
    return torch.linalg.solve(within, (texts.displacement @ basis).T).T @ basis.T


def most_influenced(kept: Tensor, change: Tensor) -> Tensor:
    """Those of the rows ``kept``, ``(m, d)``, which ``change``, ``(o, d)``, moves no less than the mean, in squares."""
    shift = (kept @ change.T).square().sum(1)
    return kept[shift >= shift.mean()]


def null_space(kept: Tensor, exactly: Tensor, below: float) -> Tensor:
    """Orthonormal columns of directions that are free to be edited, ``(d, k)``, k from 0 on.

    Args:
        kept: p, ``(m, d)``.
        exactly: what the columns are orthogonal to, however little of it there is, ``(l, d)``.
        below: a direction is free where E[p pᵀ] has less than this share of its mean eigenvalue.
    """
    values, directions = torch.linalg.eigh(kept.T @ kept / len(kept))
    free = directions[:, values < below * values.mean()]
    _, sizes, rows = torch.linalg.svd(exactly @ free, full_matrices=True)
    spanned = int((sizes > SPANNED * torch.linalg.matrix_norm(exactly, 2)).sum())
    return free @ rows[spanned:].T


@register("null_space_editing")
class NullSpaceEditing(ClosedForm[NullSpaceSettings]):
    """Values move to the anchors' as far as the directions go in which nothing kept lies."""

    settings_type: ClassVar[type[MethodSettings]] = NullSpaceSettings
    edits: ClassVar[tuple[str, ...]] = VALUES

    def editor(self, texts: EditedTexts) -> Callable[[Tensor], Tensor]:
        """For each weight a null space of its own.

        Raises:
            ExpungeError: the empty prompt's tokens are not known.
        """
        ridge, below, always = self.settings.ridge, self.settings.null_below, texts.invariant
        unconstrained = free_displacement(texts, ridge)

        def edited(weight: Tensor) -> Tensor:
            kept = most_influenced(texts.kept, weight @ unconstrained)
            hardly_told = torch.linalg.svd(weight, full_matrices=True)[2][-1:]
            basis = null_space(kept, torch.cat([always, hardly_told]), below)
            if not basis.shape[1]:
                raise ExpungeError(
                    f"method_options.null_below: what is kept leaves no direction below {below:g} of the mean to edit; "
                    "raise it, or choose another method"
                )
            return weight + weight @ edit_within(texts, basis, ridge)

        return edited
