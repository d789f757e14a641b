"""One judge under two names is found out by what it says."""

import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from expunge.errors import ExpungeError
from expunge.judges.load_panel import load_panel
from expunge.judges.open_clip_judge import OpenClipJudge
from expunge.judges.same_judge import agreement, refuse_one_judge_twice
from tests.metrics.colour_judges import WORLD, ColourClip
from tests.tiny_clip import make_tiny_clip

TEXTS = ["cat", "dog", "apple", "pear", "noto"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A CLIP; a copy of it; a copy whose weights were rounded to half precision; another CLIP."""
    root = tmp_path_factory.mktemp("clips")
    one = make_tiny_clip(root / "one")
    copy, half = (shutil.copytree(one, root / name) for name in ("copy", "half"))
    weights = {name: value.half().float() if value.is_floating_point() else value
               for name, value in load_file(one / "open_clip_model.safetensors").items()}  # fmt: skip
    save_file(weights, half / "open_clip_model.safetensors")
    return {"one": one, "copy": copy, "half": half, "other": make_tiny_clip(root / "other", seed=1)}


@pytest.mark.parametrize("name", ["copy", "half"])
def test_one_judge_under_two_names_is_refused(folders, name):
    with pytest.raises(ExpungeError, match=r"one judge under two names \(their cosines correlate by (1\.000|0\.99)"):
        load_panel(f"local-dir:{folders['one']} + local-dir:{folders[name]}", WORLD)
    with pytest.raises(ExpungeError, match="one judge under two names"):
        load_panel(f"local-dir:{folders['one']} + local-dir:{folders['one']}", WORLD)


def test_two_judges_make_a_panel_of_two_opinions(folders):
    panel = load_panel(f"local-dir:{folders['one']} + local-dir:{folders['other']}", WORLD)
    assert not panel.one_judge and panel.first.name != panel.clip.name
    assert set(panel.classifiers) == {"subject", "style"} and set(panel.opinions) == set(WORLD.factors)
    assert all(each.clip is panel.first for each in panel.classifiers.values())
    assert all(each.clip is panel.clip for each in panel.opinions.values())
    alone = load_panel(f"local-dir:{folders['one']}", WORLD)
    assert alone.one_judge and alone.first is None
    assert len({panel.digest(), alone.digest(), load_panel(f"local-dir:{folders['other']}", WORLD).digest()}) == 3


def test_three_are_too_many(folders):
    with pytest.raises(ExpungeError, match="3 open_clip models given; at most 2"):
        load_panel(" + ".join(f"local-dir:{folders[name]}" for name in ("one", "other", "half")), WORLD)


def test_agreement_is_symmetric_and_one_with_itself(folders):
    one, other = (OpenClipJudge(f"local-dir:{folders[name]}") for name in ("one", "other"))
    assert agreement(one, one, TEXTS) == pytest.approx(1)
    assert agreement(one, other, TEXTS) == pytest.approx(agreement(other, one, TEXTS))
    assert abs(agreement(one, other, TEXTS)) < 0.9


def test_a_turned_space_hides_nothing():
    """Features turned by one rotation on both sides say the same of every picture and text."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]

    class Turned(ColourClip):
        name = "turned"

        def picture_features(self, pictures):
            return super().picture_features(pictures) @ turn

        def text_features(self, texts):
            return super().text_features(texts) @ turn

    with pytest.raises(ExpungeError, match="'colour-clip' and 'turned' are one judge"):
        refuse_one_judge_twice(ColourClip(), Turned(), ["cat", "dog", "noto"])


def test_a_judge_that_says_the_same_of_everything_is_no_second_one():
    class Deaf(ColourClip):
        name = "deaf"

        def text_features(self, texts):
            return np.ones((len(texts), 6)) / np.sqrt(6)

    with pytest.raises(ExpungeError, match="no second opinion"):
        refuse_one_judge_twice(ColourClip(), Deaf(), ["cat", "dog", "noto"])
