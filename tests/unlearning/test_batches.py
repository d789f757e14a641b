"""Sets, balanced draws, stratified noise levels, and the denoising error for both prediction types."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS
from expunge.models.diffusion import DiffusionProcess
from expunge.unlearning.batches import (
    LatentSet,
    StratifiedSampler,
    denoising_error,
    draw_batch,
    generator_of,
    stratified_levels,
)


@given(st.integers(1, 64), st.integers(1, 1000), st.integers(0, 2**32))
def test_timesteps_fall_one_into_each_slice(count: int, timesteps: int, seed: int) -> None:
    drawn = stratified_levels(count, timesteps, torch.Generator().manual_seed(seed)).sort().values.tolist()
    for i, t in enumerate(drawn):
        assert int(i * timesteps / count) - 1 <= t <= (i + 1) * timesteps / count
        assert 0 <= t < timesteps


def test_timesteps_are_uniform_and_shuffled() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([stratified_levels(4, 8, generator) for _ in range(4000)])
    share = torch.bincount(draws.flatten(), minlength=8) / draws.numel()
    assert (share - 1 / 8).abs().max() < 0.01
    assert (draws[:, 0].double().mean() - 3.5).abs() < 0.2  # the first place is not the first slice


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 7), st.integers(0, 99))
def test_draws_are_balanced_and_show_everything(sizes: list[int], batch_size: int, seed: int) -> None:
    strata = [f"s{i}" for i, size in enumerate(sizes) for _ in range(size)]
    sampler = StratifiedSampler(strata, batch_size, seed)
    batches = sampler.batches_to_cover()
    drawn = [int(i) for n in range(batches) for i in sampler.batch(n)]
    assert set(drawn) == set(range(len(strata)))
    counts = Counter(strata[i] for i in drawn)
    assert max(counts.values()) - min(counts[s] for s in set(strata)) <= 1


def test_any_batch_can_be_drawn_without_those_before_it() -> None:
    strata = ["a", "b", "b", "c"] * 3
    one, other = StratifiedSampler(strata, 5, 7), StratifiedSampler(strata, 5, 7)
    for n in range(4):
        one.batch(n)
    assert torch.equal(one.batch(4), other.batch(4))
    assert not torch.equal(one.batch(4), StratifiedSampler(strata, 5, 8).batch(4))


def test_batch_pairs_latents_with_their_own_embeddings(retain: LatentSet) -> None:
    indices = torch.tensor([4, 0, 11])
    batch = draw_batch(retain, indices, 100, generator_of(1))
    assert torch.equal(batch.latents, retain.latents[indices])
    for row, index in enumerate(indices.tolist()):
        assert torch.equal(batch.conditions[TOKENS][row], retain.conditions[TOKENS][index % 3])
    again = draw_batch(retain, indices, 100, generator_of(1))
    assert torch.equal(batch.noise, again.noise) and torch.equal(batch.level, again.level)
    assert not torch.equal(batch.noise, draw_batch(retain, indices, 100, generator_of(2)).noise)


def test_error_follows_the_prediction_type(denoiser, retain: LatentSet) -> None:
    batch = draw_batch(retain, torch.arange(3), 100, generator_of(0))
    for kind in ("epsilon", "v_prediction", "sample"):
        process = DiffusionProcess(DDPMScheduler(num_train_timesteps=100, prediction_type=kind))
        alpha = process.schedule.alphas_cumprod[batch.level].double().sqrt()[:, None, None, None]
        sigma = (1 - alpha.square()).sqrt()
        noisy = alpha * batch.latents + sigma * batch.noise
        velocity = alpha * batch.noise - sigma * batch.latents
        target = {"epsilon": batch.noise, "v_prediction": velocity, "sample": batch.latents}[kind]
        with torch.no_grad():
            drawn = denoiser(noisy, batch.level, encoder_hidden_states=batch.conditions[TOKENS]).sample
            error = denoising_error(denoiser, process, batch)
        torch.testing.assert_close(error, (drawn - target).square(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="'flow_prediction'"):
        DiffusionProcess(DDPMScheduler(prediction_type="flow_prediction"))


def test_digest_tells_sets_apart(retain: LatentSet) -> None:
    assert retain.digest() == replace(retain, latents=retain.latents.clone()).digest()
    other = retain.latents.clone()
    other[0, 0, 0, 0] += 1e-9
    assert retain.digest() != replace(retain, latents=other).digest()
    changes = [
        {"strata": ["x"] * len(retain)},
        {"anchor_indices": retain.prompt_indices},
        {"shows_target": torch.arange(len(retain)) < 3},
        {"empty": {TOKENS: retain.empty[TOKENS] + 1}},
        {"empty": None},
    ]
    assert len({retain.digest(), *(replace(retain, **change).digest() for change in changes)}) == 1 + len(changes)


def test_batch_shows_the_same_pictures_under_their_anchors_and_under_the_empty_prompt(retain: LatentSet) -> None:
    indices = torch.tensor([4, 0, 11])
    retain = replace(retain, anchor_indices=3 + torch.arange(len(retain)) % 3)
    batch = draw_batch(retain, indices, 100, generator_of(1)).to(torch.device("cpu"), torch.float32)
    for shown in (batch.under_anchors(), batch.under_empty_prompt()):
        assert torch.equal(shown.latents, batch.latents) and torch.equal(shown.noise, batch.noise)
        assert (
            shown.conditions[TOKENS].shape == batch.conditions[TOKENS].shape
            and shown.conditions[TOKENS].dtype == torch.float32
        )
    for row, index in enumerate(indices.tolist()):
        assert torch.equal(
            batch.under_anchors().conditions[TOKENS][row], retain.conditions[TOKENS][3 + index % 3].float()
        )
        assert torch.equal(batch.under_empty_prompt().conditions[TOKENS][row], retain.empty[TOKENS][0].float())
    bare = draw_batch(replace(retain, anchor_indices=None, empty=None), indices, 100, generator_of(1))
    with pytest.raises(ExpungeError, match="no paired sentences without the target.*'paired'"):
        bare.under_anchors()
    with pytest.raises(ExpungeError, match="no conditions of the empty prompt"):
        bare.under_empty_prompt()


def test_sets_that_do_not_fit_together_are_refused(retain: LatentSet) -> None:
    with pytest.raises(ValueError, match="equally many"):
        replace(retain, strata=["a"])
    with pytest.raises(ValueError, match="0–1"):
        replace(retain, conditions={TOKENS: retain.conditions[TOKENS][:2]})
    with pytest.raises(ValueError, match=r"\(n, c, h, w\)"):
        replace(retain, latents=retain.latents[:, 0])
    with pytest.raises(ValueError, match="12 latents and 2 anchor indices"):
        replace(retain, anchor_indices=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="shows_target"):
        replace(retain, shows_target=torch.ones(2, dtype=torch.bool))
    with pytest.raises(ValueError, match="anchor indices run from 9 to 9: must be 0–5"):
        replace(retain, anchor_indices=torch.full((12,), 9))
    with pytest.raises(ValueError, match=r"empty prompt's conditions are .*\(3, 8\)}: must be .*\(1, 3, 8\)"):
        replace(retain, empty={TOKENS: retain.empty[TOKENS][0]})


def test_a_batch_knows_which_of_its_members_stand_under_the_empty_prompt(retain: LatentSet) -> None:
    indices = torch.tensor([4, 0, 11, 7])
    batch = draw_batch(retain, indices, 100, generator_of(1), empty_share=0.5)
    assert batch.prompted.tolist() == [False, False, True, True]
    for row, prompted in enumerate(batch.prompted.tolist()):
        own = retain.conditions[TOKENS][retain.prompt_indices[indices[row]]]
        assert torch.equal(batch.conditions[TOKENS][row], own if prompted else retain.empty[TOKENS][0])
    assert batch.to(torch.device("cpu"), torch.float32).prompted.tolist() == [False, False, True, True]
    assert draw_batch(retain, indices, 100, generator_of(1)).prompted.all()
