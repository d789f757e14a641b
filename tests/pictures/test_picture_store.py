"""The store of drawn pictures: found by everything they depend on, and by nothing less; damage is drawn again."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_store import Drawer, PictureStore
from expunge.pictures.shards import plan_over_world
from tests.metrics.colour_judges import WORLD

DRAWING = DrawingSettings(steps=1, guidance=1)
SHARD = plan_over_world(WORLD, "held_out", 1, 0, shard_size=3)[0]


@pytest.fixture
def store(tmp_path):
    return PictureStore(tmp_path / "pictures")


def refuse(*_, **__):
    raise AssertionError("drawn again")


def test_what_was_drawn_is_not_drawn_again_by_anybody(tiny_model, store, monkeypatch):
    drawn = Drawer(tiny_model, DRAWING, store).draw(SHARD)
    monkeypatch.setattr(StableDiffusion, "draw", refuse)
    again = Drawer(tiny_model, DRAWING, PictureStore(store.folder)).draw(SHARD)
    assert again.digest() == drawn.digest() and len(list(store.folder.iterdir())) == 1


def test_pictures_are_found_only_under_their_own_facts(tiny_model, store):
    drawer = Drawer(tiny_model, DRAWING, store)
    key = drawer.key(SHARD)
    reseeded = SHARD.model_copy(update={"seeds": tuple(seed + 1 for seed in SHARD.seeds)})
    reworded = SHARD.model_copy(update={"prompts": SHARD.prompts[::-1]})
    longer = Drawer(tiny_model, DrawingSettings(steps=2, guidance=1), store)
    other, sampled = (Drawer(tiny_model, DRAWING, store) for _ in range(2))
    other.digest, sampled.sampler = "0" * 64, "Euler"
    keys = [drawer.key(reseeded), drawer.key(reworded), *(each.key(SHARD) for each in (longer, other, sampled))]
    assert len({key, *keys}) == 6
    assert drawer.key(SHARD.model_copy(update={"part": "train", "target": "object:cat"})) == key


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: b"", lambda data: data[:-1] + b"\x7f"])
def test_a_damaged_file_is_drawn_again(tiny_model, store, damage):
    drawer = Drawer(tiny_model, DRAWING, store)
    drawn = drawer.draw(SHARD)
    (path,) = store.folder.iterdir()
    spoilt = damage(path.read_bytes())
    path.write_bytes(spoilt if spoilt != path.read_bytes() else spoilt[:-1] + b"\x00")
    assert store.find(drawer.key(SHARD), SHARD) is None
    assert np.array_equal(drawer.draw(SHARD).pictures, drawn.pictures)
    assert store.find(drawer.key(SHARD), SHARD) is not None


def test_what_a_killed_writer_left_is_in_nobodys_way(tiny_model, store):
    (store.folder / "partial-killed").mkdir()
    (store.folder / "partial-killed" / "pictures.safetensors").write_bytes(b"half")
    assert len(Drawer(tiny_model, DRAWING, store).draw(SHARD)) == 3


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExpungeError, match="pictures: the folder .* cannot be made"):
        PictureStore(tmp_path / "file" / "pictures")
