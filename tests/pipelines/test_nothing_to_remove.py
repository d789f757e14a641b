"""The main job where the model does not draw what is asked for: of tiny models the judge finds horses alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.release.registry import Registry
from tests.pipelines.test_purge import MODEL, box_of, job, output  # noqa: F401  a fixture
from tests.steps.test_entrypoints import EASY, WORLD

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
    gate = EASY.model_copy(update={"drawn_before_at_least": 0.5, "minimum_retain_samples": 3})
    return job | {"gate": gate, "evaluation": job["evaluation"] | {"target_pictures": 24}}


def test_what_is_not_drawn_is_told_apart_and_the_others_go_on(strict, monkeypatch, capsys) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    drawn: list[tuple[str, tuple[str, ...], tuple[int, ...]]] = []
    draw = StableDiffusion.draw

    def watched(self: StableDiffusion, texts: list[str], seeds: list[int], **settings: Any) -> Any:
        drawn.append((self.digest(), tuple(texts), tuple(seeds)))
        return draw(self, texts, seeds, **settings)

    monkeypatch.setattr(StableDiffusion, "draw", watched)
    box = box_of(strict)
    cat, horse = (box.file(kind="object", target=name).request.id for name in ("cat", "horse"))
    run = unlearn_pipeline(**strict)

    assert "Nothing to remove, the model does not draw it: object-cat." in capsys.readouterr().out
    assert box.state(horse).label == "fulfilled", box.state(horse).reason
    state, base = box.state(cat), output(run, "load_base_model", "base_model_facts")
    assert state.label == "nothing to remove" and state.certificate is None
    assert (state.absence.source, state.absence.digest) == (strict["base_model"], base.digest)
    registry = Registry(name=MODEL)
    assert registry.champion().requests == (horse,) and box.champions.current().covers == (horse,)
    assert set(output(run, "gather_findings", "findings").lineage.requests) == {horse}
    retained = output(run, "diversify_datasets", "retain_set").prompts
    assert "cat" in {prompt.factors["subject"] for prompt in retained}  # it is no target, and was not forgotten
    assert len(drawn) == len(set(drawn)), "a picture was drawn twice"

    look = output(run, "look_for_targets", "look")
    assert [each.verdict for each in look.targets] == ["nothing to remove", "drawn"]
    _, *sections = str(output(run, "look_for_targets", "look_page")).split("<h3>")
    of_cat, of_horse = ((each.count("<img "), each.count("<img data-purged ")) for each in sections)
    assert of_cat == (12, 0) and of_horse == (12, 12)  # the horse was taken down, and the base draws it

    box.retry(cat)
    car = box.file(kind="object", target="car").request.id
    again = unlearn_pipeline(**strict)
    assert list(again.steps) == [*BEFORE, "purge_forbidden"]
    assert [box.state(each).label for each in (cat, horse, car)] == [
        "nothing to remove", "fulfilled", "nothing to remove",
    ]  # fmt: skip
    assert box.state(car).absence.version == 1 and box.state(car).absence.source == f"models:/{MODEL}/1"
    assert [each.id for each in output(again, "collect_takedowns", "takedowns").forgotten] == [horse]
    assert len(registry.history()) == len(box.champions.entries()) == 1


def test_with_none_left_the_run_ends_at_once_and_looks_once_only(strict, capsys) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    Path("world.yaml").write_text(yaml.safe_dump(WORLD | {"open": ["subject"]}, sort_keys=False))
    box = box_of(strict)
    unicorn = box.file(kind="object", target="unicorn").request.id
    for status in ("completed", "cached"):
        run = unlearn_pipeline(**strict)
        told = capsys.readouterr().out
        assert told.count("Nothing to remove, the model does not draw it: object-unicorn.") == 1
        assert list(run.steps) == [*BEFORE, "purge_forbidden"]
        assert str(run.steps["look_for_targets"].status) == status
        assert str(run.steps["close_absent"].status) == "completed"  # what moves requests is never taken from a cache
        assert box.state(unicorn).label == "nothing to remove" and box.state(unicorn).absence.version is None
        box.retry(unicorn)
    assert Registry(name=MODEL).history() == [] and box.champions.entries() == []
    moves = [event.status for event in box.state(unicorn).history]
    assert moves == ["claimed", "nothing to remove", "pending"] * 2
