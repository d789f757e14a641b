"""The numbers of one small evaluation, kept: whoever changes them says why in the changelog.

``python -m tests.evaluation.test_golden`` writes them anew.
"""

import json
import math
from pathlib import Path

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
    kept = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found.keys() == kept.keys()
    far = {
        name: (found[name], value)
        for name, value in kept.items()
        if not math.isclose(found[name], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    }
    assert far == {}


def _write() -> None:
    import tempfile

    from expunge.evaluation.evaluator import evaluate
    from expunge.pictures.picture_store import PictureStore
    from tests.evaluation.conftest import BLOB, CAT, DOG, SMALL, colour_case, load_tiny

    with tempfile.TemporaryDirectory() as folder:
        against, model = (load_tiny(Path(folder) / str(seed), seed) for seed in (0, 1))
        store, case = PictureStore(Path(folder) / "store"), colour_case(CAT, BLOB, forgotten=[DOG])
        result = evaluate(model, against, case, SMALL, store, progress=False).scores.result
    GOLDEN.write_text(json.dumps(numbers(json.loads(result.model_dump_json())), indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
