"""The class-conditional model: what it draws, what it encodes, and that a saved one is the same."""

import json
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import UNet2DModel

from expunge.errors import ExpungeError
from expunge.models.conditions import cast
from expunge.models.families.class_conditional import INDEX, LABELS, ClassConditional
from expunge.models.resolver import load_text_to_image
from expunge.pictures.drawing import DrawingSettings, draw_prompts
from expunge.zoo.digits.digits_data import CLASSES, digits_world, read_digits
from expunge.zoo.digits.digits_denoiser import make_denoiser, make_scheduler
from tests.zoo.digits.tiny import make_tiny_digits


@pytest.fixture(scope="module")
def model() -> ClassConditional:
    return make_tiny_digits()


@pytest.fixture(scope="module")
def folder(model: ClassConditional, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "model"
    model.save(folder)
    return folder


def test_a_class_and_a_seed_give_a_picture_whatever_is_drawn_with_it(model):
    together = model.draw(["one", "two", "one"], [1, 2, 3], steps=2)
    assert together.shape == (3, 8, 8, 3) and together.dtype == np.uint8
    assert (together[..., 0] == together[..., 1]).all() and (together[..., 1] == together[..., 2]).all()
    apart = model.draw(["one", "two", "one"], [1, 2, 3], steps=2, batch_size=1)
    np.testing.assert_allclose(together.astype(int), apart.astype(int), atol=1)
    assert (together[0] != together[2]).any()  # another seed
    assert (together[0] != model.draw(["two"], [1], steps=2)[0]).any()  # another class


def test_guidance_of_one_asks_the_class_alone_and_more_moves_away_from_the_empty_prompt(model):
    plain, guided = (model.draw(["six"], [0], steps=1, guidance=scale) for scale in (1.0, 4.0))
    assert (plain != guided).any()
    # With one prediction for class and empty prompt, guidance has nothing to add.
    empty, guided_empty = (model.draw([""], [0], steps=2, guidance=scale) for scale in (1.0, 4.0))
    np.testing.assert_allclose(empty.astype(int), guided_empty.astype(int), atol=1)


def test_one_step_is_the_sampler_of_the_denoisers_own_prediction(model):
    noise = torch.randn((1, 1, 8, 8), generator=torch.Generator().manual_seed(3))
    label = torch.tensor([CLASSES.index("four")])
    with torch.no_grad():
        velocity = model.denoiser(noise, torch.tensor(999), class_labels=label).sample
    alpha = make_scheduler().alphas_cumprod[999]
    clean = (alpha.sqrt() * noise - (1 - alpha).sqrt() * velocity).clamp(-1, 1)
    expected = torch.round((clean / 2 + 0.5) * 255).squeeze().numpy()
    drawn = model.draw(["four"], [3], steps=1, guidance=1)[0, :, :, 0]
    np.testing.assert_allclose(drawn, expected, atol=1)


def test_conditions_are_class_numbers_and_the_empty_prompt_is_the_last(model):
    found = model.encode_texts(["zero", "nine", ""])
    assert found[LABELS].tolist() == [0, 9, 10]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_denoiser_is_asked_as_any_other(model, dtype):
    sample, level = torch.zeros(2, 1, 8, 8), torch.tensor([5, 900])
    conditions = cast(model.encode_texts(["three", ""]), torch.device("cpu"), dtype)
    with torch.no_grad():
        found = model.predict(model.denoiser, sample, level, conditions)
        expected = model.denoiser(sample, level, class_labels=torch.tensor([3, 10])).sample
    assert torch.equal(found, expected)


def test_a_text_that_is_no_class_is_refused(model):
    with pytest.raises(ExpungeError, match="prompt: the model draws no 'a cat'; it draws zero, one"):
        model.draw(["one", "a cat"], [0, 1])
    with pytest.raises(ValueError, match="1 texts and 2 seeds"):
        model.draw(["one"], [0, 1])


def test_pixels_are_latents(model):
    digits = read_digits().select(torch.arange(5))
    pictures = ((digits.pictures + 1) * 127.5).round().to(torch.uint8).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    found = model.encode_pictures(pictures)
    assert found.shape == (5, 1, 8, 8) and found.dtype == torch.float32
    torch.testing.assert_close(found, digits.pictures, atol=1 / 127, rtol=0)
    larger = pictures.repeat(4, axis=1).repeat(4, axis=2)
    assert model.encode_pictures(larger).shape == (5, 1, 8, 8)
    torch.testing.assert_close(model.encode_pictures(pictures, batch_size=2), found)


def test_a_model_of_colours_keeps_them():
    unet = UNet2DModel(
        sample_size=8,
        in_channels=3,
        out_channels=3,
        num_class_embeds=3,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        add_attention=False,
    )
    model = ClassConditional(unet, make_scheduler(), ("cat", "dog"))
    drawn = model.draw(["dog"], [0], steps=1)
    assert drawn.shape == (1, 8, 8, 3) and (drawn[..., 0] != drawn[..., 1]).any()
    assert model.encode_pictures(drawn).shape == (1, 3, 8, 8)


def test_prompts_of_the_grid_are_drawn(model):
    prompts = digits_world().sample("held_out", 1, 0)
    drawn = draw_prompts(model, prompts, range(10), DrawingSettings(steps=1))
    assert drawn.prompts == tuple(prompts) and drawn.seeds == tuple(range(10))
    assert (drawn.pictures == model.draw(CLASSES, range(10), steps=1)).all()


def test_facts(model):
    assert (model.size, model.sampling()) == (8, "DDIM")
    assert (model.levels, model.prediction) == (1000, "v_prediction")
    assert torch.equal(model.schedule.alphas_cumprod, model.scheduler.alphas_cumprod)
    assert not any(p.requires_grad for p in model.denoiser.parameters()) and not model.denoiser.training


def test_names_must_fit_the_denoiser():
    with pytest.raises(ValueError, match="11 classes and 1 channels: must be 3"):
        ClassConditional(make_denoiser((8, 8)), make_scheduler(), ("cat", "dog"))


def test_digests_tell_weights_classes_and_schedules_apart(model):
    assert model.digest() == make_tiny_digits().digest() != make_tiny_digits(seed=1).digest()
    unet = model.denoiser
    assert ClassConditional(unet, make_scheduler(), CLASSES[::-1]).digest() != model.digest()
    other = type(make_scheduler()).from_config(make_scheduler().config, beta_schedule="linear")
    assert ClassConditional(unet, other, CLASSES).digest() != model.digest()


def test_a_model_with_its_own_denoiser_shares_nothing_that_changes(model):
    before, twin = model.digest(), model.with_own_denoiser()
    assert twin.digest() == before
    with torch.no_grad():
        next(twin.denoiser.parameters()).add_(1)
    assert model.digest() == before != twin.digest()


def test_a_saved_model_comes_back(model, folder):
    back = load_text_to_image(folder)
    assert isinstance(back, ClassConditional) and back.digest() == model.digest() and back.classes == CLASSES
    assert (back.draw(["two"], [1], steps=2) == model.draw(["two"], [1], steps=2)).all()
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".safetensors"}


@pytest.mark.parametrize("name", ["DPMSolverMultistepScheduler", "DDPMScheduler"])
def test_it_draws_with_its_own_sampler_and_seeds_decide(name: str, model, tmp_path: Path):
    own = getattr(diffusers, name).from_config(model.scheduler.config)
    ClassConditional(model.denoiser, own, CLASSES).save(tmp_path / "model")
    back = load_text_to_image(tmp_path / "model")
    assert back.sampling() == name.removesuffix("Scheduler") and back.digest() != model.digest()
    pictures = back.draw(["two", "four"], [1, 2], steps=3)
    assert abs(pictures[:1].astype(int) - back.draw(["two"], [1], steps=3)).max() <= 1
    assert (pictures != model.draw(["two", "four"], [1, 2], steps=3)).any()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"format_version": 2, "classes": []}', '{"format_version": 1}'])
def test_a_spoilt_index_is_refused(model, tmp_path: Path, content: str):
    model.save(tmp_path / "model")
    (tmp_path / "model" / INDEX).write_text(content)
    with pytest.raises(ExpungeError, match="base_model: .* cannot be loaded: .+"):
        load_text_to_image(tmp_path / "model")


def test_names_that_do_not_fit_the_weights_are_refused(model, tmp_path: Path):
    model.save(tmp_path / "model")
    index = tmp_path / "model" / INDEX
    index.write_text(json.dumps(json.loads(index.read_text()) | {"classes": ["zero", "one"]}))
    with pytest.raises(ExpungeError, match="must be 3, one for each of 2 names"):
        load_text_to_image(tmp_path / "model")


def test_pickled_or_missing_weights_are_refused(model, tmp_path: Path):
    model.save(tmp_path / "model")
    (weights,) = (tmp_path / "model" / "unet").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ExpungeError, match="only safetensors weights are read"):
        load_text_to_image(tmp_path / "model")
