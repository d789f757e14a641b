"""Contact sheets and encoded pictures."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from expunge.errors import ExpungeError
from expunge.reports.figures import data_uris, grid_png


def decoded(uri: str) -> np.ndarray:
    kind, data = uri.split(",", 1)
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_a_grid_holds_every_picture_in_order(parts):
    pictures = parts["pictures"](16, 1)[0]
    sheet = np.asarray(grid_png(pictures, columns=5, gap=3))
    assert sheet.shape == (3 + 4 * 19, 3 + 5 * 19, 3)  # 18 pictures in 5 columns: 4 rows
    for index, picture in enumerate(pictures.pictures):
        top, left = 3 + index // 5 * 19, 3 + index % 5 * 19
        assert np.array_equal(sheet[top : top + 16, left : left + 16], picture)


def test_a_grid_scales_its_pictures(parts):
    assert grid_png(parts["pictures"](16, 1)[0], columns=6, side=32, gap=0).size == (6 * 32, 3 * 32)


def test_sheets_refuse_what_they_cannot_show(parts):
    before = parts["pictures"](16, 1)[0]
    with pytest.raises(ExpungeError, match="at least one picture"):
        grid_png(before.select([]))
    with pytest.raises(ExpungeError, match="columns: 0 given"):
        grid_png(before, columns=0)


def test_small_pictures_are_kept_without_loss(parts):
    pictures = parts["pictures"](24, 1)[0].pictures
    for picture, uri in zip(pictures, data_uris(list(pictures), 10**6), strict=True):
        assert np.array_equal(decoded(uri), picture)


@settings(max_examples=15, deadline=None)
@given(budget=st.integers(8_000, 100_000))
def test_encoded_pictures_keep_to_the_budget(budget):
    pictures = list(np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    assert sum(map(len, data_uris(pictures, budget))) <= budget


def test_large_pictures_are_made_smaller():
    picture = np.random.default_rng(0).integers(0, 256, (300, 600, 3), dtype=np.uint8)
    assert decoded(data_uris([picture], 10**6)[0]).shape == (128, 256, 3)


def test_a_budget_that_nothing_fits_is_an_error():
    with pytest.raises(ExpungeError, match="Show fewer"):
        data_uris([np.zeros((8, 8, 3), dtype=np.uint8)], 10)
