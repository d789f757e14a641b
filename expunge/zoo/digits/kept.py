"""The digits' model and judges, trained on first use and kept, by the recipe they were made with."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from expunge.judges.panel import Panel
from expunge.models.families.class_conditional import ClassConditional
from expunge.settings import Settings
from expunge.zoo.digits.digits_data import read_digits, split_digits
from expunge.zoo.digits.digits_denoiser import DenoiserRecipe, train_model
from expunge.zoo.digits.digits_judges import JudgeRecipe, load_judges, save_judges, train_judges

HOME = Path(".expunge") / "digits"
RECIPE_VERSION = 1  # raise it when a change of code changes what a recipe makes


def digits_folder(recipe: DenoiserRecipe | None = None, home: Path = HOME) -> Path:
    """The folder of the class-conditional model of digits. Training takes minutes, once.

    Args:
        recipe: how it is trained; None for the recipe as it stands.
        home: where it is kept.
    """
    recipe = recipe or DenoiserRecipe()
    return _kept(home, "model", recipe, lambda folder: train_model(read_digits(), recipe).save(folder))


def digits_model(recipe: DenoiserRecipe | None = None, home: Path = HOME) -> ClassConditional:
    """The model in ``digits_folder``; arguments are as there."""
    return ClassConditional.load(digits_folder(recipe, home))


def digits_panel(recipe: JudgeRecipe | None = None, home: Path = HOME) -> Panel:
    """The judges of digits. Training takes a minute, once; arguments are as in ``digits_model``."""
    recipe = recipe or JudgeRecipe()
    training, _ = split_digits()
    return load_judges(
        _kept(home, "judges", recipe, lambda folder: save_judges(train_judges(training, recipe), folder))
    )


def _kept(home: Path, name: str, recipe: Settings, make: Callable[[Path], None]) -> Path:
    """The folder of what the recipe makes; made under another name and renamed, so that it is whole or not there."""
    key = hashlib.sha256(f"{RECIPE_VERSION} {recipe.model_dump_json()}".encode()).hexdigest()[:16]
    folder = home / f"{name}-{key}"
    if folder.is_dir():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="partial-", dir=home) as temporary:
        new = Path(temporary) / name
        new.mkdir()
        make(new)
        (new / "recipe.json").write_text(recipe.model_dump_json(indent=1) + "\n", encoding="utf-8")
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same recipe
                raise
    return folder
