"""Before and after, drawn by tiny models and judged by judges that look at the pixels."""

import pytest

from expunge.evaluation.model_evaluation import EvaluatedPictures, EvaluationSettings, evaluate_model
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings, draw_over_world, draw_prompts
from expunge.prompts.target import Target
from expunge.takedown.request import Kind
from tests.metrics.colour_judges import WORLD, colour_panel
from tests.tiny import make_tiny_pipeline

DRAWING = DrawingSettings(steps=1, guidance=1)
SMALL = EvaluationSettings(held_out_per_stratum=1, target_pictures=7, seed=5)
TARGETS = (
    Target(request_id="a", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",)),
    Target(request_id="b", kind=Kind.STYLE, name="blob", factor="style", levels=("blob",)),
)


@pytest.fixture(scope="module")
def worlds(tiny_model):
    return [draw_over_world(tiny_model, WORLD, side, 1, 5, DRAWING) for side in ("held_out", "train")]


@pytest.fixture(scope="module")
def evaluated(tiny_model, worlds, tmp_path_factory) -> EvaluatedPictures:
    other = StableDiffusion.load(make_tiny_pipeline(tmp_path_factory.mktemp("other"), seed=1))
    return evaluate_model(tiny_model, other, *worlds, TARGETS, WORLD, colour_panel(), SMALL, DRAWING)


def test_before_and_after_share_prompts_and_noise_and_nothing_else(tiny_model, evaluated):
    before, after = evaluated.before, evaluated.after
    assert (before.prompts, before.seeds) == (after.prompts, after.seeds)
    assert (before.pictures != after.pictures).any(axis=(1, 2, 3)).all()
    assert {prompt.side for prompt in before.prompts} == {"held_out"}
    again = draw_prompts(tiny_model, before.prompts, before.seeds, DRAWING)
    assert abs(again.pictures.astype(int) - before.pictures).max() <= 1


def test_every_target_has_as_many_pictures_as_asked(evaluated, worlds):
    assert evaluated.before.select(range(len(worlds[0]))).digest() == worlds[0].digest()
    for target, scores in zip(TARGETS, evaluated.evaluation.targets, strict=True):
        asked = evaluated.before.where(target.matches)
        assert len(asked) >= SMALL.target_pictures
        assert scores.numbers["unlearning_accuracy"].after.samples == len(asked)
        assert len({(p.text, seed) for p, seed in zip(asked.prompts, asked.seeds, strict=True)}) == len(asked)


def test_what_earlier_runs_forgot_is_asked_for_again(tiny_model, worlds):
    dog = TARGETS[0].model_copy(update={"request_id": "c", "name": "dog", "levels": ("dog",)})
    how = SMALL.model_copy(update={"earlier_pictures": 6})
    done = evaluate_model(tiny_model, tiny_model, *worlds, TARGETS, WORLD, colour_panel(), how, DRAWING, [dog])
    (again,) = done.evaluation.earlier
    assert (again.name, again.numbers["unlearning_accuracy"].after.samples) == ("dog", 6)
    assert again.numbers["unlearning_accuracy"].before.value == again.numbers["unlearning_accuracy"].after.value
    assert [each.name for each in done.evaluation.targets] == ["cat", "blob"]


def test_how_it_was_drawn_is_on_record(evaluated):
    assert evaluated.evaluation.sampling == {"sampler": "DDIM", **DRAWING.model_dump(), "seed": 5}


def test_a_model_against_itself_has_not_changed(tiny_model, worlds):
    same = evaluate_model(tiny_model, tiny_model, *worlds, TARGETS, WORLD, colour_panel(), SMALL, DRAWING)
    assert abs(same.before.pictures.astype(int) - same.after.pictures).max() <= 1
    scores = same.evaluation
    changes = [*scores.rest.values(), *(change for target in scores.targets for change in target.numbers.values())]
    assert len(changes) >= 6 + 4
    for change in changes:
        assert change.difference.value == pytest.approx(0, abs=1e-3)
        assert change.difference.low <= 1e-3 and change.difference.high >= -1e-3
