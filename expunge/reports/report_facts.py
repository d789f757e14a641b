"""Everything that the report of one run shows, checked for agreement before a page is made of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pandas as pd

from expunge.comeback.comeback_report import ComebackReport
from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from expunge.release.findings import Findings
from expunge.unlearning.unlearn_settings import IN_PLACE_OF

TRACE_COLUMNS = (
    "step",
    "forget_loss",
    "retain_loss",
    "cosine",
    "forget_coefficient",
    "retain_coefficient",
    "conflict",
    "change_forget",
    "change_retain",
    "learning_rate",
    "seconds",
    "forgotten",
)
CONFLICT_COLUMNS = ("layer", "cosine", "forget_norm", "retain_norm")


@dataclass(frozen=True)
class Course:
    """How the run went.

    Attributes:
        trace: one row per training step. ``cosine`` between the two gradients, −1 to 1; ``change_forget`` and
            ``change_retain`` the first-order changes of the losses by the step; ``learning_rate`` times the
            pace, missing where it is not known; ``forgotten`` the share of
            probe pictures without the target, 0–1, missing where it was not measured.
        conflict_map: cosine and norms of the two gradients by layer, or None.
        diversity: columns ``set`` and ``value``: scores of the forget and retain sets.
        step_seconds: seconds by pipeline step, in the order they ran, or None.

    Raises:
        ExpungeError: a table lacks a column.
    """

    trace: pd.DataFrame
    conflict_map: pd.DataFrame | None = None
    diversity: pd.DataFrame | None = None
    step_seconds: dict[str, float] | None = None

    def __post_init__(self) -> None:
        tables = (("trace", TRACE_COLUMNS), ("conflict_map", CONFLICT_COLUMNS), ("diversity", ("set", "value")))
        for name, columns in tables:
            table = getattr(self, name)
            missing = [] if table is None else [column for column in columns if column not in table.columns]
            if missing:
                raise ExpungeError(f"{name}: lacks the columns {missing}. It needs {list(columns)}.")

    @property
    def scores(self) -> dict[str, float]:
        """The diversity of the sets by name, without what is drawn instead of the targets."""
        rows = [] if self.diversity is None else self.diversity.itertuples()
        return {row.set: float(row.value) for row in rows if not row.set.startswith(IN_PLACE_OF)}


@dataclass(frozen=True)
class ReportFacts:
    """The facts of one run of ``unlearn_pipeline``.

    Attributes:
        findings: case, numbers, decision and lineage.
        before: pictures of the original model on held-out-level prompts, for targets and for the rest.
        after: pictures of the unlearned model, same prompts and seeds.
        course: how the run went.
        comeback: the comes-back tests, one report a target; empty if they were not made.
        hide_target_pictures: leave every picture drawn for a target out of the page.
        created_at: when the run ended.
        commands: what to type to run it again, one line each.

    Raises:
        ExpungeError: the facts contradict each other; the message names the field.
    """

    findings: Findings
    before: PictureSet
    after: PictureSet
    course: Course
    comeback: tuple[ComebackReport, ...] = ()
    hide_target_pictures: bool = False
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    commands: tuple[str, ...] = ("make setup", "zenml pipeline run unlearn_pipeline")

    @property
    def title(self) -> str:
        """The page's title: what was asked."""
        return f"Takedown: {', '.join(target.name for target in self.targets)}"

    @property
    def targets(self) -> tuple[Target, ...]:
        """What each request means in the world."""
        return self.findings.case.targets

    @property
    def evaluation(self) -> Evaluation:
        """The numbers, before and after."""
        return self.findings.evaluation

    @property
    def decision(self) -> GateDecision:
        """The gate's."""
        return self.findings.decision

    @property
    def lineage(self) -> dict[str, str]:
        """Names and hashes that tell where everything came from."""
        lineage = self.findings.lineage
        hashes = {f"SHA-256 of {name.replace('_', ' ')}": value for name, value in lineage.hashes if value}
        return {"base model": lineage.base.source, "code": lineage.code_commit, **hashes}

    def __post_init__(self) -> None:
        self._check_requests()
        self._check_pictures()
        failed = [condition.name for condition in self.decision.conditions if not condition.passed]
        if self.decision.passed and (failed or not self.decision.conditions):
            found = f"these failed: {', '.join(failed)}" if failed else "there are no conditions"
            raise ExpungeError(f"decision: passed, but {found}. A pass needs every condition met; run the gate again.")

    def _check_requests(self) -> None:
        filed = {request.id for request in self.findings.case.batch.requests}
        named = {
            "targets": {target.request_id for target in self.targets},
            "evaluation.targets": {scores.request_id for scores in self.evaluation.targets},
        }
        for where, ids in named.items():
            if ids - filed:
                raise ExpungeError(
                    f"{where}: name requests {sorted(ids - filed)}, but the batch holds {sorted(filed)}. "
                    "Give the batch that this run worked on."
                )

        tested = [(each.kind, each.target) for each in self.comeback]
        if set(tested) - {(target.kind.value, target.name) for target in self.targets}:
            raise ExpungeError(
                f"comeback: tests of {tested}, but the targets are {[target.name for target in self.targets]}. "
                "Give the tests of this run."
            )

    def _check_pictures(self) -> None:
        if (self.before.prompts, self.before.seeds) != (self.after.prompts, self.after.seeds):
            raise ExpungeError(
                f"after: drawn from other prompts or seeds than before ({len(self.after)} and "
                f"{len(self.before)} pictures). A comparison needs the same ones; draw both again."
            )
        if self.before.pictures.shape != self.after.pictures.shape:
            raise ExpungeError(
                f"after: pictures are {self.after.pictures.shape}, before {self.before.pictures.shape}. They "
                "must have one size."
            )
