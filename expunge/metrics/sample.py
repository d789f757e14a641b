"""What quantities are measured on: judged pictures of the same prompts and noise, before and after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from expunge.judges.judged import JudgedPictures
from expunge.judges.panel import Panel
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt


@dataclass(frozen=True)
class Pair:
    """What the judges said of n prompts, drawn from the same noise before and after."""

    was: JudgedPictures
    now: JudgedPictures

    def __len__(self) -> int:
        return len(self.was)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The n prompts."""
        return self.was.prompts

    @property
    def texts(self) -> list[str]:
        """Their texts."""
        return self.was.texts

    @property
    def clusters(self) -> list[str]:
        """As ``JudgedPictures.clusters``."""
        return self.was.clusters

    def select(self, indices: Sequence[int]) -> "Pair":
        """Those at ``indices``, in that order."""
        return Pair(self.was.select(indices), self.now.select(indices))

    def where(self, keep: Callable[[Prompt], bool]) -> "Pair":
        """Those whose prompt satisfies ``keep``."""
        return self.select([i for i, prompt in enumerate(self.prompts) if keep(prompt)])


@dataclass(frozen=True)
class Sample:
    """What one row of numbers is measured on: those of a target, or those of the rest.

    Attributes:
        targets: the target, or all of them.
        asked: held-out wordings that ask for the target; none where the numbers are of the rest.
        rest: held-out wordings that ask for nothing forgotten.
        train: train wordings that ask for nothing forgotten.
        in_place: the target's sentences with a neighbour in its place, by the model as it was; none where the numbers
            are of the rest, or where there is no neighbour.
        drawn_before: other pictures of the model as it was, whatever they ask for.
        reference: the yardstick of distances: other pictures of the model as it was, held-out wordings of the rest.
        panel: the judges.
        seed: of resamples.
    """

    targets: tuple[Target, ...]
    asked: Pair
    rest: Pair
    train: Pair
    in_place: JudgedPictures
    drawn_before: JudgedPictures
    reference: JudgedPictures
    panel: Panel
    seed: int
