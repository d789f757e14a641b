"""What closed forms share: which texts they edit and keep, whose keys and values, and that one step is all.

Tokens are rows here, where the papers have columns: c of the targets, c* of their anchors, p of what is kept, each
``(…, d)``; W is a projection of the cross-attention, ``(o, d)``, and a token's key or value is W c.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from expunge.errors import ExpungeError, present
from expunge.models.conditions import TOKENS
from expunge.unlearning.batches import ANCHORS_MISSING, EMPTY_MISSING, Batch, LatentSet, LatentSets
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import Coefficients, StepReport
from expunge.unlearning.methods.cross_attention import cross_attention_parameters
from expunge.unlearning.methods.method import Method, MethodSettings, MethodStep, StepSize

C = TypeVar("C", bound=MethodSettings)
KEYS_AND_VALUES = ("to_k", "to_v")
VALUES = ("to_v",)


@dataclass(frozen=True)
class EditedTexts:
    """Token embeddings that an edit is made of, float64.

    Attributes:
        target: c, of every distinct forget prompt, ``(n, d)``.
        anchor: c*, of the same sentences without the target, ``(n, d)``.
        kept: p, of every distinct retained prompt, ``(m, d)``.
        empty: of the empty prompt, its start token first, ``(tokens, d)``; None where it is not known.
    """

    target: Tensor
    anchor: Tensor
    kept: Tensor
    empty: Tensor | None = None

    @classmethod
    def of(cls, sets: LatentSets, device: torch.device) -> "EditedTexts":
        """Those of whole forget and retain sets.

        Raises:
            ExpungeError: the forget set has no anchors.
        """
        target, anchor = edited_tokens(sets.forget)
        retain = sets.retain
        kept = retain.conditions[TOKENS][retain.prompt_indices.unique()].flatten(0, 1)
        empty = None if retain.empty is None else retain.empty[TOKENS][0]
        wide = torch.float64
        return cls(
            target.to(device, wide),
            anchor.to(device, wide),
            kept.to(device, wide),
            None if empty is None else empty.to(device, wide),
        )

    @property
    def invariant(self) -> Tensor:
        """The empty prompt's tokens, ``(tokens, d)``.

        Raises:
            ExpungeError: they are not known.
        """
        return present(self.empty, EMPTY_MISSING)

    @cached_property
    def moments(self) -> Tensor:
        """E[c cᵀ] of the targets, ``(d, d)``."""
        return self.target.T @ self.target / len(self.target)

    @cached_property
    def anchor_moments(self) -> Tensor:
        """E[c* c*ᵀ], ``(d, d)``."""
        return self.anchor.T @ self.anchor / len(self.anchor)

    @cached_property
    def kept_moments(self) -> Tensor:
        """E[p pᵀ], ``(d, d)``."""
        return self.kept.T @ self.kept / len(self.kept)

    @cached_property
    def displacement(self) -> Tensor:
        """E[(c* − c) cᵀ], ``(d, d)``."""
        return (self.anchor - self.target).T @ self.target / len(self.target)


def edited_tokens(forget: LatentSet) -> tuple[Tensor, Tensor]:
    """Token embeddings of every distinct forget prompt with its anchor's, both ``(n, d)``.

    Raises:
        ExpungeError: the set has no anchors.
    """
    anchors = present(forget.anchor_indices, ANCHORS_MISSING)
    pairs = torch.stack([forget.prompt_indices, anchors], dim=1).unique(dim=0)
    target, anchor = (forget.conditions[TOKENS][column].flatten(0, 1) for column in pairs.T)
    return target, anchor


def mean_eigenvalue(symmetric: Tensor) -> Tensor:
    """Of a square matrix, a scalar: what shares in the options are of."""
    return symmetric.trace() / len(symmetric)


class ClosedForm(Method[C]):
    """One edit in the first step; later steps change nothing. No step passes anything through the denoiser.

    Attributes:
        edits: names of the projections that are edited.
    """

    edits: ClassVar[tuple[str, ...]] = KEYS_AND_VALUES

    @abstractmethod
    def editor(self, texts: EditedTexts) -> Callable[[Tensor], Tensor]:
        """What gives the edited weight for a weight W, both float64 ``(o, d)`` on the texts' device."""

    def prepare(self, cache: GradientCache | None) -> None:
        """Find the projections. The cache is not used.

        Raises:
            ExpungeError: there is no trained cross-attention.
        """
        self.edited = False
        trained = self.problem.parameters
        self.projections = cross_attention_parameters(self.problem.denoiser, trained, self.edits)

    def retain_batches(self, batches_to_cover: int) -> int:
        """None: the prompts of the whole set are looked at, no picture is."""
        return 0

    def step(self, forget: Batch, retain: Sequence[Batch], size: StepSize) -> MethodStep:
        """The edit, whatever the size, or nothing. Its effect on the losses is not measured.

        Raises:
            ExpungeError: the forget set has no anchors, the cross-attention does not read the encoder's tokens, or what
                the method itself refuses.
        """
        change = 0.0 if self.edited else None
        if not self.edited:
            self._edit()
            self.edited = True
        nothing = Coefficients(0.0, 0.0, conflict=False)
        return MethodStep(None, None, 0, StepReport(0.0, 0.0, 0.0, None, nothing, change, change))

    @torch.no_grad()
    def _edit(self) -> None:
        texts = EditedTexts.of(self.problem.sets, next(iter(self.projections.values())).device)
        _refuse_other_widths(self.projections, texts.target.shape[1])
        edited = self.editor(texts)
        for name, weight in self.projections.items():
            self.problem.put(name, edited(weight.double()).to(weight.dtype))

    def state_dict(self) -> dict[str, Tensor]:
        """Whether the edit has been made."""
        return {"edited": torch.tensor(self.edited)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take that back."""
        self.edited = bool(state["edited"])


def _refuse_other_widths(projections: Mapping[str, nn.Parameter], width: int) -> None:
    """Some denoisers (PixArt, Sana) project the encoder's tokens once, and their cross-attention reads the result."""
    for name, weight in projections.items():
        if weight.shape[1] != width:
            raise ExpungeError(
                f"denoiser: '{name}' reads {weight.shape[1]} numbers a token and the text encoder gives {width}; this "
                "method edits by the encoder's tokens, so choose another one"
            )
