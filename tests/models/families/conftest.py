"""A model of every family."""

from collections.abc import Callable
from pathlib import Path

import pytest

from expunge.models.resolver import read_folder
from expunge.models.text_to_image import TextToImage
from tests.families import FAMILIES, make_family


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory) -> Callable[[str], Path]:
    """Folders of families by name, made once. Tests leave them as they are."""
    home, made = tmp_path_factory.mktemp("families"), dict[str, Path]()

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = make_family(name, home / name)
        return made[name]

    return folder


@pytest.fixture(params=sorted(FAMILIES))
def family(request, family_folder) -> tuple[str, TextToImage]:
    """Each family's name, and a fresh model of it that draws as small pictures as it can."""
    model = read_folder(family_folder(request.param))
    return request.param, model.at_size(model.smallest_size)


def texts_of(name: str) -> list[str]:
    """Two texts that a family draws; of different lengths, where it reads sentences."""
    return ["cat", "dog"] if name == "dit" else ["a cat", "the dog in noto style on white"]
