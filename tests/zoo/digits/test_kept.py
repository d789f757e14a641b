"""What is trained on first use is kept, by its recipe, and is whole or not there."""

from pathlib import Path

import pytest

from expunge.errors import ExpungeError
from expunge.judges.load_panel import load_panel
from expunge.models.resolver import load_text_to_image
from expunge.prompts.load_world import load_world
from expunge.zoo.digits import kept
from expunge.zoo.digits.digits_data import read_digits
from expunge.zoo.digits.digits_denoiser import DenoiserRecipe
from expunge.zoo.digits.digits_judges import JudgeRecipe, save_judges, train_judges
from tests.zoo.digits.tiny import make_tiny_digits

TINY = DenoiserRecipe(steps=2, batch_size=4, channels=(16, 16))


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def test_a_model_is_trained_once_and_again_for_another_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = kept.digits_model(TINY, tmp_path)
    (made,) = names(tmp_path)
    assert made.startswith("model-")
    trained = []
    monkeypatch.setattr(kept, "train_model", lambda *given: trained.append(given))
    assert kept.digits_model(TINY, tmp_path).digest() == first.digest() and not trained
    monkeypatch.undo()
    other = kept.digits_model(TINY.model_copy(update={"steps": 3}), tmp_path)
    assert other.digest() != first.digest() and len(names(tmp_path)) == 2


def test_a_training_that_breaks_off_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(kept, "train_model", broken)
    with pytest.raises(KeyboardInterrupt):
        kept.digits_model(TINY, tmp_path)
    assert names(tmp_path) == []


def test_who_comes_second_takes_what_the_first_has_made(tmp_path: Path):
    made = kept._kept(tmp_path, "model", TINY, lambda folder: (folder / "whose").write_text("first"))
    here = made.rename(tmp_path / "elsewhere")

    def slow(folder: Path) -> None:
        (folder / "whose").write_text("second")
        here.rename(made)  # the other process is done in the meantime

    assert (kept._kept(tmp_path, "model", TINY, slow) / "whose").read_text() == "first"
    assert names(tmp_path) == [made.name]


def test_judges_are_kept_too(tmp_path: Path):
    recipe = JudgeRecipe(steps=2, batch_size=4)
    panel, again = kept.digits_panel(recipe, tmp_path), kept.digits_panel(recipe, tmp_path)
    assert panel.clip.name == again.clip.name == "digits-features" and list(panel.classifiers) == ["subject"]
    (made,) = names(tmp_path)
    assert {path.suffix for path in (tmp_path / made).iterdir()} == {".json", ".safetensors"}


def test_digits_is_the_name_of_what_is_kept_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    tiny, panel = make_tiny_digits(), train_judges(read_digits(), JudgeRecipe(steps=1, batch_size=4), progress=False)
    kept._kept(kept.HOME, "model", DenoiserRecipe(), tiny.save)
    kept._kept(kept.HOME, "judges", JudgeRecipe(), lambda folder: save_judges(panel, folder))
    assert load_text_to_image("digits").digest() == tiny.digest()
    found = load_panel("digits", load_world("digits"))
    assert (found.clip.text_features(["two"]) == panel.clip.text_features(["two"])).all()
    with pytest.raises(ExpungeError, match="the model draws no 'a cat'; it draws zero"):
        load_text_to_image("digits").draw(["a cat"], [0])


@pytest.mark.slow
def test_the_recipes_keep_what_they_promise_in_a_fraction_of_their_steps(tmp_path: Path):
    from expunge.zoo.digits.digits_data import CLASSES

    panel = kept.digits_panel(JudgeRecipe(steps=JudgeRecipe().steps // 3), tmp_path)
    texts = [name for name in CLASSES for _ in range(20)]
    short = DenoiserRecipe(steps=DenoiserRecipe().steps // 5)
    drawn = kept.digits_model(short, tmp_path).draw(texts, range(len(texts)), steps=10)
    found = panel.classifiers["subject"].recognise(drawn)
    assert sum(a == b for a, b in zip(found, texts, strict=True)) >= 0.98 * len(texts)
