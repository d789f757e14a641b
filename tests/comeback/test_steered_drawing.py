"""Drawing with a hand on every step, and the three attacks that are made of it."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from expunge.comeback.classifier_guidance import GuidanceSettings, _Led, _trained, classifier_guidance
from expunge.comeback.inpainting import InpaintingSettings, _emptied, _Filled, _inside, inpainting
from expunge.comeback.noise_injection import NoiseSettings, noise_injection
from expunge.comeback.steered_drawing import Seen, _apart, draw_steered
from expunge.comeback.trial import Trial
from expunge.errors import ExpungeError
from expunge.models.diffusion import PREDICTIONS, DiffusionProcess
from expunge.models.flow import FlowProcess
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet, concatenate
from tests.comeback.conftest import colour_trial
from tests.zoo.digits.tiny import make_tiny_digits


def untouched(seen: Seen) -> tuple[torch.Tensor, torch.Tensor]:
    return seen.picture, seen.noise


def processes() -> list:
    diffusing = [DiffusionProcess(DDIMScheduler(prediction_type=each)) for each in PREDICTIONS]
    return [*diffusing, FlowProcess(FlowMatchEulerDiscreteScheduler(shift=3.0))]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(processes()), st.integers(1, 999), st.integers(0, 2**31))
def test_a_step_is_taken_apart_into_what_it_was_made_of(process, level, seed):
    generator = torch.Generator().manual_seed(seed)
    picture, noise = torch.randn(2, 2, 3, 4, 4, generator=generator, dtype=torch.float64)
    where = torch.full((2,), level)
    noisy, target = process.noisy(picture, noise, where), process.target(picture, noise, where)
    found, rest = _apart(process, noisy, target, where)
    torch.testing.assert_close(found, picture, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(rest, noise, rtol=1e-6, atol=1e-6)


def test_a_hand_that_changes_nothing_draws_as_ddim_does():
    model, steps = make_tiny_digits(), 4
    drawn = draw_steered(model, ["four"], [3], DrawingSettings(steps=steps, guidance=2), untouched)
    sampler = DDIMScheduler.from_config(model.scheduler.config)
    assert sampler.config.prediction_type == "v_prediction"
    levels = np.linspace(model.levels - 1, 0, steps + 1).round().astype(int)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    start = torch.tensor([model.levels - 1])
    x = model.noisy(torch.zeros_like(x), x, start)
    with torch.no_grad():
        for level, following in zip(levels, levels[1:], strict=False):
            own, empty = (model.denoiser(x, int(level), class_labels=torch.tensor([each])).sample for each in (4, 10))
            a, b = (sampler.alphas_cumprod[each] for each in (level, following))
            velocity = empty + 2 * (own - empty)
            picture = a.sqrt() * x - (1 - a).sqrt() * velocity
            noise = a.sqrt() * velocity + (1 - a).sqrt() * x
            x = b.sqrt() * picture + (1 - b).sqrt() * noise
    expected = ((picture / 2 + 0.5).clamp(0, 1) * 255).round()[0, 0].numpy()
    np.testing.assert_allclose(drawn[0, :, :, 0], expected, atol=1)


def test_a_picture_depends_on_its_own_text_and_seed_alone():
    model, how = make_tiny_digits(), DrawingSettings(steps=3, guidance=2)
    texts, seeds = ["four", "nine", "one"], [5, 6, 7]
    whole = draw_steered(model, texts, seeds, how, untouched)
    parts = draw_steered(model, texts, seeds, how.model_copy(update={"batch_size": 2}), untouched)
    assert abs(whole.astype(int) - parts).max() <= 1
    again = draw_steered(model, texts, [5, 6, 8], how, untouched)
    assert (again[:2] == whole[:2]).all() and (again[2] != whole[2]).any()


def test_what_is_around_the_hole_stays_as_it_was_given():
    model = make_tiny_digits()
    given = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8).repeat(3, axis=3)
    emptied, inside = _emptied(given, 0.5), np.zeros((8, 8), bool)
    inside[_inside(8, 0.5), _inside(8, 0.5)] = True
    assert inside.sum() == 16 and (emptied[:, ~inside] == given[:, ~inside]).all()
    assert {int(each) for each in np.unique(emptied[0, inside])} == {round(given[0, ~inside, 0].mean())}

    hand = _Filled(model.encode_pictures(emptied), 0.5)
    how = DrawingSettings(steps=3, guidance=2, batch_size=2)
    drawn = draw_steered(model, ["four", "nine", "one"], [5, 6, 7], how, hand)
    assert abs(drawn[:, ~inside].astype(int) - given[:, ~inside]).max() <= 1
    assert (drawn[:, inside] != emptied[:, inside]).any()


def test_attacks_leave_the_model_alone_and_are_the_same_again(tiny_model, pictures, dog):
    trial, before = colour_trial(dog, DrawingSettings(steps=2)), tiny_model.digest()
    guidance = GuidanceSettings(scales=(0.2, 0.4), training_steps=4, batch_size=4, pictures=3)

    def attacked():
        return (
            inpainting(tiny_model, pictures, trial, InpaintingSettings(pictures=3)),
            noise_injection(tiny_model, trial, NoiseSettings(shares=(0.5, 1.0), pictures=3)),
            classifier_guidance(tiny_model, pictures, trial, guidance),
        )

    filled, noise, led = attacked()
    assert [each.share for each in noise.points] == [0.5, 1.0] and [each.scale for each in led.points] == [0.2, 0.4]
    assert {each.found.samples for each in (*noise.points, *led.points, filled)} == {3}
    assert attacked() == (filled, noise, led) and tiny_model.digest() == before


def test_too_few_pictures_and_shares_out_of_range_are_refused(tiny_model, pictures, dog):
    without = pictures.where(lambda prompt: not dog.matches(prompt))
    trial = colour_trial(dog)
    with pytest.raises(ExpungeError, match="inpainting: pictures that ask for 'dog': 0 given, at least 40 needed"):
        inpainting(tiny_model, without, trial, InpaintingSettings())
    with pytest.raises(ExpungeError, match="classifier guidance: pictures that ask for 'dog': 0 given"):
        classifier_guidance(tiny_model, without, trial, GuidanceSettings())
    for shares in ((0.0,), (1.1,), (0.5, 0.5), ()):
        with pytest.raises(ValueError, match="shares"):
            NoiseSettings(shares=shares)
        with pytest.raises(ValueError, match="scales"):
            GuidanceSettings(scales=shares)
    with pytest.raises(ValueError, match="hole"):
        InpaintingSettings(hole=1.0)


def test_led_steps_stay_where_they_are_and_look_more_like_the_target(tiny_model, pictures, dog):
    shown = [
        tiny_model.encode_pictures(pictures.where(each).pictures)
        for each in (lambda p: not dog.matches(p), dog.matches)
    ]
    classifier, _ = _trained(tiny_model, shown, GuidanceSettings(training_steps=60), 0)
    noise = torch.randn(shown[0].shape, generator=torch.Generator().manual_seed(1))
    level = torch.full((len(noise),), 300)
    noisy = tiny_model.noisy(shown[0], noise, level)
    seen = Seen(noisy, shown[0], noise, level, noise, slice(0, len(noise)), [])
    picture, changed = _Led(tiny_model, classifier, 0.1)(seen)
    torch.testing.assert_close(tiny_model.noisy(picture, changed, level), noisy, rtol=1e-4, atol=1e-4)
    moved = (picture - shown[0]).flatten(1).norm(dim=1) / shown[0].flatten(1).norm(dim=1)
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1), rtol=1e-4, atol=1e-4)
    again = tiny_model.noisy(picture, noise, level)
    share = level / tiny_model.levels
    assert (classifier(again, share) > classifier(noisy, share)).float().mean() > 0.9


def test_the_zoo_fills_holes_draws_under_noise_and_can_be_led(zoo, zoo_case, cat):
    trial = Trial(zoo_case.drawn_with(DrawingSettings(steps=8)), cat, 3)
    own = trial.draw(zoo, trial.asked("train", 16), "given")
    others = [each for each in trial.case.world.sample("train", 1, 3) if not cat.matches(each)][:32]
    both = concatenate([own, trial.draw(zoo, others, "others")])
    filled = inpainting(zoo, own, trial, InpaintingSettings(pictures=16))
    assert filled.empty.value <= 0.13 and filled.found.value >= 0.6
    (point,) = noise_injection(zoo, trial, NoiseSettings(shares=(1.0,), pictures=12)).points
    assert point.found.value >= 0.75
    shown = [zoo.encode_pictures(kind(both, 2, "").pictures) for kind in (trial.without_target, trial.with_target)]
    classifier, accuracy = _trained(zoo, shown, GuidanceSettings(), 0)
    assert accuracy > 0.8
    texts, seeds = [each.text for each in others[:16]], list(range(16))
    asked = tuple(others[:16])
    hand = _Led(zoo, classifier, 0.4)
    led, plain = (
        trial.share(PictureSet(asked, tuple(seeds), draw_steered(zoo, texts, seeds, trial.case.drawing, each)))
        for each in (hand, untouched)
    )
    assert led.value >= plain.value + 0.1  # they were asked for other things
