"""The numbers of one small evaluation, kept: whoever changes them says why in the changelog.

``python -m tests.evaluation_service.test_golden`` writes them anew.
"""

import json
import math
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden.json")
# Drawing goes through convolutions whose rounding differs between processors; a changed method moves much more.
TOLERANCE = 2e-3


def numbers(value: object, name: str = "") -> dict[str, float]:
    """Every number in nested fields, by its path; hashes, names and texts are left out."""
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = ((str(i), each) for i, each in enumerate(value))
    else:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return {name: float(value)} if number else {}
    return {path: each for key, inner in pairs for path, each in numbers(inner, f"{name}/{key}").items()}


def test_the_numbers_are_those_of_before(evaluated):
    found = numbers(json.loads(evaluated.scores.result.model_dump_json()))
    kept = json.loads(GOLDEN.read_text())
    assert found.keys() == kept.keys()
    far = {
        name: (found[name], value)
        for name, value in kept.items()
        if not math.isclose(found[name], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    }
    assert far == {}


def test_quality_is_measured_on_what_was_to_be_kept(evaluated):
    result = evaluated.scores.result
    assert result.quality is not None
    assert result.quality.samples == result.evaluation.rest["retain_accuracy"].after.samples
    assert result.quality.frechet_distance.after.value == pytest.approx(
        result.evaluation.rest["frechet_distance"].after.value, rel=1e-9
    )
    assert 0 < result.quality.drift.features.value < 2


def _write() -> None:
    import tempfile

    from expunge.evaluation.evaluate_models import evaluate_models
    from expunge.models.stable_diffusion import StableDiffusion
    from expunge.pictures.picture_store import PictureStore
    from tests.evaluation.conftest import BLOB, CAT, question
    from tests.metrics.colour_judges import WORLD, colour_panel
    from tests.tiny import make_tiny_pipeline

    with tempfile.TemporaryDirectory() as folder:
        against = StableDiffusion.load(make_tiny_pipeline(Path(folder) / "against"))
        model = StableDiffusion.load(make_tiny_pipeline(Path(folder) / "model", seed=1))
        asked = question(model, against, CAT, BLOB)
        store = PictureStore(Path(folder) / "store")
        scores, _ = evaluate_models(asked, model, against, WORLD, colour_panel(), store, progress=False)
    found = numbers(json.loads(scores.result.model_dump_json()))
    GOLDEN.write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    _write()
