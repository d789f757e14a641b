"""Salient entries of what is trained: those that forgetting would change most. The others stay as they are, to the bit.

Source: Fan et al., ICLR 2024, arXiv 2310.12508 (SalUn), section 4: m = 1[|g_f(θ₀)| ≥ γ], over all weights together.
All gradients are zero elsewhere before anything is made of them. So the restricted gradient is that of the subspace,
its products are those of the step that is taken, and its guarantee holds as it does without a mask.

Differs from the paper: γ is given as the share of entries that move; g_f is the cached gradient over the whole forget
set, of the forget losses that the run uses.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.problem import Problem


def salient_entries(gradients: Mapping[str, Tensor], names: Sequence[str], share: float) -> dict[str, Tensor]:
    """Boolean masks of the ``share`` of all entries whose gradient is largest in size, over all tensors together.

    Entries that tie with the smallest of them are salient too. A name without a gradient has no mask.

    Args:
        gradients: by parameter.
        names: of the parameters that are meant; at least one has a gradient.
        share: above 0, at most 1.
    """
    known = [name for name in names if name in gradients]
    sizes = torch.cat([gradients[name].abs().flatten() for name in known])
    rank = max(1, round((1 - share) * len(sizes)) + 1)
    threshold = sizes.kthvalue(min(rank, len(sizes))).values
    return {name: gradients[name].abs() >= threshold for name in known}


def within_salient(problem: Problem, cache: GradientCache | None, share: float) -> Problem:
    """The problem in the subspace of that share of its entries.

    Raises:
        ExpungeError: there is no gradient cache, or it knows no trained parameter.
    """
    if cache is None or not cache.forget.keys() & problem.trained.keys():
        raise ExpungeError("saliency: needs the forget gradients of a gradient cache; make one, or set it to null")
    return problem.within(salient_entries(cache.forget, list(problem.trained), share))
