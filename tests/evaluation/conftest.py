"""One small evaluation of two tiny models, judged by judges that look at the pixels."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from expunge.evaluation.evaluate_models import evaluate_models
from expunge.evaluation.plan import Shard
from expunge.evaluation.profile import EvaluationProfile
from expunge.evaluation.score import Question, Scores
from expunge.models.model_facts import ModelFacts
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_store import PictureStore
from expunge.prompts.target import Target
from expunge.takedown.request import Kind
from tests.metrics.colour_judges import WORLD, colour_panel
from tests.tiny import make_tiny_pipeline

CAT = Target(request_id="a", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
BLOB = Target(request_id="b", kind=Kind.STYLE, name="blob", factor="style", levels=("blob",))
SMALL = EvaluationProfile(
    held_out_pictures=14,
    train_pictures=12,
    target_pictures=5,
    wording_pictures=3,
    composition_pictures=4,
    shard_size=4,
    seed=5,
    drawing=DrawingSettings(steps=1, guidance=1),
)


@dataclass(frozen=True)
class Evaluated:
    """Everything that went in and came out."""

    question: Question
    model: StableDiffusion
    against: StableDiffusion
    store: PictureStore
    scores: Scores
    shards: list[Shard]

    def again(self, store: PictureStore) -> Scores:
        """The same evaluation on another store."""
        return evaluate_models(self.question, self.model, self.against, WORLD, colour_panel(), store, False)[0]


def question(model: StableDiffusion, against: StableDiffusion, *targets: Target) -> Question:
    facts = [
        ModelFacts(source=name, version="", digest=each.digest(), sampler=each.sampling())
        for name, each in (("m", model), ("a", against))
    ]
    return Question(*facts, targets, "colours", "colour panel", SMALL)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    return StableDiffusion.load(make_tiny_pipeline(tmp_path_factory.mktemp("other"), seed=1))


@pytest.fixture(scope="session")
def evaluated(tiny_model, other_model, tmp_path_factory) -> Evaluated:
    asked = question(other_model, tiny_model, CAT, BLOB)
    store = PictureStore(tmp_path_factory.mktemp("store"))
    scores, shards = evaluate_models(asked, other_model, tiny_model, WORLD, colour_panel(), store, progress=False)
    return Evaluated(asked, other_model, tiny_model, store, scores, shards)


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore(tmp_path / "pictures")
