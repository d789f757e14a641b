"""The main job on a memorised picture: found by likeness to what was sent, forgotten, told again by the next run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.plan import TARGET
from expunge.models.resolver import load_text_to_image
from expunge.pictures.shards import cut
from expunge.prompts.world import PICTURE, Prompt
from expunge.release.registry import Registry
from tests.pipelines.test_purge import MODEL, box_of, job, output  # noqa: F401  a fixture
from tests.steps.test_entrypoints import EASY

pytestmark = pytest.mark.slow
CAPTION, OTHER_CAPTION = "a cat on white", "the horse of noto"
CAPTION_PROMPT = Prompt(text=CAPTION, factors={PICTURE: CAPTION}, side="held_out", template=0)


def test_it_is_forgotten_from_its_references_and_one_that_never_was_there_is_told_apart(job) -> None:  # noqa: F811
    from pipelines.unlearn_pipeline import unlearn_pipeline

    job["gate"] = EASY.model_copy(update={"nothing_to_remove_below": 0.5, "minimum_retain_samples": 3})
    job["evaluation"] |= {"target_pictures": 24}
    model = load_text_to_image(job["base_model"])
    # What the job will draw itself: the tiny model's pictures follow from their noise, whatever is asked for.
    (asked,) = cut(TARGET, f"images:{CAPTION}", [CAPTION_PROMPT] * 24, EvaluationSettings().seed)
    shown = model.draw([CAPTION] * 24, asked.seeds, steps=1, guidance=1)
    files = [Path(f"shown-{i}.png") for i in range(len(shown))]
    for file, pixels in zip(files, shown, strict=True):
        Image.fromarray(pixels).save(file)
    strange = Path("strange.png")
    Image.fromarray((np.indices((32, 32)).sum(axis=0) % 2 * 255).astype(np.uint8)).convert("RGB").save(strange)
    box = box_of(job)
    ours = box.file(kind="images", target=CAPTION, pictures=files).request.id
    absent = box.file(kind="images", target=OTHER_CAPTION, pictures=[strange]).request.id
    first = unlearn_pipeline(**job, retention={"forbidden": "keep"})

    look = output(first, "look_for_targets", "look")
    assert {each.name: each.verdict for each in look.targets} == {CAPTION: "drawn", OTHER_CAPTION: "nothing to remove"}
    assert all("likeness to the references on" in judge for each in look.targets for judge in each.shares)
    assert box.state(absent).label == "nothing to remove"
    assert "likeness to the references on" in str(box.state(absent).absence)
    assert box.state(ours).label == "fulfilled", box.state(ours).reason
    findings, forget = output(first, "gather_findings", "findings"), output(first, "diversify_datasets", "forget_set")
    assert {prompt.text for prompt in forget.prompts} == {CAPTION}
    assert all((forget.pictures == reference).all(axis=(1, 2, 3)).any() for reference in shown)
    assert set(findings.evaluation.targets[0].told_by) >= {"unlearning_accuracy"}
    told = [each.measured for each in findings.decision.conditions if each.name.startswith("unlearning accuracy:")]
    assert "likeness to the references on" in told[0]
    assert "likeness to the references on" in output(first, "write_report", "report")
    assert Registry(name=MODEL).champion().requests == (ours,)

    dog = box.file(kind="object", target="dog").request.id
    second = unlearn_pipeline(**job | {"gate": job["gate"].model_copy(update={"nothing_to_remove_below": 0.0})})
    left = output(first, "diversify_datasets", "forget_set")
    assert len(forget) and not len(left), "what shows it is purged, told by its caption"
    assert box.state(dog).label == "fulfilled", box.state(dog).reason
    (earlier,) = output(second, "gather_findings", "findings").evaluation.earlier
    assert (earlier.name, earlier.kind) == (CAPTION, "images") and "unlearning_accuracy" in earlier.told_by
    retained = output(second, "diversify_datasets", "retain_set").prompts
    assert all(each.paired != CAPTION for each in retained if each.factors.get(PICTURE))
