"""Two runs at once, one of them killed now and then: nothing is lost, nothing crowned twice. 200 pairs: benchmarks."""

import uuid
from pathlib import Path

import pytest

from expunge.models.text_to_image import TextToImage
from tests.release.overlap import prepare, run_pair

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory, tiny_model: TextToImage) -> Path:
    return prepare(tmp_path_factory.mktemp("pairs"), tiny_model)


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "inboxes")
    request.getfixturevalue("s3_server")
    return f"s3://expunge/{uuid.uuid4().hex}"


@pytest.mark.parametrize("number", range(3))
def test_overlapping_runs_lose_nothing(
    blank: Path, tmp_path: Path, tiny_model: TextToImage, place: str, number: int
) -> None:
    counts = run_pair(blank, tmp_path / "home", f"{place}/{number}", tiny_model, number, killed=number % 2 == 1)
    wrong = (
        "lost updates", "double crownings", "not closed once", "not covered", "alias differs", "runs that failed",
    )  # fmt: skip
    assert {name: counts[name] for name in wrong} == dict.fromkeys(wrong, 0), counts
    assert counts["versions"] >= 1
