"""SalUn: which weights move, and towards what."""

from dataclasses import replace

import pytest
import torch

from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS
from expunge.unlearning.batches import predict
from tests.unlearning.methods.stage import Stage


def test_half_of_all_entries_move_unless_the_settings_say_otherwise() -> None:
    for saliency, share in ((None, 0.5), (0.1, 0.1)):
        stage = Stage("saliency_unlearning", saliency=saliency)
        stage.step()
        changed = sum(int((p != stage.start[name]).sum()) for name, p in stage.denoiser.named_parameters())
        assert changed == pytest.approx(share * sum(p.numel() for p in stage.denoiser.parameters()), rel=0.02)


def test_the_objective_is_the_distance_to_the_prediction_under_the_other_prompt() -> None:
    for label in ("retain", "anchor"):
        stage = Stage("saliency_unlearning", label=label)
        forget, retain = stage.batches()
        loss, _ = stage.method.objective(forget, retain)
        # Two of five retained pictures stand under the empty prompt: the other three are taken in turn.
        own_prompts = retain[0].conditions[TOKENS][torch.tensor([2, 3, 4, 2])]
        other = forget.under_anchors().conditions[TOKENS] if label == "anchor" else own_prompts
        with torch.no_grad():
            own, _ = predict(stage.denoiser, stage.process, forget)
            noisy = stage.process.noisy(forget.latents, forget.noise, forget.level)
            relabelled = stage.denoiser(noisy, forget.level, encoder_hidden_states=other).sample
        assert loss.item() == pytest.approx((own - relabelled).square().mean().item(), rel=1e-9)
        assert loss.item() > 0


def test_no_forget_picture_is_relabelled_with_the_empty_prompt() -> None:
    stage = Stage("saliency_unlearning")
    forget, retain = stage.batches()
    empty = retain[0].empty[TOKENS][0]
    assert (retain[0].conditions[TOKENS] == empty).all(dim=(1, 2)).sum() == 2
    relabelled = stage.method._relabelled(forget, retain)
    assert not (relabelled.conditions[TOKENS] == empty).all(dim=(1, 2)).any()
    nothing = [replace(batch, prompted=torch.zeros_like(batch.prompted)) for batch in retain]
    with pytest.raises(ExpungeError, match="empty_share: leaves no picture"):
        stage.method._relabelled(forget, nothing)


def test_without_a_cache_it_says_what_to_do() -> None:
    with pytest.raises(ExpungeError, match="needs the forget gradients of a gradient cache; make one"):
        Stage("saliency_unlearning", cached=False)
