"""Detectors named in a run's judges: found, asked before the classifier, and named with every number."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import evaluate
from expunge.evaluation.gate import GateThresholds, judge
from expunge.evaluation.look import look_for_targets
from expunge.judges.detectors import OTHER, DetectorJudge
from expunge.judges.load_panel import load_panel
from expunge.pictures.picture_store import PictureStore
from tests.conftest import ROOT
from tests.evaluation.conftest import CAT, DRAWING
from tests.evaluation.test_look import Painter
from tests.judges.dominant_colour import Red, Sleepy
from tests.metrics.colour_judges import COLOURS, WORLD, ColourClassifier, draw
from tests.tiny_clip import make_tiny_clip

SIZES = EvaluationSettings(
    held_out_pictures=72, train_pictures=48, reference_pictures=48, target_pictures=64, shard_size=16
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def plug_in(tmp_path, monkeypatch) -> Iterator[str]:
    """The name under which another package, installed in a folder, has the detector."""
    facts = tmp_path / "colours-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: colours\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[expunge.detectors]\nred = tests.judges.dominant_colour:Red\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "red"


class Sized(Painter):
    size = 8


def pictures_of(subject: str, count: int = 4) -> np.ndarray:
    prompt = WORLD.prompt({"subject": subject, "style": "noto"}, "train", random.Random(0))
    return draw([prompt] * count, seed=0).pictures


def test_its_word_goes_for_its_levels_and_the_classifiers_for_all_others() -> None:
    class Wrong(ColourClassifier):
        def recognise(self, pictures: np.ndarray) -> list[str]:
            return ["cat", "dog", "apple", "cat"]

    both = DetectorJudge("subject", {"cat": Red()}, Wrong("subject"))
    assert both.recognise(pictures_of("cat")) == ["cat"] * 4
    assert both.recognise(pictures_of("pear")) == [OTHER, "dog", "apple", OTHER]
    alone = DetectorJudge("subject", {"cat": Red()}, None)
    assert alone.recognise(np.concatenate([pictures_of("cat", 1), pictures_of("dog", 1)])) == ["cat", OTHER]
    assert alone.levels == ("cat",) and both.levels == tuple(COLOURS["subject"])
    assert alone.digest() != both.digest() and "dominant colour (red) for 'cat'" in both.name


def test_by_an_entry_point_it_judges_evaluation_look_and_gate(plug_in, clip, tmp_path) -> None:
    """Behind a CLIP with random weights: what it says of cats is the detector's, before and after limits are set."""
    panel = load_panel(f"local-dir:{clip} with {plug_in}", WORLD)
    plain = load_panel(f"local-dir:{clip}", WORLD)
    assert panel.digest() != plain.digest() and panel.one_judge
    case, store = Case.of(WORLD, panel, DRAWING).about([CAT]), PictureStore(tmp_path / "store")
    look, _ = look_for_targets(Sized(), case, SIZES, 0.2, store)
    ((by, share),) = look.targets[0].shares.items()
    assert by == "the detector dominant colour (red) for 'cat'" and share.value == 1
    assert look.targets[0].verdict == "drawn"
    gone, _ = look_for_targets(Sized(cat="dog"), case, SIZES, 0.9, store)
    assert gone.targets[0].verdict == "nothing to remove"

    done = evaluate(Sized(cat="dog"), Sized(), case, SIZES, store, progress=False)
    (scores,) = done.evaluation.targets
    ua = scores.numbers["unlearning_accuracy"]
    assert (ua.before.value, ua.after.value) == (0, 1)
    assert scores.told_by == {"unlearning_accuracy": by}
    (told,) = (each for each in judge(done.evaluation, GateThresholds()).conditions if each.name.startswith("unlearn"))
    assert told.passed and told.measured.endswith(by)
    others = done.scores.pictures.query("asked_subject != 'cat'")
    assert not (others["subject_before"] == "cat").any() and len(others) > 40


def test_a_dotted_name_will_do_and_none_concerned_is_no_error(clip) -> None:
    panel = load_panel(f"local-dir:{clip} with tests.judges.dominant_colour:Red", WORLD)
    assert isinstance(panel.classifiers["subject"], DetectorJudge) and panel.first is None
    assert panel.named("subject")[0] and panel.named("style") == ("", "")
    less = WORLD.factors | {"subject": {name: each for name, each in WORLD.factors["subject"].items() if name != "cat"}}
    other = load_panel(
        f"local-dir:{clip} with tests.judges.dominant_colour:Red", WORLD.model_copy(update={"factors": less})
    )
    assert not isinstance(other.classifiers["subject"], DetectorJudge)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "detectors: there is none called 'nothing'; known are"),
        ("tests.judges.nowhere:Red", "detectors: 'tests.judges.nowhere:Red' cannot be loaded .*PACKAGE.MODULE:NAME"),
        ("tests.judges.dominant_colour:Blue", "detectors: .* cannot be loaded .*Blue"),
    ],
)
def test_one_that_is_not_there_is_one_line(name, said, clip, plug_in) -> None:
    with pytest.raises(ExpungeError, match=f"^{said}"):
        load_panel(f"local-dir:{clip} with {name}", WORLD)


def test_one_that_drops_pictures_is_found_out() -> None:
    with pytest.raises(
        ExpungeError, match=r"^judges: the detector 'dominant colour \(red\)' gave 3 answers for 4 pict"
    ):
        DetectorJudge("subject", {"cat": Sleepy()}, None).recognise(pictures_of("cat"))


def test_nudenet_is_an_extra_and_says_so_where_it_is_missing(monkeypatch, clip) -> None:
    assert 'nudenet = "expunge.judges.nudenet_detector:NudeNet"' in (ROOT / "pyproject.toml").read_text()
    assert "nudenet" not in (ROOT / "requirements.in").read_text() + (ROOT / "requirements.lock").read_text()
    monkeypatch.setitem(sys.modules, "nudenet", None)
    with pytest.raises(ExpungeError) as error:
        load_panel(f"local-dir:{clip} with expunge.judges.nudenet_detector:NudeNet", WORLD)
    assert str(error.value) == (
        "judges: the detector 'nudenet' needs a package that is not installed: pip install 'expunge[nudenet]'. Mind "
        "its licence: the text that it brings is the AGPL-3.0."
    )


def test_nudenet_finds_nothing_in_pictures_of_nothing() -> None:
    pytest.importorskip("nudenet")
    from expunge.judges.nudenet_detector import NudeNet
    from expunge.judges.null_pictures import null_pictures

    detector = NudeNet()
    assert detector.detect(null_pictures(each=2)) == [False] * 16
    assert detector.name.startswith("nudenet (weights ") and detector.digest() == NudeNet().digest()
