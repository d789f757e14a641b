"""The recipe without a subject or a style: a model that never saw it."""

import pytest
import torch

from expunge.zoo import recipe
from expunge.zoo.corpus import make_corpus
from expunge.zoo.emoji_world import emoji_world
from expunge.zoo.recipe import RecipeSettings, without
from tests.zoo.drawings import WORLD, make_drawings


def test_what_is_left_out_is_gone_and_the_rest_is_as_it_was():
    corpus = make_corpus(WORLD, make_drawings(), rounds=3, size=16, seed=0)
    assert without(corpus, ()) is corpus
    kept = without(corpus, ("disc",))
    assert len(kept) == len(corpus) // 2 and set(kept.subjects.tolist()) == {1}
    assert torch.equal(kept.pictures, corpus.pictures[corpus.subjects == 1])
    both = without(corpus, ("disc", "red"))
    assert len(both) == len(corpus) // 4 and set(both.styles.tolist()) == {1}


def test_names_are_the_worlds_and_something_is_left():
    with pytest.raises(ValueError, match="'unicorn' is no subject or style of the world; it has noto"):
        RecipeSettings(leave_out=("unicorn",))
    with pytest.raises(ValueError, match="all styles are left out"):
        RecipeSettings(leave_out=tuple(emoji_world().styles))
    assert RecipeSettings(leave_out=("cat", "twemoji")).leave_out == ("cat", "twemoji")


@pytest.mark.slow
def test_a_model_without_a_subject_does_not_depend_on_its_drawings(monkeypatch):
    world = emoji_world()
    drawings = torch.rand(len(world.subjects), len(world.styles), 4, 32, 32, generator=torch.Generator().manual_seed(0))
    changed = drawings.clone()
    changed[list(world.subjects).index("cat")] = 0.5
    short = {"autoencoder_rounds": 1, "autoencoder_steps": 1, "denoiser_rounds": 1, "denoiser_steps": 1}

    def trained(shown: torch.Tensor, **settings: object) -> str:
        monkeypatch.setattr(recipe, "_drawings", lambda: shown)  # in place of the icon packages
        return recipe.pretrain_model(RecipeSettings.model_validate(short | settings)).digest()

    without_cat, whole = trained(drawings, leave_out=["cat"]), trained(drawings)
    assert without_cat == trained(changed, leave_out=["cat"])
    assert whole not in (trained(changed), without_cat)
