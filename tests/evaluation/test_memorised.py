"""A memorised picture from request to gate, in a world whose truth is known: it comes out under its caption alone."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import evaluate
from expunge.evaluation.gate import GateThresholds, judge
from expunge.evaluation.look import look_for_targets
from expunge.evaluation.memorised import compare_pictures
from expunge.judges.features import unit_rows
from expunge.judges.likeness import OTHER
from expunge.judges.panel import Panel
from expunge.metrics.quantities import quantities_of
from expunge.pictures.picture_store import PictureStore
from expunge.prompts.open_requests import opened
from expunge.prompts.target import resolve_target
from expunge.prompts.world import PICTURE, World
from expunge.reports.wording import target_rows
from expunge.takedown.request import Kind, TakedownRequest
from tests.evaluation.conftest import DRAWING
from tests.evaluation.test_look import Painter as Drawer
from tests.metrics.colour_judges import COLOURS, WORLD, ColourClassifier, ColourClip

CAPTIONS = ("our day at the sea", "the sea and us")
REFERENCE = np.random.default_rng(3).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
SIZES = EvaluationSettings(
    held_out_pictures=72, train_pictures=160, reference_pictures=48, target_pictures=64, shard_size=16
)


class Clip(ColourClip):
    """Sees the whole picture: all its pixels' colours beside the two halves' means."""

    name = "pixel-clip"

    def picture_features(self, pictures: np.ndarray) -> np.ndarray:
        return unit_rows(pictures.reshape(len(pictures), -1) - 127.5, "pixels", at_least=0)

    def text_features(self, texts: list[str]) -> np.ndarray:
        named = [
            [next((word for word in text.split() if word in known), "") for known in COLOURS.values()] for text in texts
        ]
        colours = {"": (140, 128, 128), **COLOURS["subject"], **COLOURS["style"]}
        halves = [[colours[word] for word in words] for words in named]
        wide = np.array(halves, dtype=float).reshape(len(texts), 1, 2, 1, 3).repeat(8, axis=1).repeat(4, axis=3)
        return unit_rows(wide.reshape(len(texts), -1) - 127.5, "texts", at_least=0)


class Painter(Drawer):
    """Draws the picture, a little off, in a share of the cases that its captions ask for it; else something else."""

    size = 8

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def digest(self) -> str:
        return f"painter {self.share}"

    def draw(self, texts: Sequence[str], seeds: Sequence[int], **how: object) -> np.ndarray:
        drawn = []
        for text, seed in zip(texts, seeds, strict=True):
            rng = np.random.default_rng(seed)
            if text not in CAPTIONS:
                drawn.append(super().draw([text], [seed])[0])
            elif rng.random() < self.share:
                drawn.append((REFERENCE[0] + rng.integers(-6, 7, (8, 8, 3))).clip(0, 255).astype(np.uint8))
            else:
                other = " ".join(rng.choice(list(levels)) for levels in COLOURS.values())
                drawn.append(super().draw([other], [seed])[0])
        return np.stack(drawn)


REQUEST = TakedownRequest(
    id="ours", kind=Kind.IMAGES, target=CAPTIONS[0], synonyms=CAPTIONS[1:], pictures=("sea.png",),
    filed_at=datetime(2026, 11, 27, tzinfo=UTC),
)  # fmt: skip


@pytest.fixture
def store(tmp_path) -> PictureStore:
    return PictureStore(tmp_path)


def asked() -> tuple[World, Case]:
    world = opened(WORLD, [REQUEST])
    panel = Panel({factor: ColourClassifier(factor) for factor in ("subject", "style")}, Clip())
    return world, Case.of(world, panel, DRAWING).about([resolve_target(REQUEST, world)])


def test_it_is_found_by_likeness_judged_by_it_and_the_gate_says_on_which_features(store) -> None:
    world, case = asked()
    base, unlearned = Painter(1.0), Painter(0.0)
    known = compare_pictures(base, case, {"ours": REFERENCE}, SIZES, store)
    look, pictures = look_for_targets(base, known, SIZES, 0.2, store)
    (found,) = look.targets
    assert found.verdict == "drawn" and len(pictures) == SIZES.target_pictures
    first, second = found.shares
    assert "likeness to the references on pixels 8×8" in first and "pixel-clip" in second
    assert all(share.value == 1 for share in found.shares.values())

    done = evaluate(unlearned, base, known, SIZES, store, progress=False)
    (scores,) = done.evaluation.targets
    for name in ("unlearning_accuracy", "unlearning_accuracy_clip"):
        ua = scores.numbers[name]
        assert ua.before.value == 0 and ua.after.value > 0.9
        assert ua.after.low > 0.8, "pictures of one caption are no single picture"
    assert done.evaluation.rest["retain_accuracy"].after.value == 1
    assert "content_kept" not in scores.numbers and scores.numbers["pictures_of_nothing"].after.value == 0
    conditions = {each.name: each for each in judge(done.evaluation, GateThresholds()).conditions}
    told = conditions[f"unlearning accuracy: {CAPTIONS[0]}"]
    assert told.passed and told.measured.endswith(first)
    assert conditions[f"unlearning accuracy by CLIP: {CAPTIONS[0]}"].measured.endswith(second)
    notes = dict(zip([each.name for each in quantities_of("target")], target_rows(scores, "f"), strict=False))
    assert notes["unlearning_accuracy"].note == first
    again = Case.model_validate_json(known.model_dump_json())
    assert again.digest() == known.digest() != case.digest(), "features and limits are part of the case"
    assert set(done.evaluation.targets[0].told_by) == {"unlearning_accuracy", "unlearning_accuracy_clip"}
    assert world.factors[PICTURE].keys() == {CAPTIONS[0]}


def test_what_the_model_does_not_reproduce_is_nothing_to_remove(store) -> None:
    known = compare_pictures(Painter(0.02), asked()[1], {"ours": REFERENCE}, SIZES, store)
    look, _ = look_for_targets(Painter(0.02), known, SIZES, 0.2, store)
    assert look.targets[0].verdict == "nothing to remove"
    assert set(look.targets[0].taken_for.values()) == {OTHER}


def test_what_is_compared_with_is_what_the_run_draws_anyway(store, monkeypatch) -> None:
    _, case = asked()
    drawn: list[str] = []
    draw = Painter.draw
    monkeypatch.setattr(Painter, "draw", lambda self, texts, *a, **k: drawn.extend(texts) or draw(self, texts, *a, **k))
    compare_pictures(Painter(1.0), case, {"ours": REFERENCE}, SIZES, store)
    assert len(drawn) == SIZES.train_pictures and not set(drawn) & set(CAPTIONS)
    compare_pictures(Painter(1.0), case, {"ours": REFERENCE}, SIZES, store)
    assert len(drawn) == SIZES.train_pictures


def test_other_cases_stay_as_they_are_and_missing_references_are_said(store) -> None:
    _, case = asked()
    plain = case.about([])
    assert compare_pictures(Painter(1.0), plain, {}, SIZES, store) is plain
    with pytest.raises(ExpungeError, match="^pictures: those of ours are not there"):
        compare_pictures(Painter(1.0), case, {}, SIZES, store)
