"""Rendering and augmenting, on made-up drawings."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from expunge.errors import ExpungeError
from expunge.zoo.corpus import WHITE_SHARE, Corpus, make_corpus
from expunge.zoo.icons import augment, drawings_digest, render_drawings, render_icon
from tests.zoo.drawings import COLOURS, WORLD, make_drawings

SHAPES = {
    "disc": '<circle cx="8" cy="8" r="6" fill="{0}"/>',
    "square": '<path fill="{0}" d="M3 3h10v10H3z"/>',
}


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> Path:
    """Icon packages as npm would install them."""
    folder = tmp_path_factory.mktemp("node_modules")
    for colour in COLOURS:
        icons = {name: {"body": body.format(colour)} for name, body in SHAPES.items()}
        icons["wide"] = {"body": '<path fill="blue" d="M0 0h32v16H0z"/>', "width": 32, "height": 16}
        icons["faint"] = {"body": '<path fill="blue" fill-opacity=".5" d="M0 0h16v16H0z"/>'}
        package = folder / "@made-up" / colour
        package.mkdir(parents=True)
        collection = {"icons": icons, "aliases": {"ring": {"parent": "disc"}}, "width": 16, "height": 16}
        (package / "icons.json").write_text(json.dumps(collection))
    return folder


def test_icons_are_rendered_in_their_colours_on_nothing(modules):
    icon = render_icon(modules, "@made-up/red", "square", size=32)
    assert icon.shape == (32, 32, 4) and icon.dtype == np.uint8
    assert icon[16, 16].tolist() == [255, 0, 0, 255] and icon[1, 1, 3] == 0
    assert (icon[..., 3] == 255).sum() == 20 * 20
    assert (render_icon(modules, "@made-up/red", "square", size=32) == icon).all()


def test_other_names_and_shapes_of_icons(modules):
    disc = render_icon(modules, "@made-up/green", "disc", size=32)
    assert (render_icon(modules, "@made-up/green", "ring", size=32) == disc).all()
    wide = render_icon(modules, "@made-up/green", "wide", size=32)
    assert wide.shape == (32, 32, 4) and (wide[8:24, :, 3] == 255).all() and (wide[:7, :, 3] == 0).all()
    faint = render_icon(modules, "@made-up/green", "faint", size=32)[16, 16]
    assert faint[2] == 255 and abs(int(faint[3]) - 128) <= 1  # straight alpha


def test_icons_that_are_not_there(modules):
    with pytest.raises(ExpungeError, match="@made-up/red has no icon 'unicorn'"):
        render_icon(modules, "@made-up/red", "unicorn")


def test_drawings_are_premultiplied_and_in_the_worlds_order(modules):
    drawings = render_drawings(WORLD, modules)
    assert drawings.shape == (2, 2, 4, 128, 128) and drawings.dtype == torch.float32
    assert (drawings[:, :, :3] <= drawings[:, :, 3:] + 1e-6).all() and drawings.min() >= 0
    assert drawings[0, 0, :, 64, 64].tolist() == [1, 0, 0, 1]
    assert drawings[1, 1, 1, 64, 64] == pytest.approx(128 / 255)  # "green" is half bright in SVG
    assert drawings_digest(drawings) == drawings_digest(render_drawings(WORLD, modules))
    assert drawings_digest(drawings) != drawings_digest(drawings.flip(0))


def placed(seed: int, count: int = 16, size: int = 24) -> torch.Tensor:
    drawings = make_drawings().flatten(0, 1).repeat(count // 4, 1, 1, 1)
    backgrounds = torch.tensor([0.0, 0.0, 1.0]).expand(count, 3)
    return augment(drawings, backgrounds, size, torch.Generator().manual_seed(seed))


def test_augmented_pictures_are_in_range_and_random_by_the_generator_alone():
    pictures = placed(0)
    assert pictures.shape == (16, 3, 24, 24) and pictures.dtype == torch.float32
    assert pictures.min() >= -1 and pictures.max() <= 1
    torch.manual_seed(123)
    assert torch.equal(placed(0), pictures)
    assert not torch.equal(placed(1), pictures)
    assert not torch.equal(pictures[0], pictures[4])  # the same drawing, placed otherwise


def test_augmented_pictures_show_the_drawing_on_the_background():
    pictures = placed(0)
    assert torch.allclose(pictures[:, :, 0, 0], torch.tensor([-1.0, -1.0, 1.0]).expand(16, 3), atol=1e-4)
    wanted = torch.tensor(list(COLOURS.values())).repeat(8, 1) * 2 - 1
    assert torch.allclose(pictures[:, :, 12, 12], wanted, atol=1e-4)


def test_nothing_drawn_leaves_the_background_and_no_dark_edge():
    backgrounds = torch.tensor([[1.0, 1.0, 1.0], [0.2, 0.4, 0.6]])
    empty = augment(torch.zeros(2, 4, 32, 32), backgrounds, 16, torch.Generator().manual_seed(0))
    assert torch.allclose(empty, (backgrounds * 2 - 1)[:, :, None, None].expand_as(empty), atol=1e-6)
    white = augment(torch.ones(2, 4, 32, 32), torch.ones(2, 3), 16, torch.Generator().manual_seed(0))
    assert torch.allclose(white, torch.ones_like(white), atol=1e-5)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(WORLD, make_drawings(), rounds=50, size=16, seed=0)


def test_a_corpus_labels_what_its_pictures_show(corpus):
    assert len(corpus) == 200 and corpus.pictures.shape == (200, 3, 16, 16)
    assert corpus.pictures.dtype == torch.uint8
    inputs = corpus.inputs(torch.arange(200))
    assert inputs.dtype == torch.float32 and inputs.min() >= -1 and inputs.max() <= 1
    centre, corner = inputs[:, :, 8, 8] / 2 + 0.5, inputs[:, :, 0, 0] / 2 + 0.5
    styles = torch.tensor(list(COLOURS.values()))[corpus.styles]
    colours = torch.tensor([each.rgb for each in WORLD.backgrounds.values()])[corpus.backgrounds] / 255
    assert torch.allclose(centre, styles, atol=0.02)
    assert torch.allclose(corner, colours, atol=0.02)
    # A square covers its corners, a disc of about the same width does not.
    reach = (inputs - inputs[:, :, :1, :1]).abs().amax(dim=1)[:, 4, 4] > 0.5
    assert reach[corpus.subjects == 1].float().mean() > reach[corpus.subjects == 0].float().mean() + 0.3


def test_a_corpus_is_balanced_over_drawings_and_mostly_white(corpus):
    drawings = corpus.subjects * 2 + corpus.styles
    assert drawings.bincount().tolist() == [50] * 4
    shares = corpus.backgrounds.bincount() / 200
    assert abs(shares[0] - WHITE_SHARE) < 0.12 and min(shares[1:]) > 0.15


def test_a_corpus_depends_on_its_seed(corpus):
    again = make_corpus(WORLD, make_drawings(), rounds=50, size=16, seed=0)
    assert torch.equal(again.pictures, corpus.pictures)
    other = make_corpus(WORLD, make_drawings(), rounds=50, size=16, seed=1)
    assert not torch.equal(other.pictures, corpus.pictures)


def test_captions_belong_to_their_pictures(corpus):
    import random

    indices = torch.tensor([0, 1, 2, 3, 117])
    captions = corpus.captions(indices, random.Random(0))
    for i, caption in zip(indices.tolist(), captions, strict=True):
        subject = list(WORLD.subjects.values())[corpus.subjects[i]]
        assert any(words in caption for words in subject.train + subject.held_out)
        assert list(WORLD.styles)[corpus.styles[i]] in caption
        assert list(WORLD.backgrounds.values())[corpus.backgrounds[i]].words in caption
    assert captions == corpus.captions(indices, random.Random(0))


def test_one_of_each_holds_different_drawings_of_any_round(corpus):
    generator, rounds = torch.Generator().manual_seed(0), set()
    for count in (1, 3, 4):
        for _ in range(20):
            indices = corpus.one_of_each(generator, count)
            drawings = corpus.subjects[indices] * 2 + corpus.styles[indices]
            assert len(indices) == count == len(set(drawings.tolist()))
            rounds |= set((indices // 4).tolist())
    assert len(rounds) > 40
