"""The whole evaluator on tiny models: pictures kept, numbers the same again, files written, nonsense named."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from expunge.errors import ExpungeError
from expunge.evaluation.evaluator import check_sizes, evaluate
from expunge.evaluation.gate import GateThresholds, judge
from expunge.evaluation.plan import REFERENCE, paired
from expunge.metrics.units import COSINE
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.models.model_facts import ModelFacts
from expunge.pictures.picture_store import draw_shards
from expunge.pictures.shards import plan_over_world
from expunge.reports.evaluation_files import Shown, write_evaluation
from expunge.reports.evaluation_tables import as_markdown, headline, sections
from expunge.reports.wording import retention_rows
from tests.evaluation.conftest import BLOB, CAT, DOG, DRAWING, SMALL, colour_case
from tests.metrics.colour_judges import WORLD


def refuse(*_, **__):
    raise AssertionError("drawn again")


def again(evaluated, store):
    models = (evaluated.drawn_after.model, evaluated.drawn_before.model)
    return evaluate(*models, evaluated.case, SMALL, store, progress=False).scores


def test_the_same_evaluation_again_draws_nothing_and_says_the_same(evaluated, monkeypatch):
    store = evaluated.drawn_before.store
    kept = {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    assert len(kept) == len(evaluated.shards) + len(paired(evaluated.shards))
    monkeypatch.setattr(StableDiffusion, "draw", refuse)
    repeated = again(evaluated, store)
    assert repeated.result == evaluated.scores.result
    pd.testing.assert_frame_equal(repeated.pictures, evaluated.scores.pictures)
    assert {path: path.stat().st_mtime_ns for path in store.folder.iterdir()} == kept


def test_drawn_afresh_the_numbers_are_the_same_to_the_bit(evaluated, store):
    assert again(evaluated, store).result.model_dump_json() == evaluated.scores.result.model_dump_json()


def test_two_processes_find_what_one_finds(evaluated, store, monkeypatch):
    """What is drawn before lies in the store of the other evaluation already; the other model's pictures do not."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    before = evaluated.drawn_before
    for shard in evaluated.shards:
        store.keep(before.key(shard), before.draw(shard).pictures, shard.prompts, before.digest)
    monkeypatch.setattr(StableDiffusion, "draw", refuse)
    case = evaluated.case.model_copy(update={"processes": 2})
    again = evaluate(evaluated.drawn_after.model, before.model, case, SMALL, store, progress=False)
    assert again.evaluation == evaluated.evaluation and again.after().digest() == evaluated.after().digest()


def test_the_pool_of_a_retain_set_is_the_evaluations_train_part(tiny_model, other_model, store, monkeypatch):
    pool = draw_shards(tiny_model, plan_over_world(WORLD, "train", 1, 0), DRAWING, store)
    settings = SMALL.model_copy(update={"shard_size": 64}).with_pool(1, 0)
    asked = {prompt.text for prompt in pool.prompts}
    drawn = StableDiffusion.draw

    def watched(self, texts, seeds, **how):
        assert self is not tiny_model or not set(texts) <= asked
        return drawn(self, texts, seeds, **how)

    monkeypatch.setattr(StableDiffusion, "draw", watched)
    done = evaluate(other_model, tiny_model, colour_case(CAT), settings, store, progress=False)
    assert done.before("train").digest() == pool.digest()


def test_before_and_after_share_prompts_and_noise_and_leave_out_what_is_gone(evaluated):
    before, after = evaluated.before(), evaluated.after()
    assert (before.prompts, before.seeds) == (after.prompts, after.seeds)
    assert (before.pictures != after.pictures).any(axis=(1, 2, 3)).all()
    assert {prompt.side for prompt in before.prompts} == {"held_out"}
    assert all(evaluated.case.is_measured(prompt) for prompt in before.prompts)


def test_every_target_has_as_many_pictures_as_asked(evaluated):
    before = evaluated.before()
    for target, scores in zip((CAT, BLOB), evaluated.evaluation.targets, strict=True):
        asked = before.where(target.matches)
        samples = scores.numbers["unlearning_accuracy"].after.samples
        assert samples == len(asked) >= SMALL.target_pictures
        assert len({(p.text, seed) for p, seed in zip(asked.prompts, asked.seeds, strict=True)}) == len(asked)


def test_what_earlier_runs_forgot_is_asked_for_again_and_no_part_of_the_rest(evaluated):
    (earlier,) = evaluated.evaluation.earlier
    assert earlier.name == "dog" and set(earlier.numbers) >= {"unlearning_accuracy", "unlearning_accuracy_clip"}
    assert earlier.numbers["unlearning_accuracy"].after.samples == SMALL.earlier_pictures
    rest = evaluated.before("held_out").where(lambda prompt: not evaluated.case.asks_for_target(prompt))
    assert evaluated.evaluation.rest["retain_accuracy"].after.samples == len(rest)
    assert not any(DOG.matches(prompt) for prompt in rest.prompts)


def test_the_tables_rows_are_what_the_numbers_count(evaluated):
    table, scores = evaluated.scores.pictures, evaluated.evaluation.targets[0]
    asked = table[table["part"].isin(["held_out", "target"]) & (table["asked_subject"] == "cat")]
    found = (asked["subject_after"] == "cat").mean()
    assert scores.numbers["unlearning_accuracy"].after.value == pytest.approx(1 - found)
    assert set(table["part"]) >= {"held_out", "target", "earlier", "train"} and REFERENCE not in set(table["part"])
    scenes = table[table["part"].str.startswith("composition:")]  # none near the cat: the other animal is gone, too
    assert len(scenes) and (scenes["target"] == "").all() and set(scenes["near"]) == {"style:blob"}


def test_how_it_was_drawn_is_on_record(evaluated):
    assert evaluated.evaluation.sampling == {"sampler": "DDIM", **DRAWING.model_dump(exclude_none=True), "seed": 5}


def test_nothing_can_differ_between_a_model_and_itself(tiny_model, store):
    done = evaluate(tiny_model, tiny_model, colour_case(CAT), SMALL, store, progress=False)
    assert "Both models have the same weights: nothing can differ." in done.scores.result.warnings
    for change in (*done.evaluation.rest.values(), *done.evaluation.targets[0].numbers.values()):
        assert change.difference.value == pytest.approx(0, abs=1e-9)
        assert change.difference.low <= 1e-9 and change.difference.high >= -1e-9


def test_what_was_not_drawn_before_is_never_gone(evaluated):
    """Tiny models draw nothing: a classifier of colours finds no cat before either."""
    result = evaluated.scores.result
    hardly = [each.name for each in result.evaluation.targets if each.numbers["unlearning_accuracy"].before.value > 0.5]
    assert hardly
    for name in hardly:
        assert f"“{name}” was hardly drawn before" in headline(result) + "".join(result.warnings)
        assert f"“{name}” is gone" not in headline(result)


def test_models_of_two_sizes_are_not_compared(tiny_model):
    class Larger:
        size = 64

    with pytest.raises(ExpungeError, match="against: draws pictures of 64 pixels, the model of 32"):
        check_sizes(tiny_model, Larger())


def test_scenes_are_told_with_what_they_were_before(evaluated):
    result = evaluated.scores.result
    found = {caption: rows for caption, rows in sections(result) if caption.startswith("Scenes near")}
    assert len(found) == 2
    scene = next(each for each in result.compositions if each.target == "style:blob" and each.group == "counts")
    row = next(row for row in found["Scenes near “blob”: alignment, and distance from the picture before"]
               if row.label == "AS, counts")  # fmt: skip
    assert row.before == COSINE.value(scene.alignment.before.value) and COSINE.value(scene.single_alignment) in row.note
    assert "moved most" in as_markdown(result)


def test_everything_is_written_with_the_models_names(evaluated, tmp_path):
    facts = [ModelFacts(source=name, version="", digest="0" * 64, sampler="DDIM") for name in ("mine", "theirs")]
    done = evaluated.called(*facts)
    sides = [lambda number, drawer=drawer: drawer.draw(done.shards[number]) for drawer in
             (done.drawn_before, done.drawn_after)]  # fmt: skip
    written = write_evaluation(tmp_path / "out", done.scores, Shown(done.shards, *sides, ["expunge evaluate m"]))
    stored = json.loads(written.result.read_text(encoding="utf-8"))
    assert stored == done.scores.result.model_dump(mode="json") and stored["model"]["source"] == "mine"
    assert len(pd.read_parquet(written.pictures)) == len(pd.read_csv(written.pictures_csv)) == len(done.scores.pictures)
    assert "## Forgetting “cat”" in written.table.read_text(encoding="utf-8")
    page = written.page.read_text(encoding="utf-8")
    assert "expunge evaluate m" in page and page.count("data:image/") > 8
    assert "http://" not in page.replace("http://www.w3.org/", "") and "<script" not in page
    hidden = write_evaluation(tmp_path / "hidden", done.scores, Shown(done.shards, *sides, [], True))
    left_out = "These pictures are left out"
    assert left_out in hidden.page.read_text(encoding="utf-8") and left_out not in page


def test_a_folder_that_cannot_be_written(evaluated, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExpungeError, match="out: "):
        write_evaluation(tmp_path / "file" / "out", evaluated.scores, Shown(evaluated.shards, None, None, []))


def test_distances_between_named_features_say_so(tiny_model, other_model, store):
    settings = SMALL.model_copy(update={"features": "pixels", "quantities": ("frechet_distance", "cmmd")})
    found = evaluate(other_model, tiny_model, colour_case(), settings, store, progress=False).evaluation
    assert found.frechet_features.startswith("pixels 8×8, 192 features")
    assert set(found.rest) == {"frechet_distance", "cmmd"}
    notes = {row.label: row.note for row in retention_rows(found)}
    assert notes["FD"].endswith(f"; on {found.frechet_features}") and "pixels" not in notes["CMMD"]
    with pytest.raises(ExpungeError, match="inception_weights: nothing given"):
        wanting = SMALL.model_copy(update={"features": "inception"})
        evaluate(other_model, tiny_model, colour_case(), wanting, store, progress=False)


def in_words(*templates):
    world = WORLD.model_copy(update={"templates": {"train": list(templates), "held_out": list(templates)}})
    return colour_case(CAT).model_copy(update={"world": world})


def test_target_prompts_that_are_cut_off_are_refused_and_others_are_warned_of(tiny_model, other_model, store):
    """The tiny text encoder reads 94 tokens; words it does not know are spelt, letter by letter."""
    filling = "a " * 94
    settings = SMALL.model_copy(update={"wording_pictures": 0, "composition_pictures": 0})
    with pytest.raises(ExpungeError, match=r"world: (\d+) of \1 prompts for 'cat' are cut off before .* a a .*cat"):
        evaluate(other_model, tiny_model, in_words(filling + "{subject} {style}"), settings, store, progress=False)
    case = in_words("{subject} {style} " + filling)
    warnings = evaluate(other_model, tiny_model, case, settings, store, progress=False).scores.result.warnings
    assert any("are not read to the end, e.g. “" in warning for warning in warnings)


def test_prompts_that_clip_cuts_off_are_warned_of_and_not_scored(tiny_model, other_model, store, monkeypatch):
    case = colour_case(CAT)
    whole = evaluate(other_model, tiny_model, case, SMALL, store, progress=False)
    monkeypatch.setattr(case.panel().clip, "cut_off", lambda texts: ["blob manner" in text for text in texts])
    done = evaluate(other_model, tiny_model, case, SMALL, store, progress=False)
    assert any(warning.startswith("CLIP does not read") for warning in done.scores.result.warnings)
    pictures, rest = done.scores.pictures, done.evaluation.rest
    cut = pictures.prompt.str.contains("blob manner")
    assert cut.any()
    assert (pictures.alignment_after.isna() == cut).all() and (pictures.alignment_before.isna() == cut).all()
    assert rest["alignment_held_out"].after.samples < whole.evaluation.rest["alignment_held_out"].after.samples
    assert rest["alignment_train"] == whole.evaluation.rest["alignment_train"]


def test_what_clip_never_reads_whole_is_no_evidence(tiny_model, other_model, store, monkeypatch):
    case = colour_case(CAT)
    monkeypatch.setattr(case.panel().clip, "cut_off", lambda texts: [text.endswith("manner") for text in texts])
    done = evaluate(other_model, tiny_model, case, SMALL, store, progress=False)
    assert "alignment_held_out" not in done.evaluation.rest and "alignment_train" in done.evaluation.rest
    conditions = {each.name: each for each in judge(done.evaluation, GateThresholds()).conditions}
    assert not conditions["alignment, held-out wordings drop"].passed


def test_levels_whose_sentences_clip_cuts_off_are_refused(tiny_model, other_model, store, monkeypatch):
    case = colour_case(CAT)
    monkeypatch.setattr(case.panel().clip, "cut_off", lambda texts: ["blob" in text for text in texts])
    with pytest.raises(ExpungeError, match="'colour-clip' does not read 20 of 60 sentences for style to the end"):
        evaluate(other_model, tiny_model, case, SMALL, store, progress=False)


def test_pictures_that_are_not_numbers_are_none(evaluated):
    assert np.isfinite([change.after.value for change in evaluated.evaluation.rest.values()]).all()
