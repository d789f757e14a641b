"""Forget and retain sets, drawn by a tiny model and judged by judges that look at the pixels."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.judges.compare import see_references
from expunge.judges.neighbouring_levels import neighbouring_levels
from expunge.pictures.drawing import DrawingSettings, draw_over_world, draw_prompts
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.open_requests import opened
from expunge.prompts.target import Target, resolve_target
from expunge.takedown.request import Kind, TakedownRequest
from expunge.unlearning.diversification import Datasets, diversify
from expunge.unlearning.job import shown_anchors
from expunge.unlearning.unlearn_settings import DiversificationSettings
from tests.metrics.colour_judges import WORLD, colour_panel

DRAWING = DrawingSettings(steps=1, guidance=1)
SMALL = DiversificationSettings(pool_per_stratum=1, forget_size=8, paired_size=5, neighbours=2)
CAT = Target(request_id="object-cat", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
BLOB = Target(request_id="style-blob", kind=Kind.STYLE, name="blob", factor="style", levels=("blob",))
REFERENCES = np.full((3, 32, 32, 3), 200, np.uint8)


@pytest.fixture(scope="module")
def pool(tiny_model) -> PictureSet:
    return draw_over_world(tiny_model, WORLD, "train", 1, 0, DRAWING)


def build(model, pool, targets=(CAT, BLOB), settings=SMALL, references=None) -> Datasets:
    return diversify(model, pool, case_of(*targets), settings, references)


def case_of(*targets: Target, forgotten: tuple[Target, ...] = ()) -> Case:
    return Case.of(WORLD, colour_panel(), DRAWING).about(targets, forgotten)


@pytest.fixture(scope="module")
def datasets(tiny_model, pool) -> Datasets:
    return build(tiny_model, pool, references={"object-cat": REFERENCES})


def test_the_pool_covers_the_grid_and_depends_on_the_seed_alone(tiny_model, pool):
    assert [prompt.stratum for prompt in pool.prompts] == ["/".join(each.values()) for each in WORLD.strata()]
    assert draw_over_world(tiny_model, WORLD, "train", 1, 0, DRAWING).digest() == pool.digest()
    assert draw_over_world(tiny_model, WORLD, "train", 1, 1, DRAWING).seeds != pool.seeds
    held_out = draw_over_world(tiny_model, WORLD, "held_out", 1, 0, DRAWING)
    assert {prompt.side for prompt in held_out.prompts} == {"held_out"} and held_out.seeds != pool.seeds
    assert len(set(pool.seeds)) == len(pool)


def test_the_forget_set_asks_for_a_target_and_for_each_often_enough(datasets):
    assert all(CAT.matches(prompt) or BLOB.matches(prompt) for prompt in datasets.forget.prompts)
    for target in (CAT, BLOB):
        asked = datasets.forget.where(target.matches)
        assert len(asked) >= SMALL.forget_size
        other = "style" if target.factor == "subject" else "subject"
        assert {prompt.factors[other] for prompt in asked.prompts} == set(WORLD.factors[other])


def test_every_forget_prompt_has_its_sentence_without_any_target(datasets):
    told = {wording for target in (CAT, BLOB) for wording in told_by(target)}
    for prompt in datasets.forget.prompts:
        said = " ".join(prompt.paired.split())
        assert said and said != prompt.text
        assert not any(re.search(rf"\b{re.escape(wording)}\b", said) for wording in told)
        kept = [word for name, word in prompt.words.items() if prompt.factors[name] not in ("cat", "blob")]
        assert all(word in said for word in kept)
    assert all(prompt.paired is None for prompt in datasets.retain.prompts)
    pairs = {prompt.text for prompt in datasets.retain.prompts}
    assert len([prompt for prompt in datasets.forget.prompts if prompt.paired in pairs]) >= SMALL.paired_size


def told_by(target: Target) -> list[str]:
    return [wording for name in target.levels for wording in WORLD.factors[target.factor][name].train or [name]]


def test_the_retain_set_never_asks_for_a_target(datasets):
    assert not any(CAT.matches(prompt) or BLOB.matches(prompt) for prompt in datasets.retain.prompts)
    assert {prompt.side for prompt in (*datasets.retain.prompts, *datasets.forget.prompts)} == {"train"}


def test_the_retain_set_holds_all_that_stays_of_the_pool_and_the_nearest_neighbours(tiny_model, pool, datasets):
    stays = pool.where(lambda prompt: not (CAT.matches(prompt) or BLOB.matches(prompt)))
    assert datasets.retain.select(range(len(stays))).digest() == stays.digest()
    pairs = datasets.retain.select(range(len(stays), len(datasets.retain)))
    assert 0 < len(pairs) <= 2 * SMALL.paired_size
    panel = colour_panel()
    for target in (CAT, BLOB):
        nearest = neighbouring_levels(target, [CAT, BLOB], WORLD, panel)
        assert nearest[0] in {prompt.factors[target.factor] for prompt in pairs.prompts}
        told = datasets.facts.set_index("set").loc[f"in place of {target.name}", "value"]
        assert told == ", ".join(nearest[: SMALL.neighbours])


def test_neighbours_are_the_likest_and_no_targets():
    panel = colour_panel()
    cosines = panel.clip.text_features(list(WORLD.factors["subject"])) @ panel.clip.text_features(["cat"])[0]
    likest = sorted(WORLD.factors["subject"], key=dict(zip(WORLD.factors["subject"], -cosines, strict=True)).get)
    assert likest[0] == "cat"
    others = sorted(likest[1:], key=lambda name: WORLD.factors["subject"][name].group != "animal")
    assert others[0] == "dog" and neighbouring_levels(CAT, [CAT, BLOB], WORLD, panel) == others
    other = CAT.model_copy(update={"levels": ("dog",)})
    assert neighbouring_levels(CAT, [CAT, other], WORLD, panel) == likest_without(likest, "cat", "dog")


def likest_without(likest: list[str], *names: str) -> list[str]:
    return [each for each in likest if each not in names]


@pytest.mark.parametrize(
    ("instead", "told"), [("neighbour:apple", "apple"), ("content", "content"), ("nothing", "nothing")]
)
def test_a_request_says_what_is_drawn_in_its_place(tiny_model, pool, instead, told):
    wanted = CAT.model_copy(update={"instead": instead})
    sets = build(tiny_model, pool, (wanted,))
    assert sets.facts.set_index("set").loc["in place of cat", "value"] == told
    for prompt in sets.forget.prompts:
        if told == "apple":
            assert "apple" in prompt.paired
        elif told == "content":
            assert prompt.paired.split() == prompt.text.replace(prompt.words["subject"], "").split()
        else:
            assert prompt.paired == ""
    shown = shown_anchors(sets.forget, sets.retain)
    assert len(shown) >= SMALL.paired_size and {prompt.text for prompt in shown.prompts} <= {
        prompt.text for prompt in sets.forget.prompts
    }
    assert all(CAT.matches(prompt) for prompt in shown.prompts)


def test_what_was_forgotten_before_is_not_retained(tiny_model, pool):
    panel = colour_panel()
    plain = SMALL.model_copy(update={"held_pictures": 0})
    sets = diversify(tiny_model, pool, case_of(CAT, forgotten=(BLOB,)), plain)
    assert not any(CAT.matches(prompt) or BLOB.matches(prompt) for prompt in sets.retain.prompts)
    assert not any("blob" in prompt.paired.split() for prompt in sets.forget.prompts)
    dog = CAT.model_copy(update={"request_id": "object-dog", "name": "dog", "levels": ("dog",)})
    sets = diversify(tiny_model, pool, case_of(CAT, forgotten=(dog,)), plain)
    assert {prompt.factors["subject"] for prompt in sets.retain.prompts} == {"apple", "pear"}
    told = sets.facts.set_index("set").loc["in place of cat", "value"]
    assert told == ", ".join(neighbouring_levels(CAT, [CAT, dog], WORLD, panel)[: SMALL.neighbours])


def test_what_is_drawn_in_place_of_earlier_targets_is_retained(tiny_model, pool):
    panel = colour_panel()
    sets = diversify(tiny_model, pool, case_of(CAT, forgotten=(BLOB,)), SMALL)
    held = sets.retain.where(BLOB.matches)
    assert 0 < len(held) <= SMALL.held_pictures
    assert not any(CAT.matches(prompt) for prompt in held.prompts)
    assert "blob" not in panel.classifiers["style"].recognise(held.pictures)
    assert all("blob" not in prompt.paired.split() for prompt in held.prompts)
    others = sets.retain.where(lambda prompt: not BLOB.matches(prompt))
    assert all(prompt.paired == prompt.text for prompt in others.prompts)
    again = draw_prompts(tiny_model, held.prompts, held.seeds, DRAWING)
    assert abs(again.pictures.astype(int) - held.pictures).max() <= 1


def test_reference_pictures_join_the_forget_set_under_prompts_of_their_target(tiny_model, pool, datasets):
    bare = build(tiny_model, pool)
    assert len(datasets.forget) == len(bare.forget) + len(REFERENCES)
    theirs = [i for i, picture in enumerate(datasets.forget.pictures) if (picture == 200).all()]
    assert len(theirs) == 3 and all(CAT.matches(datasets.forget.prompts[i]) for i in theirs)
    assert bare.retain.digest() == datasets.retain.digest()


def test_the_same_settings_give_the_same_sets(tiny_model, pool, datasets):
    again = build(tiny_model, pool, references={"object-cat": REFERENCES})
    assert (again.forget.digest(), again.retain.digest()) == (
        datasets.forget.digest(),
        datasets.retain.digest(),
    )
    other = build(tiny_model, pool, settings=SMALL.model_copy(update={"seed": 1}))
    assert other.retain.digest() != datasets.retain.digest()


def test_diversity_is_told_beside_the_sets(datasets):
    facts = datasets.facts.set_index("set")["value"]
    for name, pictures in (("forget", datasets.forget), ("retain", datasets.retain)):
        assert int(facts[f"{name}: pictures"]) == len(pictures)
        assert 0 <= float(facts[f"{name}: mean pairwise CLIP distance"]) <= 2
        assert 1 <= float(facts[f"{name}: Vendi score"]) <= len(pictures)


def test_a_single_forget_picture_whose_pairs_all_ask_for_another_target(tiny_model, pool):
    tiny = SMALL.model_copy(update={"forget_size": 1, "paired_size": 1})
    all_but_one = BLOB.model_copy(update={"levels": ("noto", "blob")})
    sets = build(tiny_model, pool, (CAT, all_but_one), tiny)
    assert not any(CAT.matches(prompt) or all_but_one.matches(prompt) for prompt in sets.retain.prompts)


def test_forgetting_all_of_a_factor_is_refused(tiny_model, pool):
    everything = BLOB.model_copy(update={"levels": tuple(WORLD.factors["style"])})
    with pytest.raises(ExpungeError, match="nothing could be retained"):
        build(tiny_model, pool, (everything,))


def test_a_memorised_picture_is_forgotten_from_its_references_for_a_sentence_without_its_words(tiny_model, pool):
    """In its place stands what CLIP finds nearest to the caption, of what does not ask for it by one of its words."""
    asked = TakedownRequest(
        id="ours",
        kind=Kind.IMAGES,
        target="flat cat asleep",
        pictures=("a.png",),
        filed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    world, reference = opened(WORLD, [asked]), REFERENCES[:1]
    case = Case.of(world, colour_panel(), DRAWING).about([resolve_target(asked, world)])
    known = case.shown(see_references(case.panel(), ("", ""), {"flat cat asleep": reference}, pool.pictures))
    sets = diversify(tiny_model, pool, known, SMALL.model_copy(update={"neighbours": 1}), {"ours": reference})
    assert {prompt.text for prompt in sets.forget.prompts} == {"flat cat asleep"}
    assert len(sets.forget) == SMALL.forget_size + 1 and (sets.forget.pictures[-1] == reference).all()
    (sentence,) = {prompt.paired for prompt in sets.forget.prompts}
    added = sets.retain.prompts[len(pool) :]
    (beside,) = {tuple(prompt.factors.values()) for prompt in added if not prompt.endangered}
    likeness = {
        stratum: float(colour_panel().clip.text_features([" ".join(stratum), "flat cat"]).prod(axis=0).sum())
        for stratum in (tuple(each.values()) for each in WORLD.strata())
        if "cat" not in stratum and "flat" not in stratum
    }
    assert likeness[beside] == max(likeness.values()) and "cat" not in sentence and "flat" not in sentence
    assert sets.retain.prompts[: len(pool)] == pool.prompts, "the same subject and style stay"
    assert sentence in sets.facts["value"].tolist()
    endangered = [prompt for prompt in added if prompt.endangered]
    assert 1 <= len(endangered) <= SMALL.paired_size
    assert all(
        {"cat", "flat"} & set(prompt.factors.values()) and prompt.stratum == prompt.text for prompt in endangered
    )
