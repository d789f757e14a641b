"""Pictures on disk, one safetensors file a shard, so that no picture is drawn twice.

A file's name is the hash of everything that the pictures depend on: the model, its sampler, prompts, seeds and drawing
settings. The same evaluation again finds all of them, another target on the same models finds the world's, and a run
finds the pool of its retain set among what it evaluates. The file itself says which model drew what, so that what shows
a taken-down target can be told and removed.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from expunge.errors import ExpungeError
from expunge.models.text_to_image import TextToImage
from expunge.pictures.draw_together import drawn_together, worth_starting
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.pictures.shards import Shard
from expunge.progress import progress_bar
from expunge.prompts.world import Prompt

FORMAT_VERSION = 2
PICTURES = Path(".expunge/evaluations/pictures")


@dataclass(frozen=True)
class StoredShard:
    """A file in the store, as it describes itself.

    Attributes:
        path: of the file.
        model: digest of the model that drew it; empty if it does not say, as those of before.
        prompts: what was asked for.
        written_at: when it was drawn.
    """

    path: Path
    model: str
    prompts: tuple[Prompt, ...]
    written_at: datetime


class PictureStore:
    """A folder of drawn shards.

    Any number of processes may use it at once: a file is written under another name and renamed, so it is there whole
    or not at all, and two that draw the same write the same. A file that is damaged is drawn again.

    Args:
        folder: made if need be.

    Raises:
        ExpungeError: it cannot be made.
    """

    def __init__(self, folder: Path = PICTURES) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExpungeError(f"pictures: the folder {folder} cannot be made: {error.strerror}") from error

    def find(self, key: str, shard: Shard) -> PictureSet | None:
        """The pictures under that key; None if they never were drawn, or if the file is damaged."""
        try:
            with safe_open(self._path(key), "numpy") as file:
                pictures = file.get_tensor("pictures")
                if not _facts(key, pictures).items() <= (file.metadata() or {}).items():
                    return None
                return PictureSet(shard.prompts, shard.seeds, pictures)
        except (OSError, ValueError, SafetensorError):
            return None

    def keep(self, key: str, pictures: np.ndarray, prompts: Sequence[Prompt], model: str) -> None:
        """Write pictures down, with what was asked for and the digest of the model that drew them.

        Raises:
            ExpungeError: they cannot be written.
        """
        asked = json.dumps([prompt.model_dump(mode="json") for prompt in prompts])
        facts = _facts(key, pictures) | {"prompts": asked, "model": model}
        try:
            with tempfile.TemporaryDirectory(prefix="partial-", dir=self.folder) as folder:
                partial = Path(folder) / "pictures.safetensors"
                save_file({"pictures": np.ascontiguousarray(pictures)}, partial, facts)
                os.replace(partial, self._path(key))
        except (OSError, SafetensorError) as error:
            raise ExpungeError(f"pictures: {self.folder} cannot be written: {error}. Make room or rights.") from error

    def shards(self) -> Iterator[StoredShard]:
        """Every file, without its pictures. One that is damaged, or does not say, has no model and no prompts."""
        for path in sorted(self.folder.glob("*.safetensors")):
            facts: dict[str, str] = {}
            try:
                written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                with safe_open(path, "numpy") as file:
                    facts = file.metadata() or {}
            except FileNotFoundError:
                continue  # another process was quicker
            except (OSError, SafetensorError):
                facts = {}
            prompts = tuple(Prompt.model_validate(each) for each in json.loads(facts.get("prompts", "[]")))
            yield StoredShard(path, facts.get("model", ""), prompts, written_at)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:32]}.safetensors"


class Drawer:
    """A model that draws shards in one way, and draws none that the store holds. Its digest is taken once.

    Args:
        model: where it computes.
        drawing: how it draws.
        store: where pictures are kept.
        processes: that draw together where there is enough for each (``draw_together.WORTH``).
    """

    def __init__(self, model: TextToImage, drawing: DrawingSettings, store: PictureStore, processes: int = 1) -> None:
        self.model, self.drawing, self.store, self.processes = model, drawing, store, processes
        self.digest, self.sampler = model.digest(), model.sampling()

    def key(self, shard: Shard) -> str:
        """SHA-256 of everything that the shard's pictures depend on."""
        facts = {
            "format_version": FORMAT_VERSION,
            "model": self.digest,
            "sampler": self.sampler,
            "texts": [prompt.text for prompt in shard.prompts],
            "seeds": shard.seeds,
            "drawing": self.drawing.model_dump(),
            "precision": self.model.precision,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def draw(self, shard: Shard) -> PictureSet:
        """A shard's pictures: from the store, else drawn and kept.

        Raises:
            ExpungeError: they cannot be written, or the model draws none.
        """
        key = self.key(shard)
        if (known := self.store.find(key, shard)) is not None:
            return known
        texts = [prompt.text for prompt in shard.prompts]
        pictures = self.model.draw(texts, shard.seeds, **self.drawing.how())
        self.store.keep(key, pictures, shard.prompts, self.digest)
        return PictureSet(shard.prompts, shard.seeds, pictures)

    @contextmanager
    def each_of(
        self, shards: Sequence[Shard], drawn: Callable[[int], None] = lambda pictures: None
    ) -> Iterator[Iterator[PictureSet]]:
        """Shards' pictures, one after the other in their order; by several processes while those that came before are
        looked at, if there is enough for each. They end with the block.

        Args:
            shards: what is asked for.
            drawn: told how many more pictures there are.

        Raises:
            ExpungeError: as `draw`, or one of the processes ended; within the block.
        """
        missing: dict[str, Shard] = {}
        if self.processes > 1:
            keys = ((self.key(shard), shard) for shard in shards)
            missing = {key: shard for key, shard in keys if self.store.find(key, shard) is None}
        asked = list(missing.values())
        many = worth_starting(asked, self.drawing.batch_size, self.processes)
        if many == 1:
            yield self._one_by_one(shards, drawn)
            return
        drawn(sum(map(len, shards)) - sum(map(len, asked)))
        with drawn_together(self.model, asked, self.drawing, many, drawn) as arriving:
            yield self._in_order(shards, missing, arriving)

    def _one_by_one(self, shards: Sequence[Shard], drawn: Callable[[int], None]) -> Iterator[PictureSet]:
        for shard in shards:
            pictures = self.draw(shard)
            drawn(len(shard))
            yield pictures

    def _in_order(
        self, shards: Sequence[Shard], missing: Mapping[str, Shard], arriving: Iterator[tuple[int, np.ndarray]]
    ) -> Iterator[PictureSet]:
        """What arrives is kept at once, so that no picture is lost when one of the processes dies."""
        keys, awaited = list(missing), set(missing)
        for shard in shards:
            while self.key(shard) in awaited:
                place, pictures = next(arriving)
                self.store.keep(keys[place], pictures, missing[keys[place]].prompts, self.digest)
                awaited.remove(keys[place])
            yield self.draw(shard)


def draw_shards(
    model: TextToImage,
    shards: Sequence[Shard],
    drawing: DrawingSettings,
    store: PictureStore,
    label: str = "",
    processes: int = 1,
) -> PictureSet:
    """All shards' pictures in their order, drawn as far as the store does not hold them.

    Args:
        label: of the progress bar; none if empty.
        processes: as of `Drawer`.
    """
    drawer = Drawer(model, drawing, store, processes)
    with progress_bar(bool(label)) as bar:
        task = bar.add_task(label, total=sum(map(len, shards)), note="")
        with drawer.each_of(shards, partial(bar.advance, task)) as drawn:
            return concatenate(list(drawn))


def _facts(key: str, pictures: np.ndarray) -> dict[str, str]:
    return {"key": key, "pixels": hashlib.sha256(np.ascontiguousarray(pictures).tobytes()).hexdigest()}
