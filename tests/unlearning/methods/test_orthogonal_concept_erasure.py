"""OCE: the update is orthogonal, and each objective does what it says."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes

from expunge.models.conditions import TOKENS
from expunge.unlearning.methods.closed_form import EditedTexts
from expunge.unlearning.methods.orthogonal_concept_erasure import (
    keeping,
    leading_projector,
    nearest_orthogonal,
    turned_away,
)
from tests.unlearning.methods.stage import FORGET, RETAIN, Stage

WIDTH = 8
seeds = st.integers(0, 2**31 - 1)


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def values(stage: Stage) -> torch.nn.Linear:
    return stage.denoiser.mid_block.attentions[0].transformer_blocks[0].attn2.to_v


def share_along(vectors: torch.Tensor, direction: torch.Tensor) -> float:
    """Of the vectors' energy, 0–1."""
    return float((vectors @ direction).square().sum() / vectors.square().sum())


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 9))
def test_the_nearest_orthogonal_matrix_is_orthogonal_and_no_other_is_nearer(seed: int, size: int) -> None:
    matrix = normal(seed, size, size)
    found = nearest_orthogonal(matrix)
    torch.testing.assert_close(found.T @ found, torch.eye(size, dtype=torch.float64))
    other = torch.linalg.qr(normal(seed + 1, size, size))[0]
    assert (found * matrix).sum() >= (other * matrix).sum()


@pytest.mark.parametrize("objective", ["subspace", "vectors"])
def test_lengths_and_angles_of_all_values_stay(objective: str) -> None:
    stage = Stage("orthogonal_concept_erasure", objective=objective)
    stage.step(0)
    moved = stage.moved()
    assert moved == {name for name in stage.start if name.endswith(".attn2.to_v.weight")}
    for name, weight in stage.denoiser.named_parameters():
        if name in moved:
            before = stage.start[name]
            assert (weight - before).norm() > 0.01 * before.norm()
            torch.testing.assert_close(weight.detach().T @ weight.detach(), before.T @ before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("retain_weight", [0.1, 5.0])
def test_vectors_are_turned_as_procrustes_would(retain_weight: float) -> None:
    stage = Stage("orthogonal_concept_erasure", objective="vectors", retain_weight=retain_weight)
    before = values(stage).weight.detach().clone()
    stage.step(0)
    target, anchor = FORGET.conditions[TOKENS]
    kept = RETAIN.conditions[TOKENS][RETAIN.prompt_indices.unique()].flatten(0, 1)
    weighted = (retain_weight * len(target) / len(kept)) ** 0.5 * kept  # sums there, means here
    start, goal = (torch.cat([each, weighted]) @ before.T for each in (target, anchor))
    turn, _ = orthogonal_procrustes(start.numpy(), goal.numpy())
    # Compared on the values: where W has no outputs, any rotation is as good.
    torch.testing.assert_close(values(stage).weight.detach().T, before.T @ torch.tensor(turn), rtol=1e-7, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.05, 0.999))
def test_the_projector_covers_the_energy_with_no_direction_to_spare(seed: int, energy: float) -> None:
    rows = normal(seed, 5, WIDTH)
    moments = rows.T @ rows
    projector = leading_projector(moments, energy)
    torch.testing.assert_close(projector @ projector, projector)
    sizes = torch.linalg.svdvals(rows).square()
    rank = round(projector.trace().item())
    assert (projector @ moments).trace() >= energy * moments.trace() - 1e-9
    assert sizes[: rank - 1].sum() < energy * sizes.sum()


def test_all_the_energy_is_the_span_and_no_more() -> None:
    rows = normal(0, 5, WIDTH)
    span = torch.linalg.pinv(rows) @ rows
    torch.testing.assert_close(leading_projector(rows.T @ rows, 1.0), span)


def test_nothing_is_turned_away_where_the_anchor_spans_the_target() -> None:
    target, kept = normal(0, 2, WIDTH), normal(1, 6, WIDTH)
    texts = EditedTexts(target, target.flip(0) * 3, kept)
    away = turned_away(torch.eye(WIDTH, dtype=torch.float64), texts, 1.0)
    torch.testing.assert_close(away, torch.zeros(WIDTH, WIDTH, dtype=torch.float64), rtol=0, atol=1e-6)


def test_turning_away_takes_from_the_target_what_its_anchor_has_not() -> None:
    """Target and anchor share one direction; the target's other one is what is to go, and neither of them is kept."""
    first, second, third, *_ = torch.eye(WIDTH, dtype=torch.float64)
    texts = EditedTexts((first + second)[None], first[None], third[None])
    identity = torch.eye(WIDTH, dtype=torch.float64)
    before = share_along(texts.target, second)
    turned = {
        weight: texts.target @ nearest_orthogonal(keeping(texts) - weight * turned_away(identity, texts, 1.0)).T
        for weight in (0.01, 10.0)
    }
    assert (turned[10.0] @ second).item() < 0 < (turned[0.01] @ second).item()
    assert share_along(turned[0.01], second) == pytest.approx(before, abs=0.02)


def test_what_stands_in_place_of_the_target_decides_where_it_turns() -> None:
    other = replace(FORGET, conditions={TOKENS: FORGET.conditions[TOKENS] * torch.tensor([1.0, -1.0])[:, None, None]})
    stages = [Stage("orthogonal_concept_erasure", objective="vectors", forget=forget) for forget in (FORGET, other)]
    for stage in stages:
        stage.step(0)
    first, second = (values(stage).weight.detach() for stage in stages)
    assert (first - second).norm() > 0.01 * first.norm()


def test_a_heavier_erasure_moves_the_values_further() -> None:
    moved = []
    for weight in (0.1, 1.0, 100.0):
        stage = Stage("orthogonal_concept_erasure", erase_weight=weight)
        before = values(stage).weight.detach().clone()
        stage.step(0)
        moved.append((values(stage).weight.detach() - before).norm().item())
    assert moved[0] < moved[1] < moved[2]
