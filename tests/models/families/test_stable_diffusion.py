"""Drawing, encoding, digest, and the way to disk and back."""

import json
import shutil
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from expunge.models.conditions import TOKENS
from expunge.models.diffusion import SAMPLERS
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.models.resolver import load_text_to_image, open_model
from expunge.pictures.drawing import DrawingSettings, draw_prompts
from tests.pictures.test_picture_set import make_set
from tests.tiny import make_single_file, make_tiny_pipeline

COMPONENTS = ("unet", "vae", "text_encoder")

TEXTS = ["a cat in noto style", "a dog by twemoji", "the car on plain white", "an apple", "a horse"]
SEEDS = [5, 0, 2**31 - 1, 5, 77]


@pytest.fixture(scope="module")
def drawn(tiny_model) -> np.ndarray:
    return tiny_model.draw(TEXTS, SEEDS, steps=2)


def fresh(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder)


def test_pictures_are_rgb_bytes_of_the_models_size(tiny_model, drawn):
    assert tiny_model.size == 32
    assert drawn.shape == (5, 32, 32, 3) and drawn.dtype == np.uint8
    assert drawn.std() > 1  # not one flat colour


def test_drawing_is_the_same_for_the_same_seed_and_another_for_another(tiny_model, drawn):
    assert (tiny_model.draw(TEXTS, SEEDS, steps=2) == drawn).all()
    other = tiny_model.draw(TEXTS, [seed - 1 if seed else 9 for seed in SEEDS], steps=2)
    assert (other != drawn).any(axis=(1, 2, 3)).all()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(5)), batch_size=st.integers(1, 6), guidance=st.just(2.5))
def test_drawing_depends_on_neither_batch_size_nor_order(tiny_model, drawn, order, batch_size, guidance):
    again = tiny_model.draw(
        [TEXTS[i] for i in order],
        [SEEDS[i] for i in order],
        steps=2,
        guidance=guidance,
        batch_size=batch_size,
    )
    assert np.abs(again.astype(int) - drawn[list(order)]).max() <= 1


def test_prompt_guidance_and_steps_have_their_effect(tiny_model):
    def latents(text: str, **how) -> np.ndarray:
        return tiny_model.draw([text], [0], **({"steps": 2, "guidance": 30} | how)).astype(int)

    plain = latents(TEXTS[0])
    assert (latents(TEXTS[1]) != plain).any()
    assert (latents(TEXTS[0], guidance=1) != plain).any()
    assert (latents(TEXTS[0], steps=5) != plain).any()


def test_unequal_or_no_texts_and_seeds_are_refused(tiny_model):
    for texts, seeds in ((["a"], [1, 2]), ([], [])):
        with pytest.raises(ValueError, match=f"{len(texts)} texts and {len(seeds)} seeds"):
            tiny_model.draw(texts, seeds)


def test_prompts_come_back_with_their_pictures(tiny_model):
    prompts, seeds = make_set(3).prompts, (4, 5, 6)
    pictures = draw_prompts(tiny_model, prompts, seeds, DrawingSettings(steps=1))
    assert (pictures.prompts, pictures.seeds) == (prompts, seeds)
    assert (pictures.pictures == tiny_model.draw([p.text for p in prompts], seeds, steps=1)).all()


def test_texts_are_encoded_as_the_pipeline_does_itself(tiny_model):
    texts = [*TEXTS, "", "a cat " * 40]
    found = tiny_model.encode_texts(texts, batch_size=2)[TOKENS]
    assert found.shape == (7, 16, 16) and found.dtype == torch.float32
    wanted, _ = tiny_model.pipeline.encode_prompt(texts, "cpu", 1, False)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_pictures_are_encoded_to_scaled_latents(tiny_model, drawn):
    found = tiny_model.encode_pictures(drawn, batch_size=2)
    assert found.shape == (5, 4, 8, 8) and found.dtype == torch.float32
    vae = tiny_model.pipeline.vae
    inputs = tiny_model.pipeline.image_processor.preprocess(drawn / 255.0)
    with torch.no_grad():
        wanted = vae.encode(inputs.float()).latent_dist.mode() * vae.config.scaling_factor
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_pictures_of_another_size_are_scaled(tiny_model, drawn):
    doubled = drawn.repeat(2, axis=1).repeat(2, axis=2)
    found = tiny_model.encode_pictures(doubled)
    assert found.shape == (5, 4, 8, 8)
    assert (found - tiny_model.encode_pictures(drawn)).abs().mean() < 0.5 * found.abs().mean()


def test_unlearning_uses_the_noise_schedule_of_sampling(tiny_model):
    sampled = tiny_model.pipeline.scheduler
    torch.testing.assert_close(tiny_model.schedule.alphas_cumprod, sampled.alphas_cumprod)
    assert tiny_model.prediction == sampled.config.prediction_type
    assert tiny_model.sampling() == "DDIM"


def test_nothing_is_trained_or_drops_out(tiny_model):
    for name in COMPONENTS:
        part = getattr(tiny_model.pipeline, name)
        assert not part.training and not any(p.requires_grad for p in part.parameters())


@pytest.mark.parametrize("component", COMPONENTS)
def test_digest_changes_with_every_tensor(tiny_folder, component):
    model = fresh(tiny_folder)
    digests = {model.digest()}
    tensors = getattr(model.pipeline, component).state_dict().values()
    for tensor in tensors:
        tensor.view(-1)[-1] += 1e-3
        digests.add(model.digest())
    assert len(digests) == 1 + len(tensors)


def test_digest_changes_with_the_noise_schedule(tiny_folder):
    model, before = fresh(tiny_folder), fresh(tiny_folder).digest()
    model.pipeline.scheduler.register_to_config(prediction_type="v_prediction")
    assert model.digest() != before


def test_what_is_saved_loads_as_the_same_model_here_and_in_stock_diffusers(tiny_folder, tmp_path, drawn):
    model = fresh(tiny_folder)
    model.save(tmp_path / "saved")
    assert not any("_name_or_path" in path.read_text() for path in (tmp_path / "saved").rglob("*.json"))
    assert fresh(tmp_path / "saved").digest() == model.digest() == fresh(tiny_folder).digest()
    suffixes = {path.suffix for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".txt", ".safetensors"}
    stock = StableDiffusionPipeline.from_pretrained(tmp_path / "saved")
    stock.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    pictures = stock(TEXTS, num_inference_steps=2, guidance_scale=2.5, generator=generators, output_type="np").images
    assert np.abs(np.rint(pictures * 255) - drawn).max() <= 1


def test_weights_in_half_precision_are_computed_in_single(tiny_folder, tmp_path):
    folder = make_tiny_pipeline(tmp_path / "half")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    halved = {name: tensor.half() for name, tensor in load_file(weights).items()}
    save_file(halved, weights, metadata={"format": "pt"})
    model = fresh(folder)
    assert {p.dtype for p in model.denoiser.parameters()} == {torch.float32}
    model.save(tmp_path / "saved")
    assert fresh(tmp_path / "saved").digest() == model.digest() != fresh(tiny_folder).digest()


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_model_draws_with_its_own_sampler_as_stock_diffusers_would(name: str, tiny_folder, tmp_path):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_folder, safety_checker=None)
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, skip_prk_steps=True)
    pipeline.save_pretrained(tmp_path / "own")
    model = load_text_to_image(tmp_path / "own")
    assert model.sampling() == name.removesuffix("Scheduler")
    drawn = model.draw(TEXTS[:2], SEEDS[:2], steps=3)
    stock = pipeline(
        TEXTS[:2],
        num_inference_steps=3,
        guidance_scale=2.5,
        generator=[torch.Generator().manual_seed(seed) for seed in SEEDS[:2]],
        output_type="np",
    ).images
    assert abs(drawn.astype(int) - np.rint(stock * 255).astype(int)).max() <= 1
    assert (model.draw(TEXTS[:2], SEEDS[:2], steps=3) == drawn).all()
    model.save(tmp_path / "saved")
    back = fresh(tmp_path / "saved")
    assert back.digest() == model.digest()
    assert type(back.pipeline.scheduler).__name__ == name


FACTS = [
    ("vae/config.json", {"scaling_factor": 1.0}),
    ("unet/config.json", {"sample_size": 16}),
    ("unet/config.json", {"flip_sin_to_cos": False}),
    ("unet/config.json", {"act_fn": "gelu"}),
    ("text_encoder/config.json", {"hidden_act": "relu"}),
    ("text_encoder/config.json", {"use_attention_mask": True}),
    ("tokenizer/tokenizer_config.json", {"model_max_length": 12}),
    ("scheduler/scheduler_config.json", {"timestep_spacing": "trailing"}),
]


@pytest.mark.parametrize(("name", "values"), FACTS)
def test_digest_changes_with_all_that_pictures_depend_on(name: str, values: dict, tiny_folder, tiny_model, tmp_path):
    path = Path(shutil.copytree(tiny_folder, tmp_path / "model")) / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    changed = fresh(tmp_path / "model")
    assert changed.digest() != tiny_model.digest()
    changed.save(tmp_path / "saved")
    assert fresh(tmp_path / "saved").digest() == changed.digest()


@pytest.mark.parametrize(
    "name", ["unet/config.json", "vae/config.json", "text_encoder/config.json", "model_index.json"]
)
def test_digest_does_not_tell_who_wrote_it(name: str, tiny_folder, tiny_model, tmp_path):
    path = Path(shutil.copytree(tiny_folder, tmp_path / "model")) / name
    strange = {"_name_or_path": "/elsewhere", "_diffusers_version": "0.36.0", "transformers_version": "4.0.0"}
    path.write_text(json.dumps(json.loads(path.read_text()) | strange))
    assert fresh(tmp_path / "model").digest() == tiny_model.digest()


def test_drawing_and_encoding_do_not_change_the_digest(tiny_folder):
    model, before = fresh(tiny_folder), fresh(tiny_folder).digest()
    model.encode_texts(["a cat", "a much longer sentence about a cat"])
    model.draw(["a cat"], [0], steps=3)
    model.cut_off(["a cat"])
    assert model.digest() == before


def test_a_word_of_many_vectors_is_trained_as_it_is_drawn(tiny_folder, tmp_path):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_folder, safety_checker=None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        pipeline.load_textual_inversion({"<sks>": 3 * torch.randn(3, 16)})
    pipeline.save_pretrained(tmp_path / "inverted")
    model = load_text_to_image(tmp_path / "inverted")
    wanted = pipeline.encode_prompt(["a <sks> cat"], "cpu", 1, False)[0].detach()
    torch.testing.assert_close(model.encode_texts(["a <sks> cat"])[TOKENS], wanted)
    assert model.digest() != fresh(tiny_folder).digest()


def test_words_beyond_the_window_are_told(tiny_model):
    fits, long = "a cat by noto", "a cat by noto on the white background in a car by twemoji style in fluent apple"
    assert tiny_model.cut_off([fits, "", long]) == ["", "", "in fluent apple"]
    same = tiny_model.encode_texts([long, long.removesuffix(" in fluent apple")])[TOKENS]
    torch.testing.assert_close(same[0], same[1])


def test_a_single_file_is_read_with_the_configuration_of_a_folder(tiny_folder, tiny_model, tmp_path):
    file = make_single_file(tiny_model.pipeline, tmp_path / "tiny.safetensors")
    model, facts = open_model(f"{file}?config={tiny_folder}")
    assert facts.digest == tiny_model.digest() and facts.source == f"{file}?config={tiny_folder}"
    assert {p.dtype for p in model.denoiser.parameters()} == {torch.float32}
    assert (model.draw(TEXTS, SEEDS, steps=2) == tiny_model.draw(TEXTS, SEEDS, steps=2)).all()


def test_half_precision_and_back_keeps_the_seeds(tiny_folder, tiny_model):
    model = fresh(tiny_folder).to("cpu", torch.bfloat16)
    drawn, wanted = (each.draw(TEXTS, SEEDS, steps=2).astype(int) for each in (model, tiny_model))
    assert abs(drawn - wanted).mean() < 3 and (drawn != wanted).any()
    assert model.encode_texts(["a cat"])[TOKENS].dtype == torch.float32
    assert model.encode_pictures(wanted.astype(np.uint8)).dtype == torch.float32
    redrawn = model.redraw(wanted.astype(np.uint8), TEXTS, SEEDS, 0.5, steps=2)
    assert redrawn.shape == wanted.shape


def test_a_model_with_its_own_denoiser_shares_the_rest(tiny_folder):
    model = fresh(tiny_folder)
    before, twin = model.digest(), model.with_own_denoiser()
    assert twin.digest() == before
    assert twin.pipeline.vae is model.pipeline.vae and twin.pipeline.text_encoder is model.pipeline.text_encoder
    twin.denoiser.conv_in.weight.data += 1
    assert model.digest() == before != twin.digest()
