"""The main job where the model does not draw what is asked for, by a judge that finds one thing in all pictures."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.release.registry import Registry
from tests.pipelines.test_purge import MODEL, box_of, job, output  # noqa: F401  a fixture
from tests.steps.test_entrypoints import EASY, WORLD
from tests.tiny_job import told_apart

pytestmark = pytest.mark.slow
BEFORE = [
    "collect_takedowns",
    "finish_takedowns",
    "resolve_case",
    "load_base_model",
    "look_for_targets",
    "close_absent",
]


@pytest.fixture
def strict(job: dict[str, Any]) -> dict[str, Any]:  # noqa: F811
    """The job with a gate that asks for targets that are drawn, and with pictures enough to tell."""
    gate = EASY.model_copy(
        update={"drawn_before_at_least": 0.5, "nothing_to_remove_below": 0.5, "minimum_retain_samples": 3}
    )
    return job | {"gate": gate, "evaluation": job["evaluation"] | {"target_pictures": 24}}


def test_what_is_not_drawn_is_told_apart_and_the_others_go_on(strict, monkeypatch, capsys) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    subjects = WORLD["factors"]["subject"]
    seen, unseen = told_apart(strict, subjects)
    drawn: list[tuple[str, tuple[str, ...], tuple[int, ...]]] = []
    draw = StableDiffusion.draw

    def watched(self: StableDiffusion, texts: list[str], seeds: list[int], **settings: Any) -> Any:
        drawn.append((self.digest(), tuple(texts), tuple(seeds)))
        return draw(self, texts, seeds, **settings)

    monkeypatch.setattr(StableDiffusion, "draw", watched)
    box = box_of(strict)
    absent, there = (box.file(kind="object", target=name).request.id for name in (unseen, seen))
    run = unlearn_pipeline(**strict)

    assert f"Nothing to remove, the model does not draw it: {absent}." in capsys.readouterr().out
    assert box.state(there).label == "fulfilled", box.state(there).reason
    state, base = box.state(absent), output(run, "load_base_model", "base_model_facts")
    assert state.label == "nothing to remove" and state.certificate is None
    assert (state.absence.source, state.absence.digest) == (strict["base_model"], base.digest)
    registry = Registry(name=MODEL)
    assert registry.champion().requests == (there,) and box.champions.current().adds == (there,)
    assert set(output(run, "gather_findings", "findings").lineage.requests) == {there}
    retained = output(run, "diversify_datasets", "retain_set").prompts
    assert unseen in {prompt.factors["subject"] for prompt in retained}  # it is no target, and was not forgotten
    assert len(drawn) == len(set(drawn)), "a picture was drawn twice"

    look = output(run, "look_for_targets", "look")
    assert {each.name: each.verdict for each in look.targets} == {unseen: "nothing to remove", seen: "drawn"}
    _, *sections = str(output(run, "look_for_targets", "look_page")).split("<h3>")
    left = {each.split("“")[1].split("”")[0]: each.count("<img ") - each.count("<img data-purged") for each in sections}
    assert left == {unseen: 12, seen: 0}  # the one was taken down, and the base draws it

    box.retry(absent)
    third = next(name for name in subjects if name not in (seen, unseen))
    other = box.file(kind="object", target=third).request.id
    again = unlearn_pipeline(**strict)
    assert list(again.steps) == [*BEFORE, "purge_forbidden"]
    assert [box.state(each).label for each in (absent, there, other)] == [
        "nothing to remove", "fulfilled", "nothing to remove",
    ]  # fmt: skip
    assert box.state(other).absence.version == 1 and box.state(other).absence.source == f"models:/{MODEL}/1"
    assert [each.id for each in output(again, "collect_takedowns", "takedowns").forgotten] == [there]
    assert len(registry.history()) == len(box.champions.entries()) == 1


def test_with_none_left_the_run_ends_at_once_and_looks_once_only(strict, capsys) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    Path("world.yaml").write_text(yaml.safe_dump(WORLD | {"open": ["subject"]}, sort_keys=False))
    box = box_of(strict)
    _, unlisted = told_apart(strict, ["unicorn", "zebra", "tree", "rocket", "moon", "boat"])
    absent = box.file(kind="object", target=unlisted).request.id
    for status in ("completed", "cached"):
        run = unlearn_pipeline(**strict)
        told = capsys.readouterr().out
        assert told.count(f"Nothing to remove, the model does not draw it: {absent}.") == 1
        assert list(run.steps) == [*BEFORE, "purge_forbidden"]
        assert str(run.steps["look_for_targets"].status) == status
        assert str(run.steps["close_absent"].status) == "completed"  # what moves requests is never taken from a cache
        assert box.state(absent).label == "nothing to remove" and box.state(absent).absence.version is None
        box.retry(absent)
    assert Registry(name=MODEL).history() == [] and box.champions.entries() == []
    moves = [event.status for event in box.state(absent).history]
    assert moves == ["claimed", "nothing to remove", "pending"] * 2
