"""Concept ablation: towards the anchor's prediction, by the parameters that were chosen."""

from dataclasses import replace

import pytest
import torch

from expunge.errors import ExpungeError
from expunge.unlearning.batches import predict
from tests.unlearning.methods.stage import FORGET, Stage


def test_the_objective_is_the_distance_to_the_anchors_prediction() -> None:
    stage = Stage("concept_ablation")
    forget, retain = stage.batches()
    loss, error = stage.method.objective(forget, retain)
    with torch.no_grad():
        own, target = predict(stage.denoiser, stage.process, forget)
        anchor, _ = predict(stage.denoiser, stage.process, forget.under_anchors())
    assert loss.item() == pytest.approx((own - anchor).square().mean().item())
    torch.testing.assert_close(error, (own - target).square())


def test_no_gradient_flows_through_the_anchor() -> None:
    stage = Stage("concept_ablation", parameters="full")
    forget, retain = stage.batches()
    loss, _ = stage.method.objective(forget, retain)
    bias = stage.denoiser.conv_out.bias
    got = torch.autograd.grad(loss, bias)[0]
    with torch.no_grad():
        own, _ = predict(stage.denoiser, stage.process, forget)
        anchor, _ = predict(stage.denoiser, stage.process, forget.under_anchors())
    # Both predictions hold the bias; with a gradient through the anchor it would cancel.
    torch.testing.assert_close(got, 2 * (own - anchor).mean(dim=(0, 2, 3)) / own.shape[1])


def test_a_target_that_is_its_own_anchor_is_left_alone() -> None:
    stage = Stage("concept_ablation", forget=replace(FORGET, anchor_indices=FORGET.prompt_indices))
    loss, _ = stage.method.objective(*stage.batches())
    assert loss.item() == 0


def test_keys_and_values_move_or_everything() -> None:
    stage = Stage("concept_ablation")
    stage.step(0)
    assert stage.moved() == {n for n in stage.start if n.endswith((".attn2.to_k.weight", ".attn2.to_v.weight"))}
    everything = Stage("concept_ablation", parameters="full")
    everything.step(0)
    assert everything.moved() == set(everything.start)


def test_without_anchors_it_says_what_to_do() -> None:
    stage = Stage("concept_ablation", forget=replace(FORGET, anchor_indices=None))
    with pytest.raises(ExpungeError, match="no paired sentences without the target"):
        stage.step(0)
    assert stage.moved() == set()
