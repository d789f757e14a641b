"""One small evaluation of two tiny models, judged by the pixels; and pictures whose truth is known."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from expunge.case import Case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import Evaluated, evaluate
from expunge.evaluation.plan import paired, plan_evaluation
from expunge.evaluation.score import Judged, Scores, score
from expunge.judges.judged import judge_pictures
from expunge.judges.panel import Panel
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.models.model_facts import ModelFacts
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.picture_store import PictureStore
from expunge.prompts.target import Target
from expunge.takedown.request import Kind
from tests.metrics.colour_judges import WORLD, colour_panel, draw
from tests.tiny import make_tiny_pipeline

CAT = Target(request_id="a", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
DOG = Target(request_id="c", kind=Kind.OBJECT, name="dog", factor="subject", levels=("dog",))
BLOB = Target(request_id="b", kind=Kind.STYLE, name="blob", factor="style", levels=("blob",))
DRAWING = DrawingSettings(steps=1, guidance=1)
SMALL = EvaluationSettings(
    held_out_pictures=14,
    train_pictures=12,
    reference_pictures=13,
    target_pictures=9,
    earlier_pictures=6,
    wording_pictures=3,
    composition_pictures=4,
    shard_size=4,
    seed=5,
    train_seed=5,
)


def colour_case(*targets: Target, forgotten: Sequence[Target] = (), panel: Panel | None = None) -> Case:
    return Case.of(WORLD, panel or colour_panel(), DRAWING, "colours").about(targets, forgotten)


def scored(
    case: Case, settings: EvaluationSettings = SMALL, instead: dict[str, str] | None = None, noise: int = 0
) -> Scores:
    """Scores of a model that draws what is asked, and then ``instead``; ``noise`` is another one's seed."""
    shards, panel = plan_evaluation(case, settings), case.panel()

    def judged(asked, instead, noise):
        drawn = [draw(list(shard.prompts), seed=noise + i, instead=instead) for i, shard in enumerate(asked)]
        sets = [PictureSet(s.prompts, s.seeds, d.pictures) for s, d in zip(asked, drawn, strict=True)]
        return [judge_pictures(each, panel) for each in sets]

    facts = [ModelFacts(source=name, version="", digest=name, sampler="DDIM") for name in ("m", "a")]
    both = Judged(shards, judged(shards, None, 0), judged(paired(shards), instead, noise))
    return score(case, settings, both, *facts)


def load_tiny(folder: Path, seed: int) -> StableDiffusion:
    """A tiny model that reads the prompts of ``WORLD`` to the end, though it has to spell most words."""
    return StableDiffusion.load(make_tiny_pipeline(folder, seed, context=96))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    return load_tiny(tmp_path_factory.mktemp("tiny"), 0)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    return load_tiny(tmp_path_factory.mktemp("other"), 1)


@pytest.fixture(scope="session")
def evaluated(tiny_model, other_model, tmp_path_factory) -> Evaluated:
    store = PictureStore(tmp_path_factory.mktemp("store"))
    return evaluate(other_model, tiny_model, colour_case(CAT, BLOB, forgotten=[DOG]), SMALL, store, progress=False)


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore(tmp_path / "pictures")
