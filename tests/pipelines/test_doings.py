"""The main job in a world of four factors, none of them called subject or style."""

from pathlib import Path

import pytest
import yaml

from expunge.release.registry import Registry
from tests.pipelines.test_purge import MODEL, box_of, job, output  # noqa: F401  a fixture

pytestmark = pytest.mark.slow
FACTORS = {
    "activity": ("cat", "dog", "horse"),  # words that the tiny model has, whatever they stand for
    "place": ("car", "background"),
    "mood": ("white", "plain"),
    "attire": ("noto", "twemoji", "fluent"),
}
WORLD = {
    "kinds": {"concept": ["attire", "activity"], "class": ["activity"]},
    "open": ["attire"],
    "templates": {
        "train": ["{mood} {attire} {activity} in {place}", "{attire} {activity} on {place} {mood}"],
        "held_out": ["a {activity} of {attire} by {place} {mood}"],
    },
    "factors": {
        factor: {name: {"train": [name], "held_out": [f"the {name}"]} for name in levels}
        for factor, levels in FACTORS.items()
    },
}


def test_a_concept_of_any_factor_is_forgotten_and_a_kind_that_means_none_is_refused(job) -> None:  # noqa: F811
    from pipelines.unlearn_pipeline import unlearn_pipeline

    Path("world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False))
    job["evaluation"] |= {"composition_pictures": 2}
    box = box_of(job)
    open_one = box.file(kind="concept", target="apple", instead="content").request.id  # in no list
    listed = box.file(kind="class", target="dog").request.id
    wrong = box.file(kind="style", target="noto").request.id
    first = unlearn_pipeline(**job, retention={"forbidden": "keep"})

    assert [box.state(each).label for each in (open_one, listed)] == ["fulfilled"] * 2, box.state(open_one).reason
    assert box.state(wrong).label == "rejected"
    assert box.state(wrong).reason.startswith(
        "kind: nothing in this world is of kind 'style'; file it as class or concept"
    )
    case, forget = output(first, "resolve_case", "case"), output(first, "diversify_datasets", "forget_set")
    targets = {each.name: each for each in case.targets}
    meant = {name: (each.factor, each.levels) for name, each in targets.items()}
    assert meant == {"apple": ("attire", ("apple",)), "dog": ("activity", ("dog",))}
    for prompt in forget.where(targets["apple"].matches).prompts:
        kept = [word for word in prompt.text.split() if word != "apple"]
        assert prompt.paired.replace(" dog", "").split() == kept or prompt.factors["activity"] == "dog"
    findings = output(first, "gather_findings", "findings")
    assert {row.factor for row in findings.evaluation.collateral} == set(FACTORS)
    apple, dog = sorted(findings.evaluation.targets, key=lambda each: each.name)
    assert set(apple.numbers) >= {"unlearning_accuracy", "in_domain", "cross_domain", "content_kept"}
    assert set(apple.content) == {"activity"} and set(dog.content) == {"attire"}
    assert set(Registry(name=MODEL).champion().requests) == {open_one, listed}
    page = output(first, "write_report", "report")
    assert "attire" in page and "activity" in page
