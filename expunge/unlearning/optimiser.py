"""The restricted gradient, taken in the metric of the step. Notation as in `expunge.unlearning.gradients`."""

import math
from collections.abc import Mapping, Sequence, Set

import torch
from torch import Tensor

from expunge.unlearning.gradients import (
    NonFiniteGradientError,
    StepReport,
    coefficients,
    combine,
    cosine_of,
    first_order_changes,
)
from expunge.unlearning.products import Gradients, dense, gram, groups, refuse_too_large
from expunge.unlearning.ranks import ALONE, Ranks
from expunge.unlearning.sharding import shard_of


class RestrictedAdam:
    """Adam-like steps along the restricted gradient, taken in the metric of the step itself.

    One step, in this order:

    1. v ← β v + (1 − β) (g_f² + λ² g_r²), shared by both objectives; P = diag(√v̂ + ε).
    2. m_f, m_r ← their own moving averages.
    3. c_f, c_r from <m̂_f,m̂_f>, <m̂_f,m̂_r>, <m̂_r,m̂_r> with <a,b> = aᵀ P⁻¹ b.
    4. θ ← θ − η P⁻¹ (c_f m̂_f + c_r m̂_r).

    To first order, neither of the two averaged losses rises in step 4; without momentum these are the losses of the
    batches at hand. A preconditioner is any positive diagonal, so the choice of v is free: the sum of squares does not
    vanish where the two gradients cancel, which the square of their sum would, and with it the step there would blow
    up.

    Parameters must be float32 or float64: a rounded half-precision update is not the step whose products were taken;
    keep float32 weights and use autocast for the forward pass.

    Differs from the paper (arXiv 2412.07808): products in Adam's metric instead of Euclidean; one first
    moment per objective instead of one moment of the projected sum.

    Args:
        parameters: what is trained, by name.
        retain_weight: λ > 0.
        momentum: decay of m_f and m_r, 0 ≤ β < 1.
        second_momentum: decay of v.
        epsilon: ε > 0.
        ranks: the processes that step together.

    Raises:
        ValueError: a parameter is neither float32 nor float64.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        retain_weight: float,
        momentum: float = 0.9,
        second_momentum: float = 0.999,
        epsilon: float = 1e-8,
        ranks: Ranks = ALONE,
    ) -> None:
        for name, parameter in parameters.items():
            if parameter.dtype not in (torch.float32, torch.float64):
                raise ValueError(
                    f"parameter {name} is {parameter.dtype}: must be float32 or float64; "
                    "use autocast for half-precision passes"
                )
        self.names, self.parameters = list(parameters), list(parameters.values())
        self.retain_weight, self.epsilon, self.ranks = retain_weight, epsilon, ranks
        self.decay = {"forget": momentum, "retain": momentum, "second": second_momentum}
        # Weight that each average has gathered so far, 1 − βᵗ for a cold start, 1 for a warm one; "cold" is that of
        # the v of parameters that nothing was known of when the others began warm.
        self.weight = dict.fromkeys((*self.decay, "cold"), 0.0)
        self._group()

    @property
    def moments(self) -> dict[str, list[Tensor]]:
        """m_f, m_r and v by parameter, as views."""
        found: dict[str, list[Tensor]] = {}
        for kind in self.decay:
            views = {i: view for each in self.groups for i, view in zip(each.members, each.views[kind], strict=True)}
            found[kind] = [views[i] for i in range(len(views))]
        return found

    def warm_start(self, forget_second: Mapping[str, Tensor], retain_second: Mapping[str, Tensor]) -> None:
        """Begin with v = E[g_f²] + λ² E[g_r²]. Where that is zero, v begins as it would without a warm start: the
        first factor of a low-rank adapter has no gradient at θ₀, and its first steps would be thirty times too long.

        Raises:
            NonFiniteGradientError: a square is NaN or infinite.
        """
        refused = None
        for name, v in zip(self.names, self.moments["second"], strict=True):
            v.zero_()
            for given, weight in ((forget_second, 1.0), (retain_second, self.retain_weight**2)):
                if name in given:
                    v.add_(shard_of(given[name], v, self.ranks.rank, self.ranks.size).to(v), alpha=weight)
            if not v.isfinite().all():
                refused = NonFiniteGradientError(
                    f"cached squares of {name}: must be finite; make the gradient cache again"
                )
        self.ranks.refuse_together(refused)
        self.weight["second"] = 1.0
        cold = {i for i, v in enumerate(self.moments["second"]) if not v.any()}
        if cold:
            squares = [v.clone() for v in self.moments["second"]]
            self.groups.clear()  # before there are others: moments are the most of what is in memory
            self._group(cold)
            for v, known in zip(self.moments["second"], squares, strict=True):
                v.copy_(known)

    def _group(self, cold: Set[int] = frozenset()) -> None:
        """Lay moments out, all zero; those of cold parameters apart."""
        found = groups(self.parameters)
        parted = [[i for i in each if (i in cold) == apart] for each in found for apart in (False, True)]
        self.groups = [_Group(self.parameters, each, list(self.decay), each[0] in cold) for each in parted if each]

    def step(
        self, forget: Gradients, retain: Gradients, learning_rate: float, forget_weight: float = 1.0
    ) -> StepReport:
        """One update from both gradients, which are left as they are.

        Args:
            forget: g_f.
            retain: g_r.
            learning_rate: η > 0.
            forget_weight: w > 0 of this step's d = w δ_f + λ δ_r: the smaller, the more the forget loss is only kept
                from rising.

        Raises:
            NonFiniteGradientError: a gradient holds NaN, infinity or a number whose square overflows.
                Parameters and moments are as they were before.
        """
        refuse_too_large(dense(retain, self.parameters), self.names, "retain", self.retain_weight)
        update = self.begin(forget)
        for index, gradient in enumerate(retain):
            if gradient is not None:
                update.take(index, gradient)
        return update.finish(learning_rate, forget_weight)

    @torch.no_grad()
    def begin(self, forget: Gradients) -> "Update":
        """A step whose retain gradients come one by one, as a backward pass finds them: they need never be in memory
        together.

        Raises:
            NonFiniteGradientError: as `step`.
        """
        forget, refused = dense(forget, self.parameters), None
        try:
            refuse_too_large(forget, self.names, "forget")
        except NonFiniteGradientError as error:
            refused = error
        self.ranks.refuse_together(refused)
        decay = self.decay | {"cold": self.decay["second"]}
        self.weight = {kind: beta * self.weight[kind] + 1 - beta for kind, beta in decay.items()}
        return Update(self, forget)

    def _average(self, group: "_Group", forget: list[Tensor], retain: list[Tensor]) -> Tensor:
        """Take a group's gradients into its averages, and return the products of both averages with themselves, and
        with the gradients: float64 ``(2, 4)``."""
        beta, v = self.decay["second"], group.moments["second"]
        if group.cold:  # v̂ itself is kept
            beta = 1 - (1 - beta) / self.weight["cold"]
        v.mul_(beta)
        for kind, gradients, weight in (("forget", forget, 1.0), ("retain", retain, self.retain_weight**2)):
            torch._foreach_addcmul_(group.views["second"], gradients, gradients, value=(1 - beta) * weight)
            torch._foreach_lerp_(group.views[kind], gradients, 1 - self.decay[kind])
        scale, both = self._root(v).rsqrt_(), (group.moments["forget"], group.moments["retain"])
        if not self.decay["forget"]:  # the averages are the gradients
            return gram(both, scale).repeat(1, 2)
        return gram((*both, group.flat(forget), group.flat(retain)), scale)[:2]

    def _root(self, v: Tensor) -> Tensor:
        """√w times the diagonal of P."""
        return v.sqrt().add_(self.epsilon * math.sqrt(self.weight["second"]))

    def state_dict(self) -> dict[str, Tensor]:
        """Moments as ``kind/name`` and their gathered weights, flat, for safetensors."""
        state = {
            f"{kind}/{name}": moment
            for kind, moments in self.moments.items()
            for name, moment in zip(self.names, moments, strict=True)
        }
        return state | {"weights": torch.tensor(list(self.weight.values()), dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            KeyError: a moment is missing.
        """
        for kind, moments in self.moments.items():
            for name, moment in zip(self.names, moments, strict=True):
                moment.copy_(state[f"{kind}/{name}"])
        self.weight = dict(zip(self.weight, state["weights"].tolist(), strict=True))


class Update:
    """One step of a `RestrictedAdam` in progress. Each group of parameters is averaged as soon as all its gradients are
    there, and then they are let go: at the end of the pass there is none left.

    Args:
        optimiser: whose step it is.
        forget: g_f, dense; emptied as it is used.
    """

    def __init__(self, optimiser: RestrictedAdam, forget: list[Tensor]) -> None:
        self.optimiser, self.forget, self.retain = optimiser, dict(enumerate(forget)), dict[int, Tensor]()
        self.group_of = {i: group for group in optimiser.groups for i in group.members}
        self.awaited = {id(group): set(group.members) for group in optimiser.groups}
        self.products: list[Tensor] = []
        self.refused: NonFiniteGradientError | None = None

    @torch.no_grad()
    def take(self, index: int, gradient: Tensor) -> None:
        """The retain gradient of one parameter, once."""
        self.retain[index] = gradient
        group = self.group_of[index]
        self.awaited[id(group)].discard(index)
        if not self.awaited[id(group)]:
            self._average(group)

    def _average(self, group: "_Group") -> None:
        """What is refused here is told in the end: within a backward pass other processes would wait for this one."""
        optimiser, forget = self.optimiser, [self.forget.pop(i) for i in group.members]
        retain = dense([self.retain.pop(i, None) for i in group.members], group.places)
        try:
            refuse_too_large(retain, [optimiser.names[i] for i in group.members], "retain", optimiser.retain_weight)
        except NonFiniteGradientError as error:
            self.refused = self.refused or error
        self.products.append(optimiser._average(group, forget, retain).cpu())

    @torch.no_grad()
    def finish(self, learning_rate: float, forget_weight: float = 1.0) -> StepReport:
        """Step, as `RestrictedAdam.step` does it. Parameters without a gradient by now have none.

        Raises:
            NonFiniteGradientError: a retain gradient was NaN, infinite or too large. The parameters are as they were
                before; the moments are not, so that the optimiser is of no more use.
        """
        optimiser = self.optimiser
        for group in optimiser.groups:
            if self.awaited[id(group)]:
                self._average(group)
        optimiser.ranks.refuse_together(self.refused)
        products = optimiser.ranks.over_shards(torch.stack(self.products).sum(0))
        # Bias corrections scale the averages as numbers, not as tensors: m̂ = m / w, √v̂ + ε = (√v + √w ε) / √w.
        correction, root = 1 / optimiser.weight["forget"], math.sqrt(optimiser.weight["second"])
        (ff, fr, *with_forget), (_, rr, *with_retain) = (products * (correction * root)).tolist()
        ff, fr, rr = (each * correction for each in (ff, fr, rr))
        weight = optimiser.retain_weight / forget_weight
        chosen = coefficients(ff, fr, rr, weight).times(forget_weight, forget_weight)
        for group in optimiser.groups:
            m_f, m_r, v = group.moments.values()
            direction = combine(m_f, m_r, chosen.times(correction, correction)).div_(optimiser._root(v))
            torch._foreach_add_(group.places, group.cut(direction), alpha=-learning_rate * root)
        of_batch = (-(chosen.forget * f + chosen.retain * r) for f, r in zip(with_forget, with_retain, strict=True))
        changes = (*of_batch, *first_order_changes(ff, fr, rr, chosen))
        return StepReport(ff, fr, rr, cosine_of(ff, fr, rr), chosen, *changes)


class _Group:
    """Parameters that lie together: each moment of theirs is one vector, so that a step takes few calls.

    Attributes:
        moments: the vectors, by kind.
        views: of them in the parameters' shapes.
        cold: whether nothing was known of them when the others began warm.
    """

    def __init__(self, parameters: Sequence[Tensor], members: list[int], kinds: Sequence[str], cold: bool) -> None:
        self.members, self.places, self.cold = members, [parameters[i] for i in members], cold
        self.sizes = [p.numel() for p in self.places]
        self.moments = {kind: self.places[0].new_zeros(sum(self.sizes)) for kind in kinds}
        self.views = {kind: self.cut(moment) for kind, moment in self.moments.items()}

    def of(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Those of these parameters."""
        return [tensors[i] for i in self.members]

    def flat(self, tensors: Sequence[Tensor]) -> Tensor:
        """These parameters' tensors as one vector."""
        parts = [each.reshape(-1) for each in tensors]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def cut(self, vector: Tensor) -> list[Tensor]:
        """Views of a vector in the parameters' shapes."""
        return [part.view(p.shape) for part, p in zip(vector.split(self.sizes), self.places, strict=True)]
