"""Pictures with their prompts and seeds."""

import numpy as np
import pytest

from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.world import Prompt


def make_set(count: int = 4, start: int = 0) -> PictureSet:
    prompts = tuple(
        Prompt(text=f"cat {n}", factors={"subject": "cat"}, side="train", template=0)
        for n in range(start, start + count)
    )
    pictures = np.random.default_rng(start).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)
    return PictureSet(prompts, tuple(range(start, start + count)), pictures)


def test_select_keeps_prompt_seed_and_picture_together_in_the_given_order():
    pictures = make_set()
    chosen = pictures.select([3, 1, 1])
    assert [p.text for p in chosen.prompts] == ["cat 3", "cat 1", "cat 1"]
    assert chosen.seeds == (3, 1, 1)
    assert (chosen.pictures == pictures.pictures[[3, 1, 1]]).all()
    assert len(pictures.select([])) == 0


def test_where_is_select_by_prompt():
    pictures = make_set()
    assert pictures.where(lambda p: p.text == "cat 2").digest() == pictures.select([2]).digest()
    assert len(pictures.where(lambda p: False)) == 0


def test_concatenate_undoes_a_split():
    pictures = make_set()
    parts = [pictures.select([0, 1]), pictures.select([]), pictures.select([2, 3])]
    assert concatenate(parts).digest() == pictures.digest()


def test_digest_changes_with_prompt_seed_pixel_and_order():
    pictures = make_set()
    pixels = pictures.pictures.copy()
    pixels[2, 1, 1, 1] ^= 1
    other_prompt = pictures.prompts[0].model_copy(update={"side": "held_out"})
    changed = [
        PictureSet(pictures.prompts, pictures.seeds, pixels),
        PictureSet(pictures.prompts, (9, 1, 2, 3), pictures.pictures),
        PictureSet((other_prompt, *pictures.prompts[1:]), pictures.seeds, pictures.pictures),
        PictureSet(pictures.prompts, pictures.seeds, pictures.pictures.reshape(4, 5, 6, 3)),
        pictures.select([1, 0, 2, 3]),
        make_set(3),
    ]
    assert len({each.digest() for each in [pictures, *changed]}) == 1 + len(changed)
    assert make_set().digest() == pictures.digest()


def test_what_does_not_fit_together_is_refused():
    pictures = make_set()
    with pytest.raises(ValueError, match="4 prompts, 3 seeds and 4 pictures"):
        PictureSet(pictures.prompts, (1, 2, 3), pictures.pictures)
    for wrong in (pictures.pictures.astype(np.float32), pictures.pictures[..., :2], pictures.pictures[:, 0]):
        with pytest.raises(ValueError, match="must be uint8"):
            PictureSet(pictures.prompts, pictures.seeds, wrong)
