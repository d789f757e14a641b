"""Feature extractors: names, widths, batches, weights from a local file alone, and what is no set of pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from expunge.errors import ExpungeError
from expunge.judges.extractors import ClipExtractor, InceptionExtractor, PixelExtractor, load_extractor
from tests.metrics.colour_judges import ColourClip
from tests.tiny_clip import make_tiny_clip


def pictures(count: int = 7, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory) -> str:
    return f"local-dir:{make_tiny_clip(tmp_path_factory.mktemp('clip'))}"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Inception's tensors, random and tamed so that features keep a spread. Not trained: nobody ships those."""
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        patch.setattr(torch, "load", lambda *_, **__: {})
        network = FeatureExtractorInceptionV3("any", ["2048"], feature_extractor_weights_path="none")
    found = network.state_dict()
    return {name: value * (2.2 if name.endswith("conv.weight") else 1) for name, value in found.items()}


@pytest.fixture(scope="module")
def weights(state, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "inception.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return path


@pytest.mark.parametrize("name", ["pixels", "zoo", "tiny"])
def test_features_have_the_width_said_and_depend_on_neither_batch_nor_order(name, tiny_clip):
    extractor = load_extractor(tiny_clip if name == "tiny" else name)
    given = pictures(side=64)
    whole = extractor.features(given)
    assert whole.shape == (7, extractor.width) and whole.dtype == np.float32 and extractor.name
    assert np.ptp(whole, axis=0).max() > 1e-3
    single = np.concatenate([extractor.features(given[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(single, whole, atol=2e-6)
    np.testing.assert_allclose(extractor.features(given[::-1]), whole[::-1], atol=2e-6)
    assert extractor.features(given[:0]).shape == (0, extractor.width)


def test_pixels_are_means_of_fields_and_black_is_not_nothing():
    given = np.zeros((2, 16, 24, 3), dtype=np.uint8)
    given[1, :2, :3, 0] = 255
    found = PixelExtractor().features(given)
    assert (found[0] == 1 / 256).all()
    assert found[1, 0] == 1 and (found[1, 1:] == 1 / 256).all()
    again = PixelExtractor(batch_size=1).features(given)
    np.testing.assert_array_equal(again, found)


def test_only_clip_is_clip(tiny_clip):
    assert load_extractor(tiny_clip).is_clip and ClipExtractor(ColourClip()).is_clip
    assert not PixelExtractor().is_clip and not InceptionExtractor.is_clip
    assert load_extractor("zoo").name == "zoo-clip" and load_extractor(tiny_clip).name == tiny_clip


def test_clip_features_have_length_one(tiny_clip):
    np.testing.assert_allclose(np.linalg.norm(load_extractor(tiny_clip).features(pictures()), axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_inception_is_torch_fidelitys_and_needs_no_pickle(state, weights, tmp_path):
    given = pictures(count=3, side=48)
    extractor = load_extractor("inception", weights)
    found = extractor.features(given)
    pickled = tmp_path / "inception.pth"
    torch.save(state, pickled)
    theirs = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(pickled))
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(given).permute(0, 3, 1, 2))[0].numpy()
    assert found.shape == (3, 2048) and found.dtype == np.float32 and np.ptp(found, axis=0).max() > 1e-3
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    by_two = InceptionExtractor(weights, batch_size=2).features(given)
    np.testing.assert_allclose(by_two, found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("given", [None, "/no/such/inception.safetensors"])
def test_missing_inception_weights_say_where_to_get_them(given):
    with pytest.raises(ExpungeError, match="inception_weights: .* given.*releases of torch-fidelity.*expunge convert"):
        load_extractor("inception", given)


def test_inception_weights_of_another_kind_are_refused(tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, other)
    with pytest.raises(ExpungeError, match="other tensors than FID's Inception"):
        load_extractor("inception", other)
    pickled = tmp_path / "inception.pth"
    torch.save({"x": torch.zeros(1)}, pickled)
    with pytest.raises(ExpungeError, match="not a safetensors file.*expunge convert"):
        load_extractor("inception", pickled)


def test_unknown_extractors_are_refused():
    with pytest.raises(ExpungeError, match="CLIP judge 'no-such-model' cannot be loaded"):
        load_extractor("no-such-model")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((2, 32, 32, 3)), "float64"),
        (np.full((2, 32, 32, 3), np.nan), "2 of 2 pictures hold NaN"),
        (np.zeros((32, 32, 3), np.uint8), r"\(32, 32, 3\)"),
        (np.zeros((2, 32, 32, 4), np.uint8), r"\(2, 32, 32, 4\)"),
        (np.zeros((2, 0, 32, 3), np.uint8), r"\(2, 0, 32, 3\)"),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)], r"mixed sizes \(8×8, 9×8\)"),
    ],
)
def test_what_is_no_set_of_pictures_is_refused(given, said, tiny_clip):
    for extractor in (PixelExtractor(), load_extractor(tiny_clip)):
        with pytest.raises(ExpungeError, match=said):
            extractor.features(given)


def test_pictures_smaller_than_the_fields_are_refused():
    with pytest.raises(ExpungeError, match="pictures are 7×9"):
        PixelExtractor().features(np.zeros((1, 7, 9, 3), np.uint8))


def test_pictures_of_another_size_go_through_clips_own_scaling(tiny_clip):
    extractor = load_extractor(tiny_clip)
    large = np.stack([np.asarray(Image.fromarray(each).resize((64, 64), Image.NEAREST)) for each in pictures()])
    assert extractor.features(large).shape == (7, extractor.width)
