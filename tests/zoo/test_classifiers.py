"""The independent classifiers, and the pictures that show nothing."""

import numpy as np
import pytest
import torch

from expunge.zoo.classifiers import (
    NONE,
    FactorClassifier,
    degrade,
    make_network,
    showing_nothing,
    texture,
    train_classifier,
)
from expunge.zoo.corpus import make_corpus
from expunge.zoo.zoo_panel import zoo_panel
from tests.zoo.drawings import WORLD, make_drawings


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def corpus():
    return make_corpus(WORLD, make_drawings(), rounds=10, size=64, seed=0)


@pytest.fixture(scope="module")
def classifier(corpus) -> FactorClassifier:
    torch.manual_seed(0)
    draws = generator()

    def labelled() -> tuple[torch.Tensor, torch.Tensor]:
        indices = torch.randint(0, len(corpus), (16,), generator=draws)
        return corpus.inputs(indices), corpus.styles[indices]

    return train_classifier("style", tuple(WORLD.styles), labelled, 80, draws)


@pytest.mark.parametrize("spoil", [degrade, showing_nothing, texture])
@pytest.mark.parametrize("count", [1, 2, 7, 16])
def test_spoilt_pictures_keep_shape_and_range(corpus, spoil, count):
    pictures = corpus.inputs(torch.arange(count))
    spoilt = spoil(pictures, generator())
    assert spoilt.shape == pictures.shape and spoilt.dtype == torch.float32
    assert spoilt.min() >= -1 and spoilt.max() <= 1 and spoilt.isfinite().all()
    assert torch.equal(spoil(pictures, generator()), spoilt)
    assert count == 1 or not torch.equal(spoil(pictures, generator(1)), spoilt)


def test_degraded_pictures_are_still_the_same_pictures(corpus):
    pictures = corpus.inputs(torch.arange(16))
    assert (degrade(pictures, generator()) - pictures).abs().mean() < 0.2


def test_pictures_that_show_nothing_are_of_four_kinds(corpus):
    pictures = corpus.inputs(torch.arange(16))
    shuffled, smear, plain = (showing_nothing(pictures, generator())[kind::4] for kind in (1, 2, 3))
    for seed in range(30):  # blends are of two pictures, never of one and itself
        blend = showing_nothing(pictures, generator(seed))[0::4]
        assert all(not torch.equal(each, kept) for each, kept in zip(blend, pictures[0::4], strict=True))
    for kept, tiled in zip(pictures[1::4], shuffled, strict=True):  # the same pixels in other places
        assert torch.equal(kept.flatten(1).sort().values, tiled.flatten(1).sort().values)
        assert not torch.equal(kept, tiled)
    assert all(each.diff(dim=-1).abs().max() < 0.2 for each in smear)
    assert all(each.flatten(1).std(dim=1).max() < 0.1 for each in plain)


@pytest.mark.parametrize("factor", ["subject", "style"])
def test_those_that_ship_find_nothing_in_textures(corpus, factor: str):
    textures = texture(corpus.inputs(torch.arange(len(corpus))), generator())
    pictures = ((textures + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    found = zoo_panel().classifiers[factor].recognise(pictures)
    assert found.count(NONE) / len(found) > 0.95


def test_it_learns_and_says_none_of_nothing(classifier, corpus):
    pictures = corpus.pictures.permute(0, 2, 3, 1).numpy()
    wanted = [list(WORLD.styles)[i] for i in corpus.styles]
    found = classifier.recognise(pictures)
    assert np.mean([a == b for a, b in zip(found, wanted, strict=True)]) > 0.8
    assert set(classifier.recognise(np.full((4, 64, 64, 3), 90, np.uint8))) <= {*WORLD.styles, NONE}


def test_probabilities_are_those_of_levels_and_none_whatever_the_batch(classifier, corpus):
    pictures = corpus.pictures[:7].permute(0, 2, 3, 1).numpy()
    found = classifier.probabilities(pictures)
    assert found.shape == (7, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    by_two = FactorClassifier("style", classifier.levels, classifier.network, batch_size=2)
    np.testing.assert_allclose(by_two.probabilities(pictures), found, atol=1e-5)
    assert classifier.probabilities(pictures[:0]).shape == (0, 3) and classifier.recognise(pictures[:0]) == []


def test_pictures_of_another_size_are_refused(classifier):
    with pytest.raises(ValueError, match=r"\(32, 32, 3\): the zoo's classifiers take \(64, 64, 3\)"):
        classifier.recognise(np.zeros((1, 32, 32, 3), np.uint8))


def test_it_comes_back_as_it_was(classifier, corpus, tmp_path):
    classifier.save(tmp_path / "classifiers")
    back = FactorClassifier.load(tmp_path / "classifiers", "style")
    pictures = corpus.pictures[:5].permute(0, 2, 3, 1).numpy()
    assert back.levels == classifier.levels and back.factor == "style"
    assert (back.probabilities(pictures) == classifier.probabilities(pictures)).all()
    assert {path.suffix for path in (tmp_path / "classifiers").iterdir()} == {".json", ".safetensors"}


def test_none_is_the_class_after_the_levels():
    network = make_network(3, width=4)
    last = network[-1]
    last.weight.data.zero_()
    last.bias.data = torch.tensor([0.0, 0.0, 5.0])
    classifier = FactorClassifier("style", ("a", "b"), network)
    assert classifier.recognise(np.zeros((2, 64, 64, 3), np.uint8)) == [NONE, NONE]
