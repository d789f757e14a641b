"""A benchmark too small to tell methods apart, but real in every part."""

from collections.abc import Callable

from expunge.benchmark.bench import Bench
from expunge.benchmark.benchmark_settings import BenchmarkSettings, MethodEntry, TargetEntry
from expunge.benchmark.cell import Cell, CellResult, result_of
from expunge.case import Case
from expunge.models.families.stable_diffusion import StableDiffusion
from tests.metrics.colour_judges import WORLD, colour_panel

CAT, DOG = {"kind": "object", "name": "cat"}, {"kind": "object", "name": "dog"}
BLOB = {"kind": "style", "name": "blob"}
SMALL = {
    "methods": [
        {"method": "stepping_metric", "unlearning": {"forget": {"truncated": 1.0}}},
        {"method": "gradient_ascent"},
    ],
    "targets": [DOG],  # what the tiny model draws, so that it does not count as forgotten
    "seeds": [0],
    "comparisons": {"equal_forgetting": 6, "equal_budget": 6},
    "unlearning": {
        "learning_rate": 1e-3,
        "alignment": "data",
        "forget_batch_size": 4,
        "retain_batch_size": 4,
        "stop_at": 1.0,
        "pace": None,
    },
    "check": {"pictures": 3, "steps": 1},
    "check_passes": 2,
    "diversification": {"pool_per_stratum": 1, "forget_size": 6, "paired_size": 3},
    "gradients": {"batch_size": 16},
    "drawing": {"steps": 1, "guidance": 1},
    "evaluation": {
        "target_pictures": 4,
        "held_out_pictures": 12,
        "train_pictures": 12,
        "drawing": {"steps": 1, "guidance": 1},
    },
}


def small(**changed: object) -> BenchmarkSettings:
    """The settings above with some of them changed."""
    return BenchmarkSettings.model_validate({**SMALL, **changed})


def make_bench(model: StableDiffusion, settings: BenchmarkSettings) -> Bench:
    """A bench on the colour world."""
    return Bench.of(model, Case.of(WORLD, colour_panel(), settings.drawing), settings)


def made_cell(**changed: object) -> Cell:
    """A cell of the settings above."""
    settings = small()
    facts = {
        "entry": MethodEntry(method="stepping_metric"),
        "target": TargetEntry.model_validate(DOG),
        "seed": 0,
        "comparison": "equal_budget",
        "passes": 6,
        "learning_rate": 1e-3,
        "judged_by": settings.evaluation,
    }
    return Cell.model_validate({**facts, **changed})


def result_maker() -> Callable[..., CellResult]:
    """Makes results with made-up numbers, each of a cell of its own."""
    made = 0

    def make(method: str, target: str = "cat", seed: int = 0, status: str = "done", **numbers: object) -> CellResult:
        """Fields of ``CellResult`` as they are; everything else is one of its numbers, or with _before the base's."""
        nonlocal made
        made += 1
        fields = {name: value for name, value in numbers.items() if name in CellResult.model_fields}
        rest = {name: value for name, value in numbers.items() if name not in fields}
        before = {name.removesuffix("_before"): value for name, value in rest.items() if name.endswith("_before")}
        after = {name: value for name, value in rest.items() if not name.endswith("_before")}
        cell = made_cell(
            entry=MethodEntry(method="gradient_ascent", label=method),
            target=TargetEntry(kind="object", name=target),
            seed=seed,
            comparison=fields.pop("comparison", "equal_budget"),
            learning_rate=fields.pop("learning_rate", 1e-3),
        )
        return result_of(cell, f"{made:064d}", "code", status=status, numbers=after, before=before, **fields)

    return make
