"""Takedowns in a row: each on the last model, nothing forgotten retained, everything measured, nothing done twice."""

import json
import shutil

import pytest

from expunge.benchmark import sequence as run
from expunge.benchmark.sequence import kept_model, run_sequence
from expunge.benchmark.sequence_settings import SequentialSettings, targets_of
from expunge.errors import ExpungeError
from tests.benchmark.sequence.conftest import colour_case, small
from tests.metrics.colour_judges import WORLD

NAMES = ["cat", "blob", "apple"]


def again(model, folder, settings=None):
    return run_sequence(model, colour_case(), settings or small(), folder)


def test_each_round_starts_from_what_the_last_one_left(rounds, tiny_model, folder):
    assert [each.target.name for each in rounds] == NAMES
    assert [each.before for each in rounds] == [tiny_model.digest(), rounds[0].after, rounds[1].after]
    assert len({tiny_model.digest(), *(each.after for each in rounds)}) == 4
    models = [kept_model(folder / f"round-{each.number:02d}", each) for each in rounds]
    assert [model.digest() for model in models] == [each.after for each in rounds]


def test_all_targets_are_measured_after_every_round_on_the_same_pictures(rounds):
    for done in rounds:
        assert [each.name for each in done.evaluation.targets] == NAMES
        assert done.evaluation.rest["retain_accuracy"].before == rounds[0].evaluation.rest["retain_accuracy"].before
        for scores in done.evaluation.targets:
            verdicts = done.verdicts[scores.name]
            assert verdicts.texts == rounds[0].verdicts[scores.name].texts and len(verdicts.texts) >= 4
            assert scores.numbers["unlearning_accuracy"].after.value == sum(verdicts.absent) / len(verdicts.absent)


def test_a_round_retains_what_the_first_model_draws_and_nothing_that_was_forgotten(
    rounds, tiny_model, tmp_path, monkeypatch
):
    seen = []
    diversify = run.diversify

    def watched(model, *arguments, first):
        sets = diversify(model, *arguments, first=first)
        seen.append((model.digest(), first.digest(), sets.retain))
        return sets

    monkeypatch.setattr(run, "diversify", watched)
    assert [each.after for each in again(tiny_model, tmp_path)] == [each.after for each in rounds]
    targets = targets_of(small(), WORLD)
    for number, (digest, first, retain) in enumerate(seen):
        assert digest == rounds[number].before and first == rounds[0].before
        assert len(retain) and not any(
            target.matches(prompt) for target in targets[: number + 1] for prompt in retain.prompts
        )
    assert any(targets[2].matches(prompt) for prompt in seen[1][2].prompts)  # still to come: still retained


def test_finished_rounds_are_not_done_again(rounds, tiny_model, folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "round-03.json").unlink()
    took_up = again(tiny_model, tmp_path / "copy")
    assert took_up[:2] == rounds[:2] and took_up[2].after == rounds[2].after
    assert took_up[2].evaluation == rounds[2].evaluation

    def refuse(*_, **__):
        raise AssertionError("done again")

    for work in ("forget_next", "measure"):
        monkeypatch.setattr(run, work, refuse)
    assert again(tiny_model, folder) == rounds


def test_a_folder_of_another_sequence_is_refused(rounds, tiny_model, folder):
    with pytest.raises(ExpungeError, match="another format, model or settings; name another folder"):
        again(tiny_model, folder, small(targets=["object:cat", "object:dog"]))


def test_a_damaged_round_says_what_to_remove(rounds, tiny_model, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    facts = tmp_path / "copy" / "round-02.json"
    whole = json.loads(facts.read_text())
    facts.write_text(facts.read_text()[:200])
    with pytest.raises(ExpungeError, match="is damaged .* remove the file"):
        again(tiny_model, tmp_path / "copy")
    whole["result"]["after"] = "0" * 64
    facts.write_text(json.dumps(whole))
    with pytest.raises(ExpungeError, match="another model than round 2 left"):
        again(tiny_model, tmp_path / "copy")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["cat"], "write KIND:NAME"),
        (["object:zebra"], "no object called 'zebra'"),
        (["object:cat", "object:nice cat"], "give each once"),
        (["style:noto", "style:blob", "style:flat"], "all that the model draws of 'style'"),
    ],
)
def test_targets_that_make_no_sequence(targets, message):
    with pytest.raises(ExpungeError, match=message):
        targets_of(small(targets=targets), WORLD)


def test_the_default_is_ten_targets_of_the_zoo():
    from expunge.prompts.load_world import load_world

    targets = targets_of(SequentialSettings(), load_world("zoo"))
    assert [each.factor for each in targets].count("subject") == 8
    assert [each.factor for each in targets].count("style") == 2
