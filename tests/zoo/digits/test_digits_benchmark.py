"""Class forgetting in the benchmark: what needs no cross-attention runs, what does says so."""

from pathlib import Path

import pytest

from expunge.benchmark.bench import Bench
from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.benchmark.runner import run_benchmark
from expunge.case import Case
from expunge.zoo.digits.digits_data import digits_world, split_digits
from expunge.zoo.digits.digits_judges import JudgeRecipe, train_judges
from tests.zoo.digits.tiny import make_tiny_digits

NEED_CROSS_ATTENTION = (
    {"method": "unified_concept_editing"},
    {"method": "null_space_editing"},
    {"method": "orthogonal_concept_erasure"},
    {"method": "erased_stable_diffusion"},
    {"method": "concept_ablation"},
)
APPLY = (
    {"method": "stepping_metric", "learning_rate": "measured", "unlearning": {"alignment": "original", "pace": {}}},
    {"method": "stepping_metric", "label": "data"},
    {"method": "restricted_gradient"},
    {"method": "restricted_gradient_diversified", "options": {"retain_batches": 2}},
    {"method": "gradient_difference"},
    {"method": "gradient_ascent"},
    {"method": "retain_finetuning"},
    {"method": "saliency_unlearning"},
    {"method": "erase_diff"},
    {"method": "selective_amnesia"},
    {"method": "concept_ablation", "label": "concept_ablation, full", "options": {"parameters": "full"}},
    {"method": "erased_stable_diffusion", "label": "erased_stable_diffusion, u", "options": {"variant": "u"}},
    {"method": "low_rank_erasure", "options": {"layers": "linear_and_convolution"}},
    {"method": "nash_bargaining"},
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory):
    settings = BenchmarkSettings.model_validate(
        {
            "methods": [*APPLY, *NEED_CROSS_ATTENTION],
            "targets": [{"kind": "class", "name": "seven"}],
            "comparisons": {"equal_budget": 6},
            "unlearning": {
                "learning_rate": 2e-4,
                "alignment": "data",
                "pace": None,
                "forget_batch_size": 4,
                "retain_batch_size": 8,
            },
            "check": {"pictures": 2, "steps": 1},
            "diversification": {"pool_per_stratum": 1, "forget_size": 4, "paired_size": 2},
            "drawing": {"steps": 1, "guidance": 1},
            "evaluation": {
                "target_pictures": 3,
                "held_out_pictures": 20,
                "train_pictures": 20,
                "drawing": {"steps": 1, "guidance": 1},
            },
        }
    )
    model, world = make_tiny_digits(), digits_world()
    panel = train_judges(split_digits()[0], JudgeRecipe(steps=2, batch_size=8), progress=False)
    folder = tmp_path_factory.mktemp("cells")
    before = model.digest()
    bench = Bench.of(model, Case.of(world, panel, settings.drawing, "digits"), settings)
    found = run_benchmark(bench, Path(folder), lambda line: None)
    assert model.digest() == before
    return found


def test_what_needs_no_cross_attention_runs(results):
    done = [each for each in results.cells if each.status == "done"]
    assert [each.algorithm for each in done] == [entry["method"] for entry in APPLY], results.cells
    for cell in done:
        assert cell.frechet_features and cell.frechet_features.startswith("digits-features, 32 features")
        assert cell.numbers["steps"] and "retain_accuracy" in cell.numbers and "cross_domain" not in cell.numbers


def test_what_needs_it_says_so(results):
    failed = [each for each in results.cells if each.status == "failed"]
    assert [each.algorithm for each in failed] == [entry["method"] for entry in NEED_CROSS_ATTENTION]
    for cell in failed:
        assert cell.error and "has no trained cross-attention parameter, which this method moves" in cell.error
