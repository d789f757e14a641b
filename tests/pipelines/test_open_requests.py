"""The main job on what the world does not list: filed in words, forgotten, and kept forgotten by the next run."""

from pathlib import Path

import pytest
import yaml

from expunge.release.registry import Registry
from tests.pipelines.test_purge import MODEL, box_of, job, output  # noqa: F401  a fixture
from tests.steps.test_entrypoints import WORLD

pytestmark = pytest.mark.slow


def test_a_name_that_no_world_lists_is_forgotten_and_stays_so(job) -> None:  # noqa: F811
    from pipelines.unlearn_pipeline import unlearn_pipeline

    Path("world.yaml").write_text(yaml.safe_dump(WORLD | {"open": ["subject"]}, sort_keys=False))
    box = box_of(job)
    zebra = box.file(kind="object", target="zebra", synonyms=["striped horse"]).request.id
    first = unlearn_pipeline(**job, retention={"forbidden": "keep"})
    assert box.state(zebra).label == "fulfilled", box.state(zebra).reason
    case, forget = output(first, "resolve_case", "case"), output(first, "diversify_datasets", "forget_set")
    assert case.targets[0].levels == ("zebra",)
    assert all("zebra" in prompt.text for prompt in forget.prompts if case.targets[0].matches(prompt))
    assert set(case.world.factors["subject"]) == {*WORLD["factors"]["subject"], "zebra"}

    dog = box.file(kind="object", target="dog").request.id
    second = unlearn_pipeline(**job, retention={"forbidden": "keep"})
    assert box.state(dog).label == "fulfilled", box.state(dog).reason
    retained = output(second, "diversify_datasets", "retain_set").prompts
    assert retained and not any(prompt.factors.get("subject") == "dog" for prompt in retained)
    in_place = [prompt for prompt in retained if prompt.factors.get("subject") == "zebra"]
    assert all(prompt.paired and "zebra" not in prompt.paired for prompt in in_place)
    assert Registry(name=MODEL).champion().requests == (dog,)
