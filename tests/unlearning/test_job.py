"""From picture sets to an unlearned model, with its curves and checkpoints."""

import copy
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from expunge.case import Case
from expunge.judges.panel import Panel
from expunge.models.conditions import TOKENS
from expunge.models.resolver import read_folder
from expunge.models.trained_part import TrainedSettings
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.prompts.target import Target
from expunge.takedown.request import Kind
from expunge.unlearning.batches import draw_batch, generator_of, predict
from expunge.unlearning.diversification import diversify
from expunge.unlearning.encoding import encode
from expunge.unlearning.job import (
    latent_sets,
    least_forgotten,
    measure_gradients,
    shown_anchors,
    unlearn_model,
)
from expunge.unlearning.loop import Hooks
from expunge.unlearning.problem import Problem
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)
from tests.metrics.colour_judges import WORLD, ColourClassifier, colour_panel

DRAWING = DrawingSettings(steps=1, guidance=1)
CHECK = CheckSettings(pictures=6, steps=1)
SETTINGS = UnlearnSettings(
    steps=6,
    learning_rate=1e-3,
    forget={"truncated": 1.0},
    forget_batch_size=4,
    retain_batch_size=4,
    check_every=2,
    checkpoint_every=2,
)


class Killed(Exception):
    """Ends a run in the middle."""


@pytest.fixture(scope="module")
def pool(tiny_model):
    return draw_over_world(tiny_model, WORLD, "train", 1, 0, DRAWING)


@pytest.fixture(scope="module")
def seen(pool) -> list[str]:
    """Subjects by how often the classifier finds them in the tiny model's pictures, most often first."""
    counts = Counter(ColourClassifier("subject").recognise(pool.pictures))
    return sorted(WORLD.factors["subject"], key=lambda name: -counts[name])


def target(level: str) -> Target:
    return Target(request_id=level, kind=Kind.OBJECT, name=level, factor="subject", levels=(level,))


@pytest.fixture(scope="module")
def drawn(seen) -> Target:
    """What the tiny model draws most, so that it does not count as forgotten."""
    return target(seen[0])


@pytest.fixture(scope="module")
def datasets(tiny_model, pool, drawn):
    sizes = DiversificationSettings(pool_per_stratum=1, forget_size=6, paired_size=3)
    return diversify(tiny_model, pool, case_of(drawn), sizes)


@pytest.fixture(scope="module")
def cache(tiny_model, datasets):
    return measure_gradients(
        tiny_model,
        TrainingSets(datasets.forget, datasets.retain),
        GradientSettings(batch_size=8),
        SETTINGS.forgetting(),
    )


def case_of(*targets: Target, panel: Panel | None = None) -> Case:
    return Case.of(WORLD, panel or colour_panel(), DRAWING).about(targets)


@pytest.fixture
def job(tiny_model, datasets, cache, drawn):
    """The arguments of one run."""
    return [tiny_model, TrainingSets(datasets.forget, datasets.retain, cache), case_of(drawn), SETTINGS, CHECK]


def parameters(model) -> dict[str, torch.Tensor]:
    parts = {name: getattr(model.pipeline, name) for name in ("unet", "vae", "text_encoder")}
    return {f"{part}.{name}": p.clone() for part, module in parts.items() for name, p in module.state_dict().items()}


def test_encoding_keeps_each_picture_with_its_prompt_and_stratum(tiny_model, datasets):
    pictures = datasets.retain
    encoded = encode(tiny_model, pictures)
    assert len(encoded) == len(pictures)
    assert encoded.strata == [prompt.stratum for prompt in pictures.prompts]
    assert len(encoded.conditions[TOKENS]) == len({prompt.text for prompt in pictures.prompts})
    for i in (0, len(pictures) - 1):
        text = tiny_model.encode_texts([pictures.prompts[i].text])[TOKENS][0]
        torch.testing.assert_close(encoded.conditions[TOKENS][encoded.prompt_indices[i]], text, rtol=0, atol=1e-5)
        latent = tiny_model.encode_pictures(pictures.pictures[i : i + 1])[0]
        torch.testing.assert_close(encoded.latents[i], latent, rtol=0, atol=1e-4)


def test_forget_prompts_are_encoded_with_their_pairs_and_the_empty_prompt(tiny_model, datasets):
    pictures = datasets.forget
    encoded = encode(tiny_model, pictures)
    for i in (0, len(pictures) - 1):
        pair = tiny_model.encode_texts([pictures.prompts[i].paired])[TOKENS][0]
        torch.testing.assert_close(encoded.conditions[TOKENS][encoded.anchor_indices[i]], pair, rtol=0, atol=1e-5)
    torch.testing.assert_close(encoded.empty, tiny_model.encode_texts([""]))
    assert encode(tiny_model, datasets.retain).anchor_indices is None


def test_gradients_are_measured_on_a_copy_and_keyed_by_model_and_data(tiny_model, datasets, cache):
    before = tiny_model.digest()
    settings = GradientSettings(batch_size=8)
    sets = TrainingSets(datasets.forget, datasets.retain)
    again = measure_gradients(tiny_model, sets, settings, SETTINGS.forgetting())
    assert again.key == cache.key and again.forget_loss == cache.forget_loss
    assert (
        measure_gradients(
            tiny_model, TrainingSets(datasets.retain, datasets.forget), settings, SETTINGS.forgetting()
        ).key
        != cache.key
    )
    assert set(cache.retain) == {name for name, _ in tiny_model.denoiser.named_parameters()}
    assert tiny_model.digest() == before and not any(p.requires_grad for p in tiny_model.denoiser.parameters())


def test_unlearning_leaves_the_given_model_bit_for_bit_and_changes_the_denoiser_alone(tiny_model, datasets, cache, job):
    job[3] = SETTINGS.model_copy(update={"retain_weight": 0.1})
    before, digest = parameters(tiny_model), tiny_model.digest()
    unlearned, trace = unlearn_model(*job)
    after, changed = parameters(tiny_model), parameters(unlearned)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert tiny_model.digest() == digest != unlearned.digest()
    differing = {name for name in before if not torch.equal(changed[name], before[name])}
    assert differing and all(name.startswith("unet.") for name in differing)
    assert not any(p.requires_grad for model in (tiny_model, unlearned) for p in model.denoiser.parameters())
    assert len(trace.rows) == 6 and trace.stopped == "steps"
    now = measure_gradients(
        unlearned, TrainingSets(datasets.forget, datasets.retain), GradientSettings(batch_size=8), SETTINGS.forgetting()
    )
    assert now.forget_loss < cache.forget_loss  # on the same noise: the target is drawn worse
    assert (tiny_model.draw(["a cat"], [0], steps=1) != unlearned.draw(["a cat"], [0], steps=1)).any()


def test_the_same_job_gives_the_same_model_and_tells_every_step(job):
    rows = []
    first, trace = unlearn_model(*job, Hooks(rows.append))
    second, _ = unlearn_model(*job)
    assert first.digest() == second.digest()
    assert tuple(rows) == trace.rows
    assert [row.step for row in rows if row.forgotten is not None] == [2, 4, 6]


def test_it_ends_early_once_the_target_is_gone(job, seen):
    job[2] = case_of(target(seen[-1]))  # the tiny model hardly ever draws it
    job[3] = SETTINGS.model_copy(update={"stop_at": 0.5, "learning_rate": 1e-6, "pace": None})
    _, trace = unlearn_model(*job)
    assert trace.stopped == "forgotten" and len(trace.rows) == 4


def test_the_default_moves_towards_what_is_to_be_drawn_instead(tiny_model, datasets, drawn):
    how = SETTINGS.model_copy(
        update={"forget": None, "steps": 12, "learning_rate": 1e-4, "pace": None, "stop_at": None}
    )
    cache = measure_gradients(
        tiny_model, TrainingSets(datasets.forget, datasets.retain), GradientSettings(batch_size=8), how.forgetting()
    )
    sets = TrainingSets(datasets.forget, datasets.retain, cache)
    unlearned, trace = unlearn_model(tiny_model, sets, case_of(drawn), how, CHECK)
    # The original predicts the target, its anchor and what is retained.
    assert trace.rows[0].passes == pytest.approx(1 + 2 / 3 + 1 + 1 / 3)
    encoded = latent_sets(tiny_model, datasets.forget, datasets.retain, how.objectives())
    before, after = (
        Problem(copy.deepcopy(model.denoiser).requires_grad_(True), tiny_model, how.objectives(), encoded)
        for model in (tiny_model, unlearned)
    )
    after.original = before.original  # what is to be drawn instead, says the model as it was
    batch = draw_batch(encoded.forget, torch.arange(len(encoded.forget)), tiny_model.levels, generator_of(7))
    with torch.no_grad():
        assert 0 < after.forget_loss(batch) < before.forget_loss(batch)


def test_pictures_of_the_anchors_stand_under_the_targets_sentences(tiny_model, datasets, drawn):
    shown = shown_anchors(datasets.forget, datasets.retain)
    asked = {prompt.text for prompt in datasets.forget.prompts}
    assert len(shown) >= 3 and {prompt.text for prompt in shown.prompts} <= asked
    plain, anchored = (
        latent_sets(tiny_model, datasets.forget, datasets.retain, UnlearnSettings(forget=forget).objectives()).forget
        for forget in ({"truncated": 1.0}, {"anchor": 1.0})
    )
    assert plain.shows_target is None and len(plain) == len(datasets.forget)
    assert anchored.shows_target.sum() == len(plain) and len(anchored) == len(plain) + len(shown)
    assert not set(anchored.strata[: len(plain)]) & set(anchored.strata[len(plain) :])


def test_least_forgotten_is_the_worst_of_all_targets(tiny_model, seen, drawn):
    def share(*targets: Target) -> float:
        return least_forgotten(tiny_model, case_of(*targets), 6, 0)

    rare = target(seen[-1])
    assert share(drawn) < share(rare) <= 1
    assert share(rare, drawn) == share(drawn, rare) == share(drawn)
    assert share(drawn) == share(drawn)


class KilledAtThirdLook(ColourClassifier):
    """Looks at the pixels, until the run is killed."""

    looks = 0

    def recognise(self, pictures: np.ndarray) -> list[str]:
        self.looks += 1
        if self.looks == 3:
            raise Killed
        return super().recognise(pictures)


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_as_one_that_was_not(job, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    from expunge.release.logged_unlearning import CHECKPOINTS, CURVES, unlearn_and_log

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    patient = job[2]
    panel = patient.panel()
    impatient = Panel({**panel.classifiers, "subject": KilledAtThirdLook("subject")}, panel.clip)
    job[2] = case_of(*patient.targets, panel=impatient)
    with pytest.raises(Killed):
        unlearn_and_log(*job)
    (kept,) = CHECKPOINTS.iterdir()
    assert any(kept.iterdir())
    job[2] = patient
    resumed, trace = unlearn_and_log(*job)
    assert len(trace.rows) == 6 and list(CHECKPOINTS.iterdir()) == []
    assert resumed.digest() == unlearn_model(*job)[0].digest()

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = (e.experiment_id for e in client.search_experiments() if e.name == "expunge")
    finished, failed = client.search_runs([experiment])
    assert (finished.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert finished.data.params == {"method": SETTINGS.method, "gradient_cache": job[1].cache.key}
    points = [*client.get_metric_history(failed.info.run_id, "forget_loss")]
    points += client.get_metric_history(finished.info.run_id, "forget_loss")
    logged = {point.step: point.value for point in points}
    assert logged == {row.step: pytest.approx(row.forget_loss) for row in trace.rows}
    assert set(finished.data.metrics) <= set(CURVES) and "cosine" in finished.data.metrics
    assert not Path("mlruns").exists()


@pytest.mark.parametrize("trained", [{}, {"what": "cross_attention"}, {"what": "lora", "rank": 2}])
def test_in_bf16_what_is_frozen_stays_as_it_came(tiny_folder, datasets, drawn, tmp_path, trained):
    """Gradients at θ₀, the measured rate, steps, checks, a checkpoint and what goes on from it."""
    base = read_folder(tiny_folder)
    before, digest = parameters(base), base.digest()
    base.on("cpu", "bf16")
    settings = SETTINGS.model_copy(
        update={"forget": None, "learning_rate": None, "steps": 3, "trained": TrainedSettings.model_validate(trained)}
    )
    measured = measure_gradients(
        base, TrainingSets(datasets.forget, datasets.retain), GradientSettings(batch_size=8), settings.forgetting()
    )
    assert {each.dtype for each in measured.retain.values()} == {torch.float32}
    given = [base, TrainingSets(datasets.forget, datasets.retain, measured), case_of(drawn)]
    names = {name for name, p in base.to_train(settings.trained).denoiser.named_parameters() if p.requires_grad}
    unlearned, trace = unlearn_model(*given, settings, CHECK)
    assert trace.calibration is not None and len(trace.rows) == 3
    assert all(row.averaged_change_forget <= 0 and row.averaged_change_retain <= 0 for row in trace.rows)
    assert base.digest() == digest != unlearned.digest()
    hooks = Hooks(checkpoint_folder=tmp_path, progress=False)
    unlearn_model(*given, settings.model_copy(update={"steps": 2}), CHECK, hooks)
    resumed, _ = unlearn_model(*given, settings, CHECK, hooks)
    assert resumed.digest() == unlearned.digest()
    changed = parameters(unlearned.on("cpu", "float32"))
    differing = {name.removeprefix("unet.") for name in before if not torch.equal(changed[name], before[name])}
    if trained.get("what") == "lora":
        names = {name for name in differing if ".attn" in name and ".to_" in name}
    assert differing and differing <= names


def test_the_rest_goes_back_to_what_the_first_model_predicts(tiny_model, datasets, job):
    champion, _ = unlearn_model(*job)
    before, sets = tiny_model.digest(), TrainingSets(datasets.forget, datasets.retain)
    how = {"method": "retain_finetuning", "alignment": "original", "learning_rate": 1e-4, "steps": 20, "pace": None}
    settings, keys, retained = SETTINGS.model_copy(update=how), [], []
    for known in (sets, replace(sets, first=tiny_model)):
        cache = measure_gradients(champion, known, GradientSettings(batch_size=8), settings.forgetting())
        unlearned, trace = unlearn_model(champion, replace(known, cache=cache), job[2], settings, CHECK)
        keys.append(cache.key)
        retained.append(trace.rows[0].retain_loss)
    assert keys[0] != keys[1] and retained[0] < 1e-9 < 1e-6 < retained[1]
    assert apart(unlearned, tiny_model, datasets.retain) < 0.9 * apart(champion, tiny_model, datasets.retain)
    assert tiny_model.digest() == before


def apart(one, other, pictures) -> float:
    """Mean squared difference of what two models predict for the same noised pictures."""
    encoded = encode(one, pictures)
    batch = draw_batch(encoded, torch.arange(len(encoded)), one.levels, generator_of(0))
    with torch.no_grad():
        first, second = (predict(each.denoiser, each, batch)[0] for each in (one, other))
    return float(((first - second) ** 2).mean())
