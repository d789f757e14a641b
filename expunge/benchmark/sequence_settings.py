"""Which takedowns come one after another, and how each is made and measured."""

from typing import Literal

from pydantic import Field

from expunge.benchmark.measuring import MeasuringSettings
from expunge.errors import ExpungeError
from expunge.pictures.drawing import DrawingSettings
from expunge.prompts.named_targets import read_targets
from expunge.prompts.target import Target
from expunge.prompts.world import World
from expunge.settings import Settings
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)

# Eight objects of eight groups and two of the four styles: most of each factor remains.
TARGETS = ("object:cat", "object:apple", "style:twemoji", "object:rocket", "object:cactus",
           "object:pizza", "style:blob", "object:cloud", "object:umbrella", "object:panda")  # fmt: skip


class SequentialSettings(Settings):
    """Takedowns in order. The defaults are small: a round takes about two minutes on one core with the zoo.

    Attributes:
        targets: ``KIND:NAME``, in the order in which they are forgotten.
        diversification: size and make-up of each round's forget and retain sets.
        drawing: how their pictures, and those of the checks, are drawn.
        gradients: how the gradients at each round's first model are measured.
        unlearning: the method and its settings.
        check: how forgetting is measured while unlearning.
        retained_from: whose pictures and predictions are retained in each round.
        measuring: how every target and the rest are measured after each round.
        keep: take finished rounds as they are, though the library's code has changed since.
    """

    targets: tuple[str, ...] = Field(default=TARGETS, min_length=1)
    diversification: DiversificationSettings = DiversificationSettings(
        pool_per_stratum=1, forget_size=32, paired_size=16
    )
    drawing: DrawingSettings = DrawingSettings(steps=6)
    gradients: GradientSettings = GradientSettings(batch_size=32)
    unlearning: UnlearnSettings = UnlearnSettings(steps=80, forget_batch_size=8, retain_batch_size=16)
    check: CheckSettings = CheckSettings(pictures=12, steps=6)
    measuring: MeasuringSettings = MeasuringSettings(
        target_pictures=12, held_out_pictures=320, train_pictures=160, drawing=DrawingSettings(steps=6)
    )
    retained_from: Literal["first", "last"] = "first"
    keep: bool = False


def targets_of(settings: SequentialSettings, world: World) -> list[Target]:
    """The targets in order, found in the world.

    Raises:
        ExpungeError: one is no ``KIND:NAME``, is not drawn or shares something with another, or nothing is left of a
            factor.
    """
    targets = read_targets(settings.targets, world)
    levels = [(target.factor, level) for target in targets for level in target.levels]
    if len(targets) < len(settings.targets) or len(set(levels)) < len(levels):
        raise ExpungeError(f"targets: two of {', '.join(settings.targets)} mean the same; give each once.")
    for factor, known in world.factors.items():
        if {(factor, level) for level in known} <= set(levels):
            raise ExpungeError(f"targets: they are all that the model draws of '{factor}'; leave one of them out.")
    return targets
