"""A sequence of three takedowns on the tiny model, in the colour world."""

from pathlib import Path

import pytest

from expunge.benchmark.sequence import Round, run_sequence
from expunge.benchmark.sequence_settings import SequentialSettings
from expunge.case import Case
from expunge.pictures.drawing import DrawingSettings
from tests.metrics.colour_judges import WORLD, colour_panel
from tests.threads import one_thread  # noqa: F401

SMALL = {
    "targets": ["object:cat", "style:blob", "object:apple"],
    "diversification": {"pool_per_stratum": 1, "forget_size": 6, "paired_size": 3, "held_pictures": 0},
    "drawing": {"steps": 1, "guidance": 1},
    "gradients": {"batch_size": 16},
    "unlearning": {
        "steps": 2,
        "learning_rate": 1e-3,
        "forget_batch_size": 4,
        "retain_batch_size": 4,
        "check_every": 2,
        "pace": None,
    },
    "check": {"pictures": 3, "steps": 1},
    "measuring": {
        "target_pictures": 4,
        "held_out_pictures": 24,
        "train_pictures": 12,
        "drawing": {"steps": 1, "guidance": 1},
    },
}


def small(**changed: object) -> SequentialSettings:
    """The settings above with some of them changed."""
    return SequentialSettings.model_validate({**SMALL, **changed})


def colour_case() -> Case:
    """The world of colours."""
    return Case.of(WORLD, colour_panel(), DrawingSettings(steps=1, guidance=1))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sequence")


@pytest.fixture(scope="session")
def rounds(tiny_model, folder: Path) -> list[Round]:
    return run_sequence(tiny_model, colour_case(), small(), folder)
