"""Cached gradients: what they are, what keys them, and the round trip through files."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.unlearning.batches import LatentSets, denoising_error, draw_batch, generator_of
from expunge.unlearning.gradient_cache import GradientCache, cache_gradients
from expunge.unlearning.objectives import truncated_forget_loss
from expunge.unlearning.problem import Objectives, Problem, trained_parameters
from expunge.unlearning.unlearn_settings import GradientSettings


@pytest.fixture
def make_cache(denoiser, process, forget, retain):
    def make(model_hash: str = "m", forget_threshold: float = 1.0, **changes) -> GradientCache:
        problem = Problem(denoiser, process, Objectives(forget_threshold=forget_threshold), LatentSets(forget, retain))
        how = GradientSettings(**({"batch_size": 4} | changes))
        return cache_gradients(problem, how, model_hash, progress=False)

    return make


def test_one_draw_of_one_batch_is_the_gradient_of_the_loss(make_cache, denoiser, process, forget) -> None:
    cache = make_cache(batch_size=6)
    generator = generator_of(0, 0, 0)
    order = torch.randperm(6, generator=generator)
    batch = draw_batch(forget, order, 100, generator)
    loss = truncated_forget_loss(denoising_error(denoiser, process, batch), 1.0)
    loss.backward()
    assert cache.forget_loss == pytest.approx(loss.item(), rel=1e-12)
    for name, parameter in denoiser.named_parameters():
        torch.testing.assert_close(cache.forget[name], parameter.grad)
        torch.testing.assert_close(cache.forget_second[name], parameter.grad.square())


def test_more_draws_are_averaged(make_cache) -> None:
    cache = make_cache(draws=2)
    name = next(iter(cache.retain))
    # The mean of squares is at least the square of the mean.
    assert (cache.retain_second[name] >= cache.retain[name].square() - 1e-18).all()
    assert -1 <= cache.forget_loss < 0 < cache.retain_loss


def test_key_changes_with_everything_the_gradients_depend_on(make_cache) -> None:
    changes = [
        {},
        {"model_hash": "n"},
        {"seed": 1},
        {"batch_size": 3},
        {"draws": 2},
        {"forget_threshold": 2.0},
    ]
    assert len({make_cache(**change).key for change in changes}) == len(changes)
    assert make_cache().key == make_cache().key


def test_conflict_map_names_every_parameter(make_cache, denoiser) -> None:
    cache = make_cache()
    table = cache.conflict_map()
    assert set(table["parameter"]) == set(trained_parameters(denoiser))
    assert table["elements"].sum() == sum(p.numel() for p in denoiser.parameters())
    assert table["cosine"].between(-1, 1).all()
    row = table[table["parameter"] == "conv_in.weight"].iloc[0]
    f, r = cache.forget["conv_in.weight"].flatten(), cache.retain["conv_in.weight"].flatten()
    assert row["cosine"] == pytest.approx((f @ r / f.norm() / r.norm()).item())
    assert row["layer"] == "conv_in"
    assert -1 <= cache.cosine <= 1


def test_frozen_parameters_have_no_entry_and_the_model_is_left_as_it_was(make_cache, denoiser) -> None:
    denoiser.conv_in.requires_grad_(False)
    denoiser.train()
    before = {name: p.clone() for name, p in denoiser.state_dict().items()}
    cache = make_cache()
    assert "conv_in.weight" not in cache.forget and "conv_out.weight" in cache.forget
    assert denoiser.training
    assert all(torch.equal(before[name], p) for name, p in denoiser.state_dict().items())
    assert all(p.grad is None for p in denoiser.parameters())


def test_round_trip_through_files(make_cache, tmp_path: Path) -> None:
    cache = make_cache()
    cache.save(tmp_path / "cache")
    loaded = GradientCache.load(tmp_path / "cache")
    assert (loaded.key, loaded.forget_loss, loaded.batch_size) == (cache.key, cache.forget_loss, 4)
    for kind in ("forget", "retain", "forget_second", "retain_second"):
        saved, read = getattr(cache, kind), getattr(loaded, kind)
        assert saved.keys() == read.keys()
        assert all(torch.equal(saved[k], read[k]) and saved[k].dtype == read[k].dtype for k in saved)


def test_broken_files_are_refused(make_cache, tmp_path: Path) -> None:
    make_cache().save(tmp_path)
    weights = tmp_path / "gradients.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ExpungeError, match="make the cache again"):
        GradientCache.load(tmp_path)
    weights.write_bytes(whole)
    facts = json.loads((tmp_path / "gradients.json").read_text())
    (tmp_path / "gradients.json").write_text(json.dumps(facts | {"format_version": 99}))
    with pytest.raises(ExpungeError, match="format version 99"):
        GradientCache.load(tmp_path)
    with pytest.raises(ExpungeError, match="nowhere"):
        GradientCache.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["batch_size", "draws"])
def test_sizes_below_one_are_refused(make_cache, name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        make_cache(**{name: 0})


def test_the_retain_gradient_is_that_of_the_data_whatever_the_alignment(denoiser, process, sets) -> None:
    """The loss against the original has none at the start."""
    data, original = (
        cache_gradients(Problem(denoiser, process, Objectives(alignment=each), sets), GradientSettings(), "m", False)
        for each in ("data", "original")
    )
    assert data.retain and all(torch.equal(each, data.retain[name]) for name, each in original.retain.items())
