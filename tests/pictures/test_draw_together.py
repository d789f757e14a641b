"""Two processes draw what one draws, to the bit, in its order; what goes wrong in one is a line."""

from pathlib import Path

import numpy as np
import pytest
import torch

from expunge.errors import ExpungeError
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.pictures.draw_together import pieces_of, worth_starting
from expunge.pictures.drawing import DrawingSettings, draw_prompts
from expunge.pictures.picture_store import Drawer, PictureStore
from expunge.pictures.shards import plan_over_world
from tests.metrics.colour_judges import WORLD

DRAWING = DrawingSettings(steps=1, guidance=1.5, batch_size=2)
SHARDS = plan_over_world(WORLD, "held_out", 1, 0, shard_size=5)


def drawer(model: StableDiffusion, folder: Path, processes: int) -> Drawer:
    return Drawer(model, DRAWING, PictureStore(folder), processes)


def test_two_draw_what_one_draws(tiny_model: StableDiffusion, tmp_path: Path, monkeypatch) -> None:
    """One of the shards is in the store, and another is asked for twice."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    one, two = (drawer(tiny_model, tmp_path / str(count), count) for count in (1, 2))
    asked, told = [*SHARDS, SHARDS[0]], []
    expected = [one.draw(shard) for shard in asked]
    two.draw(SHARDS[1])
    monkeypatch.setattr(StableDiffusion, "draw", lambda *_, **__: pytest.fail("drawn in this process"))
    with two.each_of(asked, told.append) as drawn:
        found = list(drawn)
    assert [each.digest() for each in found] == [each.digest() for each in expected]
    assert sum(told) == sum(map(len, asked)) and len(told) > len(asked)
    assert len(list(two.store.folder.iterdir())) == len(SHARDS)


def test_what_stops_one_stops_all_with_a_line(tiny_model: StableDiffusion) -> None:
    broken, prompts = tiny_model.with_own_denoiser(), SHARDS[0].prompts
    with torch.no_grad():
        broken.denoiser.conv_out.weight.fill_(torch.nan)
    one_each = DRAWING.model_copy(update={"batch_size": 1})
    with pytest.raises(ExpungeError, match="^model: draws values that are not finite.*guidance.$"):
        draw_prompts(broken, prompts, range(len(prompts)), one_each, processes=2)


def test_batches_are_those_of_one_process() -> None:
    pieces = pieces_of(SHARDS, 2)
    assert [len(each.shard) for each in pieces if each.place == 0] == [2, 2, 1]
    for place, shard in enumerate(SHARDS):
        own = [each.shard for each in pieces if each.place == place]
        assert tuple(prompt for each in own for prompt in each.prompts) == shard.prompts
        assert tuple(np.concatenate([each.seeds for each in own])) == shard.seeds


@pytest.mark.parametrize(
    ("batch_size", "processes", "started"), [(64, 8, 1), (2, 1, 1), (5, 2, 1), (3, 2, 2), (1, 64, 5), (1, 2, 2)]
)
def test_processes_are_started_where_each_has_two_batches(batch_size: int, processes: int, started: int) -> None:
    assert worth_starting(SHARDS[:2], batch_size, processes) == started
