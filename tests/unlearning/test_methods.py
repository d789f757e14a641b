"""Golden numbers of every method on a tiny denoiser in float64, and the registry's errors.

To regenerate after a deliberate change: ``python -m tests.unlearning.test_methods``, and say why in the
changelog.
"""

import json
from pathlib import Path

import pytest
from diffusers import DDPMScheduler
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.models.diffusion import DiffusionProcess
from expunge.unlearning.batches import LatentSets
from expunge.unlearning.loop import unlearn
from expunge.unlearning.methods import get_method, method_names, register
from expunge.unlearning.trace import Trace
from expunge.unlearning.unlearn_settings import UnlearnSettings
from tests.unlearning.conftest import OPTIONS, QUIET, cached, make_set, make_unet

GOLDEN = Path(__file__).with_name("golden.json")
METHODS = [
    "concept_ablation",
    "erase_diff",
    "erased_stable_diffusion",
    "gradient_ascent",
    "gradient_difference",
    "low_rank_erasure",
    "nash_bargaining",
    "null_space_editing",
    "orthogonal_concept_erasure",
    "restricted_gradient",
    "restricted_gradient_diversified",
    "retain_finetuning",
    "saliency_unlearning",
    "selective_amnesia",
    "stepping_metric",
    "unified_concept_editing",
]


def three_steps(method: str) -> tuple[Trace, float]:
    """Trace, and the sum of all parameters afterwards."""
    denoiser, process = make_unet(), DiffusionProcess(DDPMScheduler(num_train_timesteps=100))
    sets = LatentSets(make_set(6, 1, ("cat",)), make_set(12, 2, ("dog", "apple", "car")))
    settings = UnlearnSettings(
        method=method,
        method_options=OPTIONS.get(method, {}),
        steps=3,
        learning_rate=1e-3,
        forget_batch_size=4,
        retain_batch_size=5,
        empty_share=0.4,
        alignment="data",
        forget=None if get_method(method).own_forget_objective else {"truncated": 1.0},
    )
    cache = cached(denoiser, process, sets, batch_size=6)
    trace = unlearn(denoiser, process, sets, settings, cache, QUIET)
    return trace, sum(p.detach().sum().item() for p in denoiser.parameters())


def numbers(method: str) -> dict[str, list[float]]:
    trace, total = three_steps(method)
    return {
        "forget_loss": [row.forget_loss for row in trace.rows if row.forget_loss is not None],
        "retain_loss": [row.retain_loss for row in trace.rows if row.retain_loss is not None],
        "parameter_sum": [total],
    }


def test_all_methods_are_registered() -> None:
    assert method_names() == METHODS


@pytest.mark.parametrize("method", METHODS)
def test_three_steps_give_the_golden_numbers(method: str) -> None:
    golden = json.loads(GOLDEN.read_text())[method]
    measured = numbers(method)
    for name, values in golden.items():
        assert measured[name] == pytest.approx(values, rel=1e-7), name


def test_methods_look_at_what_they_say() -> None:
    ascent, _ = three_steps("gradient_ascent")
    assert [(row.retain_loss, row.change_retain, row.passes) for row in ascent.rows] == [(None, None, 1)] * 3
    finetuning, _ = three_steps("retain_finetuning")
    assert [(row.forget_loss, row.change_forget, row.passes) for row in finetuning.rows] == [(None, None, 1)] * 3
    assert [row.cosine for row in (*ascent.rows, *finetuning.rows)] == [None] * 6
    diversified, _ = three_steps("restricted_gradient_diversified")
    assert [row.passes for row in diversified.rows] == [1 + 3] * 3  # 12 pictures in batches of 5


def test_the_engine_keeps_its_guarantee_and_single_objectives_descend() -> None:
    engine, _ = three_steps("stepping_metric")
    assert all(row.averaged_change_forget <= 0 and row.averaged_change_retain <= 0 for row in engine.rows)
    for method, column in (("gradient_ascent", "change_forget"), ("retain_finetuning", "change_retain")):
        trace, _ = three_steps(method)
        assert getattr(trace.rows[0], column) < 0


def test_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(ExpungeError, match="'magic' is not known; known are concept_ablation, "):
        get_method("magic")
    with pytest.raises(ValidationError, match="known are concept_ablation"):
        UnlearnSettings(method="magic")


def test_a_name_can_be_taken_only_once() -> None:
    with pytest.raises(ValueError, match="'stepping_metric' is registered already"):
        register("stepping_metric")(get_method("gradient_ascent"))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("stepping_metric", {"momentum": 1.0}),
        ("stepping_metric", {"warm_start": "both"}),
        ("restricted_gradient", {"beta1": -0.1}),
        ("restricted_gradient_diversified", {"retain_batches": 0}),
        ("saliency_unlearning", {"label": "none"}),
        ("erased_stable_diffusion", {"variant": "y"}),
        ("erase_diff", {"barrier": 0}),
        ("selective_amnesia", {"elastic_weight": -1}),
        ("concept_ablation", {"parameters": "some"}),
        ("low_rank_erasure", {"rank": 0}),
        ("unified_concept_editing", {"ridge": 0}),
        ("null_space_editing", {"ridge": 0}),
        ("null_space_editing", {"null_below": 1}),
        ("orthogonal_concept_erasure", {"objective": "both"}),
        ("orthogonal_concept_erasure", {"erase_weight": 0}),
        ("orthogonal_concept_erasure", {"energy": 0}),
    ],
)
def test_options_out_of_range_are_refused(method: str, options: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        UnlearnSettings(method=method, method_options=options)


def test_warm_start_without_a_cache_says_what_to_do() -> None:
    sets = LatentSets(make_set(6, 1, ("cat",)), make_set(6, 2, ("dog",)))
    with pytest.raises(ExpungeError, match="no gradient cache"):
        unlearn(make_unet(), DiffusionProcess(DDPMScheduler()), sets, UnlearnSettings(steps=1), hooks=QUIET)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({method: numbers(method) for method in METHODS}, indent=2) + "\n")
