"""What every unlearning method is: settings, and a step."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from torch import Tensor

from expunge.errors import ExpungeError
from expunge.settings import Settings
from expunge.unlearning.batches import Batch
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import StepReport
from expunge.unlearning.problem import Problem
from expunge.unlearning.unlearn_settings import AS_PUBLISHED


class MethodSettings(Settings):
    """Options of a method. Unknown ones are refused."""

    @property
    def uses_cache(self) -> bool:
        """Whether the method, with these options, reads the cached gradients at θ₀."""
        return False


S = TypeVar("S", bound=MethodSettings)
Runs = Literal["alone", "replicated", "sharded"]


@dataclass(frozen=True)
class StepSize:
    """How far a step goes.

    Attributes:
        learning_rate: η > 0.
        forget_weight: w > 0 of the forget loss against λ of the retain loss; less than 1 where the target is gone and
            what that cost is taken back. Published methods do not know it.
    """

    learning_rate: float
    forget_weight: float = 1.0


@dataclass(frozen=True)
class MethodStep:
    """One step of a method.

    Attributes:
        forget_loss: on this step's forget batch, before the step; None if the method does not look at it.
        retain_loss: on this step's retain batches, likewise.
        passes: batches that went forward and backward; one that only went forward, as for the prediction of the
            frozen original, counts a third.
        report: what the update did.
    """

    forget_loss: float | None
    retain_loss: float | None
    passes: float
    report: StepReport


class Method(ABC, Generic[S]):
    """One way to unlearn. The loop draws the batches, calls `step`, and stores what `state_dict` gives.

    Args:
        problem: what is minimised, at θ₀.
        settings: options, of ``settings_type``.
        cache: gradients at θ₀, if there are any.

    Attributes:
        forget: weights of the forget losses, where the settings name none.
        saliency: share of the trained entries that move, where the settings do not say; None: all.
        own_forget_objective: whether it takes no forget loss but one of its own; the pace then reads the truncated one.
        runs: ``alone``, or also in several processes, ``replicated`` or even ``sharded``.

    Raises:
        ExpungeError: the options need a gradient cache and there is none, there is nothing to move, or it does not run
            in so many processes.
    """

    settings_type: ClassVar[type[MethodSettings]]
    forget: ClassVar[Mapping[str, float]] = AS_PUBLISHED
    saliency: ClassVar[float | None] = None
    own_forget_objective: ClassVar[bool] = False
    runs: ClassVar[Runs] = "alone"

    def __init__(self, problem: Problem, settings: S, cache: GradientCache | None) -> None:
        if problem.ranks.size > 1 and (self.runs == "alone" or (problem.ranks.sharded and self.runs != "sharded")):
            what = "sharded" if self.runs == "replicated" else "processes"
            raise ExpungeError(
                f"hardware.{what}: {type(self).__name__} does not run so; leave that out, or take stepping_metric"
            )
        self.problem, self.settings = problem, settings
        self.prepare(cache)

    @abstractmethod
    def prepare(self, cache: GradientCache | None) -> None:
        """What must be known before the first step or `load_state_dict`."""

    @abstractmethod
    def retain_batches(self, batches_to_cover: int) -> int:
        """Retain batches wanted at each step, of which ``batches_to_cover`` show the whole retain set."""

    @abstractmethod
    def step(self, forget: Batch, retain: Sequence[Batch], size: StepSize) -> MethodStep:
        """One update of the problem's parameters, in place."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next step depends on besides the parameters, flat."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave."""
