"""CLIP through open_clip, and panels made of it."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from expunge.errors import ExpungeError
from expunge.judges.load_panel import load_panel
from expunge.judges.open_clip_judge import OpenClipJudge
from tests.metrics.colour_judges import WORLD
from tests.tiny_clip import make_tiny_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def judge(folder: Path) -> OpenClipJudge:
    return OpenClipJudge(f"local-dir:{folder}", name="tiny")


def pictures(side: int = 32, count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_features_are_unit_rows_that_do_not_depend_on_the_batch(folder, judge):
    texts = ["a cat", "dog in noto style", "car", "", "apple on white"]
    by_two = OpenClipJudge(f"local-dir:{folder}", batch_size=2)
    for found, again in (
        (judge.picture_features(pictures()), by_two.picture_features(pictures())),
        (judge.text_features(texts), by_two.text_features(texts)),
    ):
        assert found.shape == (5, 16) and found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(found, again, atol=1e-5)
        assert np.ptp(found, axis=0).max() > 1e-3


def test_pictures_of_its_own_size_are_prepared_as_open_clip_does(judge):
    prepared = judge._prepared(pictures())
    wanted = torch.stack([judge._preprocess(Image.fromarray(each)) for each in pictures()])
    torch.testing.assert_close(prepared, wanted, rtol=0, atol=1e-5)


def test_pictures_of_another_size_are_scaled(judge):
    assert judge.picture_features(pictures(side=48)).shape == (5, 16)


def test_nothing_gives_no_rows(judge):
    assert judge.picture_features(pictures()[:0]).shape == judge.text_features([]).shape == (0, 16)


def test_it_is_called_by_its_name_or_the_models(folder, judge):
    assert judge.name == "tiny"
    assert OpenClipJudge(f"local-dir:{folder}").name == f"local-dir:{folder}"


def test_a_panel_of_clip_alone_classifies_every_factor(folder):
    panel = load_panel(f"local-dir:{folder}", WORLD)
    assert set(panel.classifiers) == {"subject", "style"}
    for factor, levels in panel.recognise(pictures()).items():
        assert levels == panel.recognise_by_clip(pictures(), factor, WORLD)
        assert set(levels) <= set(WORLD.factors[factor])
        assert panel.classifiers[factor].levels == tuple(WORLD.factors[factor])


@pytest.mark.parametrize(
    "judges",
    ["no-such-model", "local-dir:/no/such/folder", "hf-hub:nobody/nothing", "ViT-B-32:no-such-tag", ""],
)
def test_judges_that_cannot_be_loaded(judges):
    with pytest.raises(ExpungeError, match="CLIP judge '.*' cannot be loaded: ."):
        load_panel(judges, WORLD)


def test_a_judge_without_weights_is_refused(folder, tmp_path):
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    (bare / "open_clip_model.safetensors").unlink()
    with pytest.raises(ExpungeError, match="cannot be loaded"):
        OpenClipJudge(f"local-dir:{bare}")


@pytest.mark.parametrize("name", ["open_clip_config.json", "open_clip_model.safetensors", "vocab.json"])
def test_a_spoilt_judge_is_refused(name, folder, tmp_path):
    spoilt = Path(shutil.copytree(folder, tmp_path / "spoilt"))
    for path in [spoilt / name, *([spoilt / "tokenizer.json"] if name == "vocab.json" else [])]:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ExpungeError, match="cannot be loaded"):
        OpenClipJudge(f"local-dir:{spoilt}")


def test_loading_says_nothing_and_leaves_logging_as_it_was(folder, caplog):
    with caplog.at_level(logging.INFO):
        OpenClipJudge(f"local-dir:{folder}")
        logging.info("after")
    assert [record.message for record in caplog.records] == ["after"]
