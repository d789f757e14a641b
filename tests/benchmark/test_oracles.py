"""Beside models that never saw the target: what is measured of a model, and what the page makes of it."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.oracles.page import COMEBACK, DISTANCES, SHARES, comeback_rows, ratio_rows, verdict_rows, write_page
from benchmarks.oracles.yardstick import Sizes, Yardstick, distances, mean_distances
from expunge.comeback.trial import Trial
from tests.benchmark.bench import make_bench, small

SIZES = Sizes.model_validate(
    {
        "pictures": 24,
        "levels": 2,
        "membership": {"pictures": 4, "timesteps": 2},
        "relearning": {"pictures": [1, 5, 20], "harmless_pictures": 0, "steps": 1, "measure_every": 1, "measured": 2},
        "inpainting": {"pictures": 2},
        "noise": {"shares": [1.0], "pictures": 2},
        "guidance": {"scales": [0.3], "training_steps": 2, "pictures": 2},
    }
)


def test_a_model_is_nothing_from_itself_and_something_from_a_changed_one(tiny_model):
    bench = make_bench(tiny_model, small())
    case = bench.case.about([small().targets[0].resolve(bench.case.world)])
    yardstick = Yardstick(bench.model, Trial(case, case.targets[0], 3), SIZES)
    changed = bench.model.with_own_denoiser()
    with torch.no_grad():
        for each in changed.denoiser.parameters():
            each.mul_(1.05)
    before, after = yardstick.look(bench.model), yardstick.look(changed)
    same = distances(before, yardstick.look(bench.model))
    assert same["prediction_target"] == same["prediction_rest"] == 0
    apart = distances(before, after)
    assert apart["prediction_target"] > 0 and apart["prediction_rest"] > 0
    assert apart["pictures_target"] == pytest.approx(distances(after, before)["pictures_target"])
    both = mean_distances(before, [before, after])
    assert both["prediction_rest"] == pytest.approx(apart["prediction_rest"] / 2)
    assert not any(yardstick.trial.target.matches(each) for each in yardstick.prompts["rest"])
    assert set(before.numbers) == {*SHARES, *COMEBACK} and [step for step, _ in before.relearning] == [0, 1]


@pytest.fixture
def models() -> pd.DataFrame:
    """Ten oracles, the original four times as far, a method as far as an oracle, and one that scatters."""
    random, other, rows = np.random.default_rng(2), np.random.default_rng(1), []
    kinds = {"oracle": (1.0, 0.1, 10), "original": (4.0, 0.0, 1), "near": (1.0, 0.05, 5), "scattered": (1.0, 1.0, 5)}
    for target in ("one", "two"):
        for who, (far, spread, count) in kinds.items():
            for seed in range(count):
                own = {name: far * float(np.exp(spread * other.normal())) for name in DISTANCES}
                shares = {name: 0.9 + 0.01 * random.normal() for name in SHARES | COMEBACK}
                shares["noise"] += 0.05 * (who == "scattered")
                rows.append(
                    {"who": who, "target": target, "seed": seed, **own, **shares, "steps": [0, 5], "curve": [1.0, 0.5]}
                )
    return pd.DataFrame(rows)


def test_the_page_is_in_units_of_the_oracles_and_calls_alike_only_what_was_shown(models, tmp_path):
    ratios = {row[0]: [float(each.split()[0]) for each in row[1:]] for row in ratio_rows(models)}
    assert ratios["oracle"] == [1.0] * len(DISTANCES)
    assert all(3.5 < each < 4.5 for each in ratios["original"])
    verdicts = {row[0]: row[1 : 1 + len(DISTANCES)] for row in verdict_rows(models)}
    assert set(verdicts) == {"near", "scattered"}
    shown = {who: sum(int(each.split()[0]) for each in cells) for who, cells in verdicts.items()}
    assert shown["near"] >= 6 and shown["scattered"] == 0
    comeback = {row[0]: dict(zip(COMEBACK, row[1:], strict=True)) for row in comeback_rows(models)}
    assert comeback["oracle"]["noise"] == "90" and comeback["scattered"]["noise"].startswith("95 [+")
    low, high = (float(each) for each in comeback["near"]["guided"].split("[")[1].rstrip("]").split(", "))
    assert -2 <= low <= 0 <= high <= 2
    text = write_page(models, tmp_path)
    assert "beside 10 oracles for each of 2 targets" in text and (tmp_path / "digits.png").stat().st_size > 10_000
