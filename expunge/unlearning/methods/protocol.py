"""What every unlearning method is: settings, a set-up, and a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from expunge.settings import Settings
from expunge.unlearning.batches import Batch
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.problem import Problem
from expunge.unlearning.step_report import StepReport


class MethodSettings(Settings):
    """Options of a method. Unknown ones are refused."""

    @property
    def uses_cache(self) -> bool:
        """Whether the method, with these options, reads the cached gradients at θ₀."""
        return False


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


class Method(Protocol):
    """One way to unlearn. The loop draws the batches, calls `step`, and stores what `state_dict` gives."""

    settings_type: ClassVar[type[MethodSettings]]

    def setup(self, problem: Problem, cache: GradientCache | None, settings: MethodSettings) -> None:
        """Take the problem and its options; called once, before the first step or `load_state_dict`.

        Raises:
            ExpungeError: the options need a gradient cache and there is none.
        """

    def retain_batches(self, batches_to_cover: int) -> int:
        """Retain batches wanted at each step, of which ``batches_to_cover`` show the whole retain set."""

    def step(self, forget: Batch, retain: Sequence[Batch]) -> MethodStep:
        """One update of the problem's parameters, in place."""

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next step depends on besides the parameters, flat."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave."""
