"""The whole service on tiny models: pictures kept, numbers the same again, files written, nonsense named."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from expunge.errors import ExpungeError
from expunge.evaluation.evaluate_models import check_sizes, evaluate_models
from expunge.evaluation.score import score
from expunge.judges.judged import judge_pictures
from expunge.metrics.units import COSINE
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.compositions import COMPOSITIONS
from expunge.reports.evaluation_files import stored, write_evaluation
from expunge.reports.evaluation_tables import as_markdown, sections
from tests.evaluation.conftest import CAT, SMALL, question
from tests.metrics.colour_judges import WORLD, colour_panel, draw


def files(store):
    return sorted(store.folder.iterdir())


def test_the_same_evaluation_again_draws_nothing_and_says_the_same(evaluated, monkeypatch):
    kept = {path: path.stat().st_mtime_ns for path in files(evaluated.store)}
    assert len(kept) == 2 * len(evaluated.shards)

    def refuse(*_, **__):
        raise AssertionError("drawn again")

    monkeypatch.setattr(StableDiffusion, "draw", refuse)
    again = evaluated.again(evaluated.store)
    assert again.result == evaluated.scores.result
    pd.testing.assert_frame_equal(again.pictures, evaluated.scores.pictures)
    assert {path: path.stat().st_mtime_ns for path in files(evaluated.store)} == kept


def test_drawn_afresh_the_numbers_are_the_same_to_the_bit(evaluated, store):
    assert evaluated.again(store).result.model_dump_json() == evaluated.scores.result.model_dump_json()


def test_a_damaged_shard_is_drawn_again(evaluated, store):
    model, digest, shard = evaluated.model, evaluated.question.model.digest, evaluated.shards[0]
    drawn = store.pictures(model, digest, shard, SMALL.drawing)
    (path,) = files(store)
    path.write_bytes(path.read_bytes()[:100])
    assert store.find(digest, model.sampling(), shard, SMALL.drawing) is None
    again = store.pictures(model, digest, shard, SMALL.drawing)
    assert np.array_equal(again.pictures, drawn.pictures)
    assert store.find(digest, model.sampling(), shard, SMALL.drawing) is not None


def test_pictures_are_found_only_under_their_own_facts(evaluated):
    store, shard, digest = evaluated.store, evaluated.shards[0], evaluated.question.model.digest
    sampler = evaluated.model.sampling()
    assert store.find(digest, sampler, shard, SMALL.drawing) is not None
    assert store.find("0" * 64, sampler, shard, SMALL.drawing) is None
    assert store.find(digest, "Euler", shard, SMALL.drawing) is None
    assert store.find(digest, sampler, shard, SMALL.drawing.model_copy(update={"steps": 2})) is None
    reseeded = shard.model_copy(update={"seeds": tuple(seed + 1 for seed in shard.seeds)})
    assert store.find(digest, sampler, reseeded, SMALL.drawing) is None


def test_samples_are_those_of_the_plan(evaluated):
    result, table = evaluated.scores.result, evaluated.scores.pictures
    assert len(table) == sum(len(shard.prompts) for shard in evaluated.shards)
    held_out = table[table["part"].isin(["held_out", "target"])]
    for target, scores in zip(result.targets, result.evaluation.targets, strict=True):
        asked = held_out[held_out[f"asked_{target.factor}"].isin(target.levels)]
        assert scores.numbers["unlearning_accuracy"].after.samples == len(asked)
        found = asked[f"{target.factor}_after"].isin(target.levels).mean()
        assert scores.numbers["unlearning_accuracy"].after.value == pytest.approx(1 - found)


def test_numbers_of_judged_pictures_are_those_of_a_model_that_forgot(evaluated):
    """Pictures whose truth is known go through the same plan: cats are drawn as dogs, the rest stays."""
    shards, panel = evaluated.shards, colour_panel()
    asked = replace(evaluated.question, targets=(CAT,))
    shards = [shard for shard in shards if shard.target in ("", "object:cat")]

    def judged(instead):
        drawn = [draw(list(shard.prompts), seed=i, instead=instead) for i, shard in enumerate(shards)]
        sets = [PictureSet(s.prompts, s.seeds, d.pictures) for s, d in zip(shards, drawn, strict=True)]
        return [judge_pictures(each, panel) for each in sets]

    result = score(asked, shards, judged(None), judged({"cat": "dog"}), WORLD, panel).result
    (cat,) = result.evaluation.targets
    assert (cat.numbers["unlearning_accuracy"].before.value, cat.numbers["unlearning_accuracy"].after.value) == (0, 1)
    assert (
        result.evaluation.rest["retain_accuracy"].before.value
        == result.evaluation.rest["retain_accuracy"].after.value
        == 1
    )
    wordings = {each.group: each.unlearning_accuracy for each in result.wordings if each.unlearning_accuracy}
    assert wordings and all(change.after.value == 1 for change in wordings.values())


def test_scenes_that_were_not_touched_have_not_moved_and_redrawn_ones_have(evaluated):
    """Cats are drawn as dogs in both: nothing near changes. Then dogs are drawn as apples as well."""
    shards, panel = [shard for shard in evaluated.shards if shard.target in ("", "object:cat")], colour_panel()
    asked = replace(evaluated.question, targets=(CAT,))

    def judged(instead):
        drawn = [draw(list(shard.prompts), seed=i, instead=instead) for i, shard in enumerate(shards)]
        sets = [PictureSet(s.prompts, s.seeds, d.pictures) for s, d in zip(shards, drawn, strict=True)]
        return [judge_pictures(each, panel) for each in sets]

    spared, hurt = (
        {
            each.group: each
            for each in score(asked, shards, judged(None), judged(instead), WORLD, panel).result.compositions
        }
        for instead in ({"cat": "dog"}, {"cat": "dog", "dog": "apple"})
    )
    assert set(spared) == set(COMPOSITIONS) and spared["pairs"].alignment is None  # dogs are the only other animals
    for group in ("counts", "colours"):
        kept, lost = spared[group], hurt[group]
        assert kept.structure.value == 0 and kept.drift.value == pytest.approx(0, abs=1e-9)
        assert kept.alignment.difference.value == 0 and kept.alignment.after.samples == 4
        assert lost.structure.value > 0.1 and lost.drift.low > 0.1 and lost.alignment.difference.high < 0
        assert lost.alignment.before == kept.alignment.before
        assert lost.structure_name.endswith("at 32 pixels") and "dog" in lost.example.split()


def test_scenes_are_told_with_what_they_were_before(evaluated):
    result = evaluated.scores.result
    found = {caption: rows for caption, rows in sections(result) if caption.startswith("Scenes near")}
    assert len(found) == 2
    scene = next(each for each in result.compositions if each.target == "style:blob" and each.group == "pairs")
    row = next(row for row in found["Scenes near “blob”: alignment, and distance from the picture before"]
               if row.label == "AS, pairs")  # fmt: skip
    assert row.before == COSINE.value(scene.alignment.before.value) and COSINE.value(scene.single_alignment) in row.note
    missing = found["Scenes near “cat”: alignment, and distance from the picture before"][0]
    assert (missing.label, missing.after) == ("pairs", "not measured") and missing.note.startswith("none")
    assert "moved most" in as_markdown(result) and "| AS, pairs |" not in as_markdown(result).split("near “blob”")[0]


def test_rows_of_scenes_say_what_they_are_near_to_and_ask_for_no_target(evaluated):
    table = evaluated.scores.pictures
    scenes = table[table["part"].str.startswith("composition:")]
    assert len(scenes) and (scenes["target"] == "").all() and set(scenes["near"]) == {"object:cat", "style:blob"}
    assert (table[table["part"] == "target"]["near"] == "").all()


def test_judged_pictures_of_another_plan_are_refused(evaluated):
    panel = colour_panel()
    judged = [judge_pictures(draw(list(shard.prompts), seed=0), panel) for shard in evaluated.shards]
    with pytest.raises(ExpungeError, match="not those of the plan"):
        score(evaluated.question, evaluated.shards, judged[:-1], judged, WORLD, panel)


def test_nothing_can_differ_between_a_model_and_itself(tiny_model, store):
    asked = question(tiny_model, tiny_model, CAT)
    scores, _ = evaluate_models(asked, tiny_model, tiny_model, WORLD, colour_panel(), store, progress=False)
    assert "Both models have the same weights: nothing can differ." in scores.result.warnings
    assert scores.result.evaluation.rest["retain_accuracy"].difference.value == 0
    assert scores.result.evaluation.rest["frechet_distance"].difference.value == pytest.approx(0)


def test_models_of_two_sizes_are_not_compared(tiny_model):
    class Larger:
        size = 64

    with pytest.raises(ExpungeError, match="against: draws pictures of 64 pixels, the model of 32"):
        check_sizes(tiny_model, Larger())


def test_everything_is_written(evaluated, tmp_path):
    asked, store, shards = evaluated.question, evaluated.store, evaluated.shards
    before = stored(store, evaluated.against, asked.against.digest, shards, asked)
    after = stored(store, evaluated.model, asked.model.digest, shards, asked)
    written = write_evaluation(tmp_path / "out", evaluated.scores, shards, before, after, ["expunge evaluate m"])
    assert json.loads(written.result.read_text()) == evaluated.scores.result.model_dump(mode="json")
    assert len(pd.read_parquet(written.pictures)) == len(pd.read_csv(written.pictures_csv)) == len(
        evaluated.scores.pictures
    )  # fmt: skip
    assert "## Forgetting “cat”" in written.table.read_text()
    page = written.page.read_text()
    assert "expunge evaluate m" in page and page.count("data:image/") > 8
    assert "http://" not in page.replace("http://www.w3.org/", "") and "<script" not in page
    hidden = write_evaluation(tmp_path / "hidden", evaluated.scores, shards, before, after, [], True).page.read_text()
    assert "These pictures are left out of this page." in hidden and "These pictures are left out" not in page


def test_a_folder_that_cannot_be_written(evaluated, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExpungeError, match="out: "):
        write_evaluation(tmp_path / "file" / "out", evaluated.scores, evaluated.shards, None, None, [])
