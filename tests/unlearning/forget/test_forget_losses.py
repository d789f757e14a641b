"""Forget losses: where each has its floor, what each looks at, and sums of them."""

import pytest
import torch

from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS
from expunge.unlearning.batches import Batch
from expunge.unlearning.forget import FORGET_LOSSES, Seen, make_forget_loss

SHAPE = (4, 2, 3, 3)


def seen(prediction: torch.Tensor, shows_target: torch.Tensor | None = None) -> Seen:
    """The original predicts what the prompt says: 1 under the target's, 2 under the anchor's, 3 under the empty one."""
    zeros = torch.zeros(SHAPE)
    told = {name: torch.full((4, 1, 1), value) for name, value in (("own", 1.0), ("anchor", 2.0))}
    batch = Batch(
        latents=zeros,
        noise=zeros,
        level=torch.zeros(4, dtype=torch.int64),
        conditions={TOKENS: told["own"]},
        indices=torch.arange(4),
        prompted=torch.ones(4, dtype=torch.bool),
        anchors={TOKENS: told["anchor"]},
        empty={TOKENS: torch.full((1, 1, 1), 3.0)},
        shows_target=shows_target,
    )
    return Seen(batch, prediction, zeros, lambda each: each.conditions[TOKENS][..., None].expand(SHAPE))


@pytest.mark.parametrize(
    ("name", "guidance", "goal"),
    [("anchor", 0.0, 2.0), ("anchor", 0.5, 2.5), ("anchor", 1.0, 3.0), ("empty", 0.0, 3.0)],
)
def test_a_goal_is_where_the_loss_is_nothing(name, guidance, goal):
    loss = make_forget_loss({name: 1.0}, 1.0, guidance)
    assert loss.has_goal and loss.floor == 0
    assert loss(seen(torch.full(SHAPE, goal))).item() == 0
    assert loss(seen(torch.full(SHAPE, goal - 0.5))).item() == pytest.approx(0.25)


def test_the_truncated_one_ends_at_its_threshold_and_looks_at_the_target_alone():
    loss = make_forget_loss({"truncated": 1.0}, 0.5, 0.0)
    assert not loss.has_goal and loss.floor == -0.5 and loss.forward_passes == 0 and not loss.uses_anchors
    prediction = torch.zeros(SHAPE)
    prediction[2:] = 9.0  # of pictures of the anchor
    assert loss(seen(prediction)).item() == pytest.approx(-0.25)
    of_target = torch.tensor([True, True, False, False])
    assert loss(seen(prediction, of_target)).item() == 0
    assert loss(seen(prediction, ~of_target)).item() == pytest.approx(-0.5)
    assert loss(seen(prediction, torch.zeros(4, dtype=torch.bool))).item() == 0


def test_a_sum_is_the_weighted_sum_of_losses_floors_and_costs():
    prediction = torch.rand(SHAPE)
    parts = {name: make_forget_loss({name: 1.0}, 0.5, 1.0) for name in FORGET_LOSSES}
    weights = dict.fromkeys(FORGET_LOSSES, 1.0) | {"anchor": 2.0}
    total = make_forget_loss(weights, 0.5, 1.0)
    wanted = sum(weights[name] * part(seen(prediction)) for name, part in parts.items())
    torch.testing.assert_close(total(seen(prediction)), wanted)
    assert total.floor == -0.5 and total.forward_passes == 3 and total.uses_anchors


@pytest.mark.parametrize(
    ("weights", "said"),
    [({"anker": 1.0}, "'anker' is not known"), ({}, "name at least one"), ({"anchor": 0.0}, "above 0")],
)
def test_a_wrong_name_or_weight_is_said(weights, said):
    with pytest.raises(ExpungeError, match=said):
        make_forget_loss(weights, 1.0, 0.0)
