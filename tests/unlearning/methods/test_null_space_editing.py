"""SPEED: the edit against the published formula, what it keeps exactly, and what it moves where there is room."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS
from expunge.unlearning.methods.closed_form import EditedTexts
from expunge.unlearning.methods.null_space_editing import (
    edit_within,
    free_displacement,
    most_influenced,
    null_space,
)
from tests.unlearning.conftest import make_set
from tests.unlearning.methods.stage import FORGET, Stage

WIDTH, OUTPUTS = 12, 9
seeds = st.integers(0, 2**31 - 1)


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(seed: int, kept: int = 4, targets: int = 3) -> EditedTexts:
    target, anchor, beside, empty = normal(seed, targets + targets + kept + 2, WIDTH).split([targets, targets, kept, 2])
    return EditedTexts(target, anchor, beside, empty)


def basis_of(texts: EditedTexts) -> torch.Tensor:
    return null_space(texts.kept, texts.invariant, 1e-9)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_the_edit_is_the_published_formula(seed: int) -> None:
    """P, Q and M as in the paper, with columns for tokens."""
    texts, ridge = made(seed), 0.3
    weight = normal(seed + 1, OUTPUTS, WIDTH)
    identity = torch.eye(WIDTH, dtype=torch.float64)
    kept, always = texts.kept.T, texts.invariant.T
    free = identity - kept @ torch.linalg.pinv(kept)  # P
    moments = texts.target.T @ texts.target / 3
    rho = ridge * moments.trace() / WIDTH
    inverse = torch.linalg.inv(moments @ free + rho * identity)  # M
    constrained = identity - inverse @ always @ torch.linalg.inv(always.T @ free @ inverse @ always) @ always.T @ free
    change = weight @ ((texts.anchor - texts.target).T @ texts.target / 3) @ free @ constrained @ inverse
    torch.testing.assert_close(weight @ edit_within(texts, basis_of(texts), ridge), change, rtol=1e-6, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 8), st.floats(1e-6, 10))
def test_what_is_kept_keeps_its_value_whatever_the_edit(seed: int, kept: int, ridge: float) -> None:
    texts = made(seed, kept)
    basis = basis_of(texts)
    torch.testing.assert_close(basis.T @ basis, torch.eye(WIDTH - kept - 2, dtype=torch.float64))
    change = edit_within(texts, basis, ridge)
    scale = change.norm()
    assert scale > 0
    for unmoved in (texts.kept, texts.invariant):
        assert (unmoved @ change.T).norm() < 1e-6 * scale * unmoved.norm()


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_the_target_becomes_its_anchor_where_the_null_space_has_room(seed: int) -> None:
    texts = made(seed)  # 4 kept and 2 invariant tokens leave 6 directions for 3 targets
    change = edit_within(texts, basis_of(texts), 1e-12)
    torch.testing.assert_close(texts.target + texts.target @ change.T, texts.anchor, rtol=1e-3, atol=1e-3)


def test_a_target_among_what_is_kept_stays_and_without_constraints_it_moves() -> None:
    texts = made(0)
    inside = replace(texts, target=normal(1, 3, 4) @ texts.kept)
    assert edit_within(inside, basis_of(inside), 1e-6).norm() < 1e-6
    free = free_displacement(texts, 1e-12)
    torch.testing.assert_close(texts.target + texts.target @ free.T, texts.anchor, rtol=1e-5, atol=1e-5)


def test_the_filter_keeps_what_the_edit_would_move_most() -> None:
    kept = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 9.0]])
    change = torch.tensor([[2.0, 0.0]])  # blind to the second number
    assert torch.equal(most_influenced(kept, change), kept[1:2])
    assert torch.equal(most_influenced(kept, torch.zeros(1, 2)), kept)  # nothing moves: nothing can be left out


def test_a_higher_limit_frees_more_directions_and_what_must_stay_is_never_free() -> None:
    kept = normal(0, 50, WIDTH) * torch.logspace(0, -4, WIDTH, dtype=torch.float64)
    exactly = normal(1, 2, WIDTH)
    found = [null_space(kept, exactly, below) for below in (1e-9, 1e-3, 0.5)]
    assert found[0].shape[1] == 0 < found[1].shape[1] < found[2].shape[1]
    assert all((exactly @ basis).norm() < 1e-12 for basis in found)


def values(stage: Stage) -> torch.nn.Linear:
    return stage.denoiser.mid_block.attentions[0].transformer_blocks[0].attn2.to_v


def test_the_empty_prompt_stays_the_target_moves_and_keys_are_left_alone() -> None:
    stage = Stage("null_space_editing", null_below=0.5)
    empty, target = stage.problem.sets.retain.empty[TOKENS][0], FORGET.conditions[TOKENS][0]
    with torch.no_grad():
        before = values(stage)(empty), values(stage)(target)
        stage.step(0)
        torch.testing.assert_close(values(stage)(empty), before[0], rtol=1e-9, atol=1e-12)
        assert (values(stage)(target) - before[1]).norm() > 0.01 * before[1].norm()
    assert stage.moved() == {name for name in stage.start if name.endswith(".attn2.to_v.weight")}


def test_what_stands_in_place_of_the_target_decides_where_it_moves() -> None:
    other = replace(FORGET, conditions={TOKENS: FORGET.conditions[TOKENS] * torch.tensor([1.0, -1.0])[:, None, None]})
    stages = [Stage("null_space_editing", null_below=0.5, forget=forget) for forget in (FORGET, other)]
    with torch.no_grad():
        for stage in stages:
            stage.step(0)
        target = FORGET.conditions[TOKENS][0]
        first, second = (values(stage)(target) for stage in stages)
        assert (first - second).norm() > 0.01 * first.norm()


def test_without_room_it_says_what_to_do() -> None:
    stage = Stage("null_space_editing", null_below=1e-9)
    with pytest.raises(ExpungeError, match=r"null_below: what is kept leaves no direction .* raise it"):
        stage.step(0)


def test_without_the_empty_prompt_it_says_what_to_do() -> None:
    stage = Stage("null_space_editing")
    stage.problem.known_sets = replace(stage.problem.sets, retain=replace(make_set(12, 2, ("dog",)), empty=None))
    with pytest.raises(ExpungeError, match="no conditions of the empty prompt"):
        stage.step(0)
