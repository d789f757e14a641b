"""Picture sets: there and back."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from expunge.errors import ExpungeError
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.world import Prompt
from tests.materializers.conftest import truncate


def make_set(count: int = 5, seed: int = 0) -> PictureSet:
    prompts = tuple(
        Prompt(
            text=f"ein Kätzchen {n}",
            factors={"subject": "cat", "style": "noto"},
            side="held_out",
            template=n,
            words={"subject": "Kätzchen"},
        )
        for n in range(count)
    )
    pictures = np.random.default_rng(seed).integers(0, 256, (count, 8, 6, 3), dtype=np.uint8)
    return PictureSet(prompts, tuple(2**31 - 1 - n for n in range(count)), pictures)


@pytest.fixture
def materializer(materialize):
    return materialize("PictureSetMaterializer")


@pytest.mark.parametrize("count", [0, 1, 5])
def test_round_trip(materializer, count):
    pictures = make_set(count)
    materializer.save(pictures)
    back = materializer.load(PictureSet)
    assert (back.prompts, back.seeds) == (pictures.prompts, pictures.seeds)
    assert back.pictures.dtype == np.uint8 and back.pictures.shape == (count, 8, 6, 3)
    assert (back.pictures == pictures.pictures).all()
    assert back.digest() == pictures.digest()


def test_content_hash_is_that_of_the_content(materializer):
    pictures = make_set()
    assert materializer.compute_content_hash(pictures) == materializer.compute_content_hash(make_set())
    others = [make_set(seed=1), make_set(4), pictures.select([1, 0, 2, 3, 4])]
    assert len({materializer.compute_content_hash(each) for each in [pictures, *others]}) == 4


def test_metadata_tells_count_shape_and_digest(materializer):
    pictures = make_set()
    told = materializer.extract_metadata(pictures)
    assert told == {"pictures": 5, "shape": "(8, 6, 3)", "digest": pictures.digest()}


def test_the_table_is_readable_without_expunge(materializer):
    pictures = make_set()
    materializer.save(pictures)
    table = pd.read_parquet(Path(materializer.uri) / "pictures.parquet")
    assert list(table["text"]) == [prompt.text for prompt in pictures.prompts]
    assert (np.asarray(Image.open(io.BytesIO(table["png"][3]))) == pictures.pictures[3]).all()


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (5, 5), (200, 96)])
def test_the_visualisation_is_a_picture_of_pictures(materializer, count, shown):
    ((path, kind),) = materializer.save_visualizations(make_set(count)).items()
    assert str(kind) == "image" and path.startswith(materializer.uri)
    sheet = Image.open(path)
    sheet.load()
    columns, rows = min(shown, 12), -(-shown // 12)
    assert sheet.format == "PNG" and sheet.size == (4 + columns * 10, 4 + rows * 12)


def test_an_empty_set_has_nothing_to_show(materializer):
    assert materializer.save_visualizations(make_set(0)) == {}


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_table_is_refused(materializer, share):
    materializer.save(make_set())
    truncate(Path(materializer.uri) / "pictures.parquet", share)
    with pytest.raises((ValueError, OSError)):
        materializer.load(PictureSet)


def test_an_unknown_format_and_a_short_table_are_refused(materializer):
    materializer.save(make_set())
    facts = Path(materializer.uri) / "format.json"
    written = json.loads(facts.read_text())
    facts.write_text(json.dumps(written | {"format_version": 2}))
    with pytest.raises(ValueError, match="picture set format 2: this version reads 1"):
        materializer.load(PictureSet)
    facts.write_text(json.dumps(written | {"count": 6}))
    with pytest.raises(ValueError, match="holds 5 pictures, 6 were written"):
        materializer.load(PictureSet)


def test_files_that_are_gone_are_named_with_the_way_out(materializer):
    """Found: a cached step whose artifact was deleted ended every later run in 400 lines of traceback."""
    materializer.save(make_set(2))
    shutil.rmtree(materializer.uri)
    with pytest.raises(ExpungeError, match=r"artifact: the files of .* are gone .* enable_cache: false"):
        materializer.load(PictureSet)
