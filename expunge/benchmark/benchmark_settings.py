"""What a benchmark compares, checked before any work."""

from collections import Counter
from collections.abc import Hashable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from expunge.benchmark.measuring import MeasuringSettings
from expunge.comeback.relearning import RelearningSettings
from expunge.pictures.drawing import DrawingSettings
from expunge.prompts.target import Target, resolve_target
from expunge.prompts.world import World
from expunge.settings import Settings
from expunge.takedown.request import Kind, TakedownRequest
from expunge.unlearning.methods import method_names
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)

Comparison = Literal["equal_forgetting", "equal_budget"]
# What a cell sets itself; the rest of UnlearnSettings is the benchmark's to set.
SET_BY_CELL = ("method", "method_options", "steps", "seed", "check_every", "checkpoint_every")


class MethodEntry(Settings):
    """One row of the table: a method with its options."""

    method: str = Field(description="a registered name")
    label: str = Field(default="", max_length=60, description="how the table calls it; empty: the method's name")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the method")
    unlearning: dict[str, Any] = Field(default_factory=dict, description="unlearning settings that only it has")
    learning_rate: Annotated[float, Field(gt=0, le=1)] | Literal["measured"] | None = Field(
        default=None, description="given: taken as it is, not tuned; measured: at θ₀, for each target"
    )
    max_steps: int | None = Field(default=None, ge=1, description="for a method that is done after few steps")

    @property
    def name(self) -> str:
        """How the table calls it."""
        return self.label or self.method


class TargetEntry(Settings):
    """Something to be forgotten, as a takedown request would name it; there are no reference pictures here."""

    kind: Literal["object", "style", "class", "concept"]
    name: str = Field(min_length=1, max_length=100)

    def resolve(self, world: World) -> Target:
        """What it means in a world.

        Raises:
            ExpungeError: nothing the model draws goes by that name.
        """
        epoch = datetime.fromtimestamp(0, UTC)
        request = TakedownRequest(id="benchmark", kind=Kind(self.kind), target=self.name, filed_at=epoch)
        return resolve_target(request, world)


class TuningSettings(Settings):
    """One grid of learning rates for every method, tried on targets and with a seed that are not compared later."""

    targets: tuple[TargetEntry, ...] = Field(min_length=1)
    seed: int = Field(default=100, ge=0)
    learning_rates: tuple[float, ...] = Field(default=(3e-5, 1e-4, 3e-4), min_length=1)
    unlearning_accuracy_at_least: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="of the rates whose mean UA reaches it the one with the highest RA is taken",
    )
    comparison: Comparison = "equal_forgetting"
    evaluation: MeasuringSettings = MeasuringSettings(target_pictures=24, held_out_pictures=80, train_pictures=60)


class BenchmarkSettings(Settings):
    """Methods × targets × seeds, compared at equal forgetting, at an equal budget, or both.

    Attributes:
        methods: rows of the table; empty for every registered method with its own defaults.
        targets: what is unlearned, one at a time.
        seeds: of batches, noise and timesteps. Data are the same for all seeds.
        comparisons: passes each method may make, by comparison. ``equal_forgetting`` lets a run end before that by its
            own stopping rule: without a pace when two checks in a row have found ``stop_at`` of the target forgotten,
            with one as its pace says. With ``equal_budget`` no check ends a run, and no row has a pace.
        count_cache: whether passes and seconds of the cached gradients at θ₀ count for the methods that read them.
        compare_with: label of the method that the others are paired with.
        tuning: how learning rates are chosen; None to take the one in ``unlearning``.
        unlearning: fields of ``UnlearnSettings`` for all methods, but for those that a cell sets itself.
        check: how forgetting is measured while unlearning.
        check_passes: a check after so many passes, rounded to whole steps of the method.
        diversification: size and make-up of forget and retain sets.
        gradients: how the cached gradients are measured.
        drawing: how data and the checks' pictures are drawn.
        evaluation: by how many pictures a cell is judged, how they are drawn and from which seed on.
        evaluation_varies: whether each seed is judged by pictures of its own, so that intervals cover the luck of the
            draw; else all by the same, which leaves less to draw of the base model.
        relearning: how a copy of each unlearned model is fine-tuned on pictures of the target, to see whether it comes
            back; None: it is not tried.
        keep: take stored results as they are, though the library's code has changed since.
    """

    methods: tuple[MethodEntry, ...] = ()
    targets: tuple[TargetEntry, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    comparisons: dict[Comparison, int] = Field(default={"equal_forgetting": 120, "equal_budget": 120}, min_length=1)
    count_cache: bool = True
    compare_with: str = "stepping_metric"
    tuning: TuningSettings | None = None
    unlearning: dict[str, Any] = Field(default_factory=dict)
    check: CheckSettings = CheckSettings()
    check_passes: int = Field(default=20, ge=1)
    diversification: DiversificationSettings = DiversificationSettings()
    gradients: GradientSettings = GradientSettings()
    drawing: DrawingSettings = DrawingSettings()
    evaluation: MeasuringSettings = MeasuringSettings()
    evaluation_varies: bool = True
    relearning: RelearningSettings | None = None
    keep: bool = False

    @property
    def entries(self) -> tuple[MethodEntry, ...]:
        """Rows of the table."""
        return self.methods or tuple(MethodEntry(method=name) for name in method_names())

    def judged_by(self, measuring: MeasuringSettings, seed: int) -> MeasuringSettings:
        """How a cell of that seed is judged; some further seeds are the targets' and the wordings'."""
        return measuring.model_copy(update={"seed": measuring.seed + (10 * seed if self.evaluation_varies else 0)})

    def unlearn_settings(self, entry: MethodEntry) -> UnlearnSettings:
        """What a method runs with, but for what a cell sets."""
        own = {"method": entry.method, "method_options": entry.options}
        return UnlearnSettings.model_validate({**self.unlearning, **entry.unlearning, **own})

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        labels = [entry.name for entry in self.entries]
        for field, values in (("methods", labels), ("targets", self.targets), ("seeds", self.seeds)):
            _no_duplicates(field, values)
        if few := [name for name, passes in self.comparisons.items() if passes < 1]:
            raise ValueError(f"comparisons: {few[0]} is {self.comparisons[few[0]]} passes; at least 1 is needed")
        self._unlearning_is_whole()
        if self.compare_with not in labels:
            raise ValueError(f"compare_with: '{self.compare_with}' is not a row; the rows are {', '.join(labels)}")
        self._tuning_is_apart()
        if self.relearning and (len(self.relearning.pictures) != 1 or self.relearning.harmless_pictures):
            raise ValueError(
                "relearning: give one number of pictures and harmless_pictures: 0; the table has one column"
            )
        return self

    def _unlearning_is_whole(self) -> None:
        for where in (self.unlearning, *(entry.unlearning for entry in self.entries)):
            if taken := sorted(set(where) & set(SET_BY_CELL)):
                raise ValueError(
                    f"unlearning: '{taken[0]}' is set for each cell; set methods, comparisons, seeds or check_passes"
                )
        for entry in self.entries:
            if "forget_threshold" in entry.unlearning:
                raise ValueError(f"methods: '{entry.name}' has a forget_threshold of its own; all share one cache's")
            self.unlearn_settings(entry)

    def _tuning_is_apart(self) -> None:
        if self.tuning is None:
            return
        _no_duplicates("tuning targets", self.tuning.targets)
        _no_duplicates("tuning learning_rates", self.tuning.learning_rates)
        if both := [each.name for each in self.tuning.targets if each in self.targets]:
            raise ValueError(f"tuning: '{both[0]}' is compared as well; tune on other targets")
        if self.tuning.seed in self.seeds:
            raise ValueError(f"tuning: seed {self.tuning.seed} is compared as well; tune with another")
        if self.tuning.comparison not in self.comparisons:
            raise ValueError(f"tuning: comparison '{self.tuning.comparison}' is not one of {list(self.comparisons)}")


def _no_duplicates(field: str, values: Iterable[Hashable]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise ValueError(f"{field}: {value!s} is given {count} times; once is enough")
