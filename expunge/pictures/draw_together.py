"""Drawing by several processes at once: batches are dealt out, drawn where there is room, and put together in order.

What is dealt out is a batch: the pictures of a shard that one process would draw at once. Noise comes from each
picture's own seed and no batch is another one than before, so the pictures are those of one process to the bit, however
many there are; on a CPU as long as each computes with as many threads as that one (``OMP_NUM_THREADS``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from expunge.pictures.shards import Shard
from expunge.processes import Group, started

if TYPE_CHECKING:  # torch takes seconds to import
    from expunge.models.text_to_image import TextToImage
    from expunge.pictures.drawing import DrawingSettings

WORTH = 2  # batches for each: a process starts and reads the model in about the time of a batch of a large one
MODEL, DRAWN = "model", "drawn"


@dataclass(frozen=True)
class Piece:
    """A batch.

    Attributes:
        place: of its shard.
        shard: the part of it that is drawn at once.
    """

    place: int
    shard: Shard


def pieces_of(shards: Sequence[Shard], batch_size: int) -> list[Piece]:
    """All batches of the shards, in their order."""
    found = []
    for place, shard in enumerate(shards):
        for start in range(0, len(shard), batch_size):
            part = slice(start, start + batch_size)
            cut = shard.model_copy(update={"prompts": shard.prompts[part], "seeds": shard.seeds[part]})
            found.append(Piece(place, cut))
    return found


def worth_starting(shards: Sequence[Shard], batch_size: int, processes: int) -> int:
    """How many of the processes have enough to draw; 1: nothing is worth being started."""
    batches = sum(-(-len(shard) // batch_size) for shard in shards)
    return max(1, min(processes, batches // WORTH))


@contextmanager
def drawn_together(
    model: TextToImage,
    shards: Sequence[Shard],
    drawing: DrawingSettings,
    processes: int,
    drawn: Callable[[int], None] = lambda pictures: None,
) -> Iterator[Iterator[tuple[int, np.ndarray]]]:
    """Draw shards by several processes, each with the model on a device of its own; they end with the block.

    Args:
        model: where and in the precision in which it computes; on a GPU it makes room for theirs within the block.
        shards: what is drawn.
        drawing: how.
        processes: how many.
        drawn: told how many more pictures there are, whoever drew them.

    Yields:
        Each shard's place, and its pictures, uint8 ``(n, h, w, 3)``, as soon as all of them are there. One that raises
        or dies ends the others, with one line: ``ExpungeError``.
    """
    from expunge.models.aside import aside  # with torch

    pieces = pieces_of(shards, drawing.batch_size)
    with tempfile.TemporaryDirectory(prefix="expunge-") as name:
        folder = Path(name)
        model.save(folder / MODEL)
        (folder / DRAWN).mkdir()
        job = {
            "pieces": [each.shard.model_dump(mode="json") for each in pieces],
            "drawing": drawing.model_dump(mode="json"),
            "device": model.device.type,
            "precision": model.precision,
        }
        with aside(model), started("expunge.pictures.draw_process", folder, processes, job) as group:
            yield _whole(pieces, group, drawn)


def _whole(pieces: Sequence[Piece], group: Group, drawn: Callable[[int], None]) -> Iterator[tuple[int, np.ndarray]]:
    """Shards whose last batch has come."""
    missing = {each.place: [n for n, other in enumerate(pieces) if other.place == each.place] for each in pieces}
    there: set[int] = set()
    for line in group.reports():
        number = int(line)
        there.add(number)
        drawn(len(pieces[number].shard))
        place = pieces[number].place
        if there.issuperset(missing[place]):
            files = [group.folder / DRAWN / f"{each}.safetensors" for each in missing[place]]
            yield place, np.concatenate([load_file(each)["pictures"] for each in files])
            for each in files:
                each.unlink()
