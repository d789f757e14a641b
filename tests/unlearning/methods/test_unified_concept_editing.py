"""UCE: the closed form against a dense least-squares solution, and what the edit does to keys and values."""

import torch

from expunge.models.conditions import TOKENS
from expunge.unlearning.methods.closed_form import EditedTexts, edited_tokens
from expunge.unlearning.methods.unified_concept_editing import editing_matrix
from tests.unlearning.methods.stage import FORGET, RETAIN, Stage

WIDTH = 8


def tokens(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_edit_is_the_least_squares_solution() -> None:
    target, anchor, kept, weight, ridge = tokens(5, 0), tokens(5, 1), tokens(7, 2), 3.0, 0.2
    matrix = editing_matrix(EditedTexts(target, anchor, kept), weight, ridge)
    gram = target.T @ target / 5 + weight * kept.T @ kept / 7
    rho = ridge * gram.trace() / WIDTH
    old = tokens(6, 3)  # a projection to six numbers
    # Rows of a dense system in Wᵀ, each weighted by the root of its term.
    rows = torch.cat([target / 5**0.5, kept * (weight / 7) ** 0.5, rho.sqrt() * torch.eye(WIDTH).double()])
    values = torch.cat([anchor @ old.T / 5**0.5, kept @ old.T * (weight / 7) ** 0.5, rho.sqrt() * old.T])
    solution = torch.linalg.lstsq(rows, values).solution.T
    torch.testing.assert_close(old @ matrix, solution, rtol=1e-9, atol=1e-9)


def test_kept_embeddings_alone_change_nothing_and_targets_alone_become_their_anchors() -> None:
    target, anchor, kept = tokens(3, 0), tokens(3, 1), tokens(4, 2)
    free = editing_matrix(EditedTexts(target, anchor, kept), 1e-9, 1e-12)
    torch.testing.assert_close(target @ free.T, anchor, rtol=1e-4, atol=1e-4)
    both = editing_matrix(
        EditedTexts(target, anchor, kept), 1.0, 1e-12
    )  # 3 + 4 conditions on 8 dimensions: all can be met
    torch.testing.assert_close(target @ both.T, anchor, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(kept @ both.T, kept, rtol=1e-6, atol=1e-6)
    same = editing_matrix(EditedTexts(target, target, kept), 1.0, 0.1)
    torch.testing.assert_close(same, torch.eye(WIDTH).double())


def attention(stage: Stage):
    return stage.denoiser.mid_block.attentions[0].transformer_blocks[0].attn2


def test_the_targets_keys_and_values_become_the_anchors() -> None:
    stage = Stage("unified_concept_editing", retain_weight=1e-9, ridge=1e-12)
    target, anchor = edited_tokens(FORGET)
    with torch.no_grad():
        before = {name: getattr(attention(stage), name)(anchor) for name in ("to_k", "to_v")}
        stage.step(0)
        for name, values in before.items():
            torch.testing.assert_close(getattr(attention(stage), name)(target), values, rtol=1e-4, atol=1e-4)
    assert stage.moved() == {n for n in stage.start if n.endswith((".attn2.to_k.weight", ".attn2.to_v.weight"))}


def test_a_large_weight_keeps_the_retained_prompts() -> None:
    kept = RETAIN.conditions[TOKENS][:3].flatten(0, 1)
    errors = []
    for weight in (0.01, 1e4):
        stage = Stage("unified_concept_editing", retain_weight=weight)
        with torch.no_grad():
            before = attention(stage).to_v(kept)
            stage.step(0)
            errors.append((attention(stage).to_v(kept) - before).norm().item())
    assert errors[1] < 1e-3 * errors[0]
