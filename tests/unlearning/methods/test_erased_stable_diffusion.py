"""ESD: the target prediction, and what each variant moves."""

from dataclasses import replace

import pytest
import torch

from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS
from tests.unlearning.conftest import make_unet
from tests.unlearning.methods.stage import FORGET, Stage


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_target_is_the_original_guided_away_from_the_prompt(prediction: str) -> None:
    stage = Stage("erased_stable_diffusion", guidance=1.5, prediction=prediction)
    stage.step(0)  # the original is no longer the model
    forget, _ = stage.batches(1)
    noisy = stage.process.noisy(forget.latents, forget.noise, forget.level)

    def drawn(denoiser, embeddings):
        with torch.no_grad():
            return denoiser(noisy, forget.level, encoder_hidden_states=embeddings).sample

    original = make_unet().eval()
    free = drawn(original, FORGET.empty[TOKENS].expand(4, -1, -1))
    goal = free - 1.5 * (drawn(original, forget.conditions[TOKENS]) - free)
    loss, error = stage.method.objective(forget, [])
    own = drawn(stage.denoiser, forget.conditions[TOKENS])
    assert loss.item() == pytest.approx((own - goal).square().mean().item(), rel=1e-9)
    target = forget.noise
    if prediction == "v_prediction":
        target = stage.process.target(forget.latents, forget.noise, forget.level)
    torch.testing.assert_close(error, (own - target).square())


def test_the_loss_falls() -> None:
    stage = Stage("erased_stable_diffusion")
    before = stage.method.objective(*stage.batches())[0].item()
    for _ in range(5):
        stage.step(0)
    assert stage.method.objective(*stage.batches())[0].item() < before


def test_x_moves_the_cross_attention_and_u_everything_else() -> None:
    moved = {}
    for variant in ("x", "u"):
        stage = Stage("erased_stable_diffusion", variant=variant)
        stage.step(0)
        moved[variant] = stage.moved()
    inside = {name for name in stage.start if ".attn2." in name}
    assert inside and moved["x"] == inside
    assert not moved["u"] & inside and "conv_in.weight" in moved["u"]
    assert any(".attn1." in name for name in moved["u"])


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ExpungeError, match="no conditions of the empty prompt"):
        Stage("erased_stable_diffusion", forget=replace(FORGET, empty=None)).step()
    denoiser = make_unet()
    for name, p in denoiser.named_parameters():
        p.requires_grad_(".attn2." in name)
    with pytest.raises(ExpungeError, match="variant: 'u'"):
        Stage("erased_stable_diffusion", denoiser, variant="u", cached=False)
    for name, p in denoiser.named_parameters():
        p.requires_grad_(".attn2." not in name)
    with pytest.raises(ExpungeError, match="no trained cross-attention"):
        Stage("erased_stable_diffusion", denoiser, cached=False)
