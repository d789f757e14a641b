"""The judges of digits: they learn, they know nothing when they see it, and they refuse what they cannot judge."""

import numpy as np
import pytest
import torch

from expunge.errors import ExpungeError
from expunge.zoo.digits.digits_data import CLASSES, split_digits
from expunge.zoo.digits.digits_judges import WIDTH, JudgeRecipe, load_judges, save_judges, train_judges

FEW = JudgeRecipe(steps=40, batch_size=32)


@pytest.fixture(scope="module")
def panel():
    return train_judges(split_digits()[0], FEW, progress=False)


@pytest.fixture(scope="module")
def held_out() -> tuple[np.ndarray, list[str]]:
    digits = split_digits()[1]
    pictures = ((digits.pictures + 1) * 127.5).round().to(torch.uint8).expand(-1, 3, -1, -1)
    return pictures.permute(0, 2, 3, 1).numpy(), [CLASSES[label] for label in digits.labels]


def test_both_know_digits_they_have_not_seen(panel, held_out):
    pictures, names = held_out
    found = panel.classifiers["subject"].recognise(pictures)
    assert np.mean([a == b for a, b in zip(found, names, strict=True)]) > 0.85
    cosines = panel.clip.picture_features(pictures) @ panel.clip.text_features(list(CLASSES)).T
    assert np.mean([CLASSES[i] == name for i, name in zip(cosines.argmax(axis=1), names, strict=True)]) > 0.85


def test_what_shows_nothing_is_none(panel):
    noise = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    plain = np.repeat(np.arange(0, 250, 10, dtype=np.uint8), 8 * 8 * 3).reshape(25, 8, 8, 3)
    for pictures in (noise, plain):
        assert np.mean([each == "none" for each in panel.classifiers["subject"].recognise(pictures)]) > 0.8


def test_the_two_are_trained_apart(panel):
    first, second = panel.classifiers["subject"].network, panel.clip.network
    assert not torch.equal(first[0].weight, second[0].weight)


def test_features_have_length_one_and_the_panel_uses_them(panel, held_out):
    from expunge.zoo.digits.digits_data import digits_world

    pictures, names = held_out
    for rows in (panel.clip.picture_features(pictures), panel.clip.text_features(["two", "two", "nine"])):
        assert rows.shape[1] == WIDTH and rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert panel.clip.picture_features(pictures[:0]).shape == (0, WIDTH)
    found = panel.recognise_by_clip(pictures, "subject", digits_world())
    assert np.mean([a == b for a, b in zip(found, names, strict=True)]) > 0.85


def test_what_cannot_be_judged_is_refused(panel):
    for judge in (panel.classifiers["subject"].recognise, panel.clip.picture_features):
        with pytest.raises(ExpungeError, match=r"judges: 'digits' take pictures \(8, 8, 3\), these are \(64, 64, 3\)"):
            judge(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(ExpungeError, match="judges: 'digits' know no 'a cat', but zero, one"):
        panel.clip.text_features(["two", "a cat"])


def test_saved_judges_are_the_same(panel, held_out, tmp_path):
    pictures, _ = held_out
    save_judges(panel, tmp_path)
    back = load_judges(tmp_path)
    assert back.classifiers["subject"].recognise(pictures) == panel.classifiers["subject"].recognise(pictures)
    assert (back.clip.picture_features(pictures) == panel.clip.picture_features(pictures)).all()
    assert (back.clip.text_features(list(CLASSES)) == panel.clip.text_features(list(CLASSES))).all()
    card = tmp_path / "judges.json"
    card.write_text(card.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(ValueError, match="digits' judges, format 2: this version reads 1"):
        load_judges(tmp_path)
