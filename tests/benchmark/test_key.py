"""A cell's key: everything that changes its numbers, and nothing else."""

from dataclasses import replace

import pytest

from expunge.benchmark.bench import Bench
from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.benchmark.cell import Cell
from expunge.benchmark.runner import context_of
from expunge.pictures.drawing import DrawingSettings
from tests.benchmark.bench import BLOB, SMALL, made_cell, make_bench, small

CONTEXT = {"model": "a"}
ENTRY = {"method": "stepping_metric"}


def key(settings: BenchmarkSettings | None = None, context: dict | None = None, **changed: object) -> str:
    cell: Cell = made_cell(**changed)
    return cell.key(settings or small(), context or CONTEXT)


@pytest.mark.parametrize(
    "changed",
    [
        {"entry": {"method": "gradient_ascent"}},
        {"entry": ENTRY | {"options": {"epsilon": 1e-6}}},
        {"entry": ENTRY | {"unlearning": {"retain_weight": 2.0}}},
        {"entry": ENTRY | {"unlearning": {"safeguard": {"tolerance": 0.1}}}},
        {"entry": ENTRY | {"max_steps": 3}},
        {"target": BLOB},
        {"seed": 1},
        {"comparison": "equal_forgetting"},
        {"passes": 11},
        {"learning_rate": 2e-3},
        {"judged_by": {"target_pictures": 5}},
        {"settings": small(unlearning=SMALL["unlearning"] | {"alignment": "original"})},
        {"context": CONTEXT | {"model": "b"}},
    ],
)
def test_the_key_changes_with_what_matters(changed: dict) -> None:
    assert key(**changed) != key()


@pytest.mark.parametrize(
    "changed",
    [
        {"entry": ENTRY | {"label": "ours"}},
        {"entry": ENTRY | {"options": {"epsilon": 1e-8}}},  # the default, spelt out
        {"entry": ENTRY | {"learning_rate": 1e-3}},  # the cell has it
        {"settings": small(evaluation_varies=False)},  # the first seed's pictures are the same
        {"settings": small(seeds=[0, 1], targets=[SMALL["targets"][0], BLOB])},
        {"settings": small(unlearning=SMALL["unlearning"] | {"learning_rate": 0.5})},  # the cell has its own
    ],
)
def test_the_key_stays_where_nothing_of_the_cell_changes(changed: dict) -> None:
    assert key(**changed) == key()


@pytest.mark.parametrize(
    "changed",
    [
        {"check": {"pictures": 4, "steps": 1}},
        {"check_passes": 5},
        {"count_cache": False},
        {"gradients": {"batch_size": 8}},
        {"diversification": SMALL["diversification"] | {"forget_size": 7}},
        {"drawing": {"steps": 2, "guidance": 1}},
        {"relearning": {"pictures": [1], "harmless_pictures": 0}},
    ],
)
def test_what_all_cells_share_is_part_of_every_key(bench: Bench, changed: dict) -> None:
    other = replace(bench, settings=small(**changed))
    assert context_of(other) != context_of(bench)


def test_model_world_judges_and_drawing_are_part_of_every_key(bench: Bench) -> None:
    first, case = context_of(bench), bench.case
    assert first["model"] == bench.model.digest()
    for other in (
        case.drawn_with(DrawingSettings(steps=3)),
        case.model_copy(update={"judges_digest": "other"}),
        case.model_copy(
            update={"world": case.world.model_copy(update={"templates": {"train": ["{subject} {style}"]}})}
        ),
    ):
        assert context_of(replace(bench, case=other)) != first
    assert context_of(make_bench(bench.model, small())) == first
