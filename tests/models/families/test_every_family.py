"""What holds for every family: its loss is that of diffusers' training example, and it draws as the stock pipeline."""

import inspect

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, DiffusionPipeline
from torch.nn import functional

from expunge.comeback.steered_drawing import draw_steered
from expunge.errors import ExpungeError
from expunge.models.conditions import cast
from expunge.models.resolver import open_model, read_folder
from expunge.pictures.drawing import DrawingSettings
from expunge.plugins import plugin_names
from tests.families import FAMILIES
from tests.models.families.conftest import texts_of

SEEDS = [1, 2]


def latents_of(model, count: int = 2) -> torch.Tensor:
    pictures = np.random.default_rng(0).integers(0, 256, (count, model.size, model.size, 3), dtype=np.uint8)
    return model.encode_pictures(pictures)


def test_the_loss_is_that_of_the_training_example(family):
    name, model = family
    model.to("cpu", torch.float64)
    x = latents_of(model).double()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    level = torch.tensor([131, 719])
    conditions = cast(model.encode_texts(texts_of(name)), x.device, x.dtype)
    with torch.no_grad():
        predicted = model.predict(model.denoiser, model.noisy(x, noise, level), level, conditions)
        ours = (predicted - model.target(x, noise, level)).square().mean()
        theirs = EXAMPLES[name](model, x, noise, level, conditions)
    assert ours.item() == pytest.approx(theirs.item(), rel=0, abs=1e-12)
    assert ours > 0.1


def asked(module, call) -> tuple[tuple, dict]:
    """What a module is first asked while something is called."""
    seen = []
    hook = module.register_forward_pre_hook(lambda _, args, how: seen.append((args, how)), with_kwargs=True)
    try:
        with torch.no_grad():
            call()
    finally:
        hook.remove()
    return seen[0]


def test_the_denoiser_is_asked_as_the_sampler_asks(family, family_folder):
    name, model = family
    stock = DiffusionPipeline.from_pretrained(family_folder(name), local_files_only=True, use_safetensors=True)
    stock.set_progress_bar_config(disable=True)
    text, guidance = texts_of(name)[1], UNGUIDED.get(name, 1.0)
    denoiser = getattr(stock, model.DENOISER)
    args, theirs = asked(denoiser, lambda: stock(**stock_words(stock, model, name, [text], guidance)))
    names = list(inspect.signature(denoiser.forward).parameters)
    theirs = {**dict(zip(names, args, strict=False)), **theirs}
    time = next(theirs[each] for each in ("timestep", "t") if each in theirs)
    diffusing = hasattr(model, "prediction")
    level = torch.as_tensor(time).reshape(-1)[:1].long() if diffusing else torch.tensor([model.levels - 1])
    args, ours = asked(
        model.denoiser,
        lambda: model.predict(model.denoiser, latents_of(model, 1), level, model.encode_texts([text])),
    )
    ours = {**dict(zip(names, args, strict=False)), **ours}
    for noisy in ("sample", "hidden_states", "x"):
        theirs.pop(noisy, None), ours.pop(noisy, None)
    for each in (theirs, ours):
        each.pop("return_dict", None)
        each.pop(MASKS.get(name), None)  # of one text alone: all ones, or left out
        [each.pop(key) for key in [*each] if each[key] is None or key.endswith("attention_kwargs")]
        if name == "stable_diffusion_3":  # whose levels are not equally far apart
            each.pop("timestep")
    assert flat(ours).keys() == flat(theirs).keys()
    for key, value in flat(ours).items():
        assert torch.equal(value, flat(theirs)[key]), key


UNGUIDED = {"z_image": 0.0, "flux": 3.5, "flux_schnell": 3.5, "flux_2": 3.5}
MASKS = {"qwen_image": "encoder_hidden_states_mask"}


def stock_words(stock, model, name: str, texts: list[str], guidance: float) -> dict:
    """What somebody who has never heard of Expunge tells the pipeline."""
    if name == "dit":
        return {"class_labels": stock.get_label_ids(texts), "guidance_scale": guidance, "num_inference_steps": 3}
    told = {"prompt": texts, "height": model.size, "width": model.size, "num_inference_steps": 3}
    if name in ("pixart_alpha", "pixart_sigma", "sana"):
        told["use_resolution_binning"] = False
    if name == "qwen_image":
        return told | {"true_cfg_scale": guidance, "negative_prompt": [""] * len(texts)}
    return told | {"guidance_scale": guidance}


def flat(found, name: str = "") -> dict[str, torch.Tensor]:
    """All numbers by name; a batch of one is spread out, and numbers are as wide as they can be."""
    if isinstance(found, dict):
        return {key: value for each in found for key, value in flat(found[each], f"{name}/{each}").items()}
    if isinstance(found, (list, tuple)):
        return {key: value for i, each in enumerate(found) for key, value in flat(each, f"{name}/{i}").items()}
    if found is None:
        return {}
    tensor = torch.as_tensor(found).double()
    return {name: tensor.reshape(-1) if tensor.numel() == 1 else tensor}


def test_it_draws_what_the_stock_pipeline_draws(family, family_folder):
    name, model = family
    texts = texts_of(name)
    drawn = model.draw(texts, SEEDS, steps=3, guidance=2.5)
    stock = DiffusionPipeline.from_pretrained(family_folder(name), local_files_only=True, use_safetensors=True)
    stock.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    told = stock_words(stock, model, name, texts, 1.5 if name == "z_image" else 2.5)
    theirs = stock(**told, generator=generators, output_type="np").images
    assert np.abs(drawn.astype(int) - np.rint(theirs * 255).astype(int)).max() <= 1
    assert drawn.std() > 5
    assert np.abs(drawn[0].astype(int) - drawn[1]).mean() > 1


def test_latents_are_decoded_as_they_were_encoded(family):
    name, model = family
    given = np.random.default_rng(0).integers(0, 256, (2, model.size, model.size, 3), dtype=np.uint8)
    vae, pictures = model.pipeline.vae, torch.from_numpy(given).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        if name == "qwen_image":
            theirs = vae.decode(vae.encode(pictures[:, :, None]).latent_dist.mode()).sample[:, :, 0]
        elif name == "sana":
            theirs = vae.decode(vae.encode(pictures).latent).sample
        else:
            theirs = vae.decode(vae.encode(pictures).latent_dist.mode()).sample
    ours = model.decode_latents(model.encode_pictures(given))
    assert ours.dtype == np.float32 and 0 <= ours.min() < ours.max() <= 1
    np.testing.assert_allclose(ours, (theirs / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy(), atol=1e-5)


def test_drawing_can_be_steered(family):
    name, model = family
    texts, how = texts_of(name), DrawingSettings(steps=2, guidance=2)
    seen = []

    def hand(step):
        seen.append(model.noisy(step.picture, step.noise, step.level) - step.noisy)
        return step.picture, step.noise

    drawn = draw_steered(model, texts, SEEDS, how, hand)
    assert drawn.shape == (2, model.size, model.size, 3) and drawn.std() > 1
    assert len(seen) == 2 and max(each.abs().max() for each in seen) < 1e-3


def test_a_saved_model_is_the_same_model_and_all_but_the_denoiser_the_same_files(family, family_folder, tmp_path):
    name, model = family
    with torch.no_grad():
        next(model.denoiser.parameters()).mul_(1.5)
    model.save(tmp_path / "saved")
    origin = family_folder(name)
    saved = {path.relative_to(tmp_path / "saved"): path.read_bytes() for path in (tmp_path / "saved").rglob("*.*")}
    for file, content in saved.items():
        if file.parts[0] != model.DENOISER:
            assert content == (origin / file).read_bytes(), file
    assert {path.relative_to(origin) for path in origin.rglob("*.*")} == saved.keys()
    again = read_folder(tmp_path / "saved")
    assert again.digest() == model.digest() != read_folder(origin).digest()


def test_it_is_tried_when_it_is_opened(family, family_folder):
    name, _ = family
    model, facts = open_model(family_folder(name))
    assert model.size == model.native_size and facts.digest == model.digest()
    twin = model.with_own_denoiser()
    with torch.no_grad():
        next(twin.denoiser.parameters()).fill_(float("nan"))
    assert model.digest() == facts.digest
    with pytest.raises(ExpungeError, match="not finite"):
        twin.at_size(twin.smallest_size).draw([texts_of(name)[0]], [0], steps=2, guidance=1)


def test_every_gradient_is_there(family):
    name, model = family
    denoiser = model.denoiser.requires_grad_(True)
    x, level = latents_of(model), torch.tensor([300, 700])
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    predicted = model.predict(denoiser, model.noisy(x, noise, level), level, model.encode_texts(texts_of(name)))
    (predicted - model.target(x, noise, level)).square().mean().backward()
    without = {name for name, each in denoiser.named_parameters() if each.grad is None or not each.grad.any()}
    assert all(any(known in each for known in UNUSED.get(name, ())) for each in without), without


# What a last block makes of the text, nobody reads.
UNUSED: dict[str, tuple[str, ...]] = {
    "qwen_image": ("add_q_proj", "norm_added_q", "to_add_out", "txt_mlp"),
    "stable_diffusion_3": ("1.attn.add_q_proj", "1.attn.norm_added_q"),
}


def test_families_are_all_that_are_registered():
    registered = {name for name in plugin_names("families") if name != "ClassConditional"}
    assert len(registered) == len(FAMILIES) - 2  # Stable Diffusion 1 and 2 are one, and FLUX dev and schnell


# The formulas of diffusers' training examples.


def diffusion(predict):
    def loss(model, x, noise, level, conditions):
        schedule = DDPMScheduler.from_config(model.pipeline.scheduler.config)
        predicted = predict(model, schedule.add_noise(x, noise, level), level, conditions)[:, : x.shape[1]]
        velocity = schedule.config.prediction_type == "v_prediction"
        return functional.mse_loss(predicted, schedule.get_velocity(x, noise, level) if velocity else noise)

    return loss


def flow(predict, weigh=lambda share: 1.0, target=lambda x, noise: noise - x):
    def loss(model, x, noise, level, conditions):
        share = model.share(level, x)
        noisy = (1 - share) * x + share * noise
        error = (predict(model, noisy, share.flatten(), conditions) - target(x, noise)).square()
        return (weigh(share) * error).flatten(1).mean(1).mean()

    return loss


def unet(model, noisy, level, given):
    return model.denoiser(noisy, level, given["encoder_hidden_states"], return_dict=False)[0]


def unet_xl(model, noisy, level, given):
    sizes = torch.tensor([[model.size, model.size, 0, 0, model.size, model.size]] * 2, dtype=noisy.dtype)
    more = {"time_ids": sizes, "text_embeds": given["pooled"]}
    return model.denoiser(noisy, level, given["encoder_hidden_states"], added_cond_kwargs=more, return_dict=False)[0]


def attending(model, noisy, level, given, **more):
    return model.denoiser(
        noisy,
        encoder_hidden_states=given["encoder_hidden_states"],
        encoder_attention_mask=given["mask"],
        timestep=level,
        return_dict=False,
        **more,
    )[0]


def pixart(model, noisy, level, given):
    return attending(model, noisy, level, given, added_cond_kwargs={"resolution": None, "aspect_ratio": None})


def joint(model, noisy, share, given):
    return model.denoiser(
        hidden_states=noisy,
        timestep=1000 * share,
        encoder_hidden_states=given["encoder_hidden_states"],
        pooled_projections=given["pooled"],
        return_dict=False,
    )[0]


def flux(model, noisy, share, given):
    count, channels, height, width = noisy.shape
    packed = noisy.view(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    rows, columns = torch.meshgrid(torch.arange(height // 2), torch.arange(width // 2), indexing="ij")
    places = torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3).to(noisy)
    guidance = torch.tensor([3.5]).expand(count) if model.denoiser.config.guidance_embeds else None
    found = model.denoiser(
        hidden_states=packed.reshape(count, -1, 4 * channels),
        timestep=share,
        guidance=guidance,
        pooled_projections=given["pooled"],
        encoder_hidden_states=given["encoder_hidden_states"],
        txt_ids=torch.zeros(given["encoder_hidden_states"].shape[1], 3).to(noisy),
        img_ids=places,
        return_dict=False,
    )[0]
    found = found.view(count, height // 2, width // 2, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return found.reshape(noisy.shape)


def flux_2(model, noisy, share, given):
    count, channels, height, width = noisy.shape
    tokens = given["encoder_hidden_states"].shape[1]
    places = torch.cartesian_prod(torch.arange(1), torch.arange(height), torch.arange(width), torch.arange(1))
    words = torch.cartesian_prod(torch.arange(1), torch.arange(1), torch.arange(1), torch.arange(tokens))
    guidance = torch.tensor([3.5]).expand(count) if model.denoiser.config.guidance_embeds else None
    found = model.denoiser(
        hidden_states=noisy.flatten(2).mT,
        timestep=share,
        guidance=guidance,
        encoder_hidden_states=given["encoder_hidden_states"],
        txt_ids=words.expand(count, -1, -1),
        img_ids=places.expand(count, -1, -1),
        return_dict=False,
    )[0]
    return found.mT.reshape(noisy.shape)


def qwen_image(model, noisy, share, given):
    count, channels, height, width = noisy.shape
    packed = noisy.view(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    found = model.denoiser(
        hidden_states=packed.reshape(count, -1, 4 * channels),
        timestep=share,
        encoder_hidden_states=given["encoder_hidden_states"],
        encoder_hidden_states_mask=given["mask"],
        img_shapes=[[(1, height // 2, width // 2)]] * count,
        return_dict=False,
    )[0]
    found = found.view(count, height // 2, width // 2, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return found.reshape(noisy.shape)


def z_image(model, noisy, share, given):
    pairs = zip(given["encoder_hidden_states"], given["mask"], strict=True)
    texts = [text[: int(mask.sum())] for text, mask in pairs]
    time = (1000 - (1000 * share).float()) / 1000
    found = model.denoiser(list(noisy.unsqueeze(2)), time, texts, return_dict=False)[0]
    return -torch.stack(found).squeeze(2)


def classes(model, noisy, level, given):
    return model.denoiser(noisy, timestep=level, class_labels=given["class_labels"], return_dict=False)[0]


EXAMPLES = {
    "stable_diffusion": diffusion(unet),
    "stable_diffusion_2": diffusion(unet),
    "stable_diffusion_xl": diffusion(unet_xl),
    "stable_diffusion_3": flow(joint, weigh=lambda share: share**2),
    "flux": flow(flux),
    "flux_schnell": flow(flux),
    "flux_2": flow(flux_2),
    "flux_2_klein": flow(flux_2),
    "pixart_alpha": diffusion(pixart),
    "pixart_sigma": diffusion(pixart),
    "sana": flow(lambda model, noisy, share, given: attending(model, noisy, 1000 * share, given)),
    "qwen_image": flow(qwen_image),
    "z_image": flow(z_image),
    "lumina_2": flow(
        lambda model, noisy, share, given: attending(model, noisy, 1 - share, given), target=lambda x, noise: x - noise
    ),
    "dit": diffusion(classes),
}
