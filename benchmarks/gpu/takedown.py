"""A whole takedown as the library does it, timed by step; without ZenML and MLflow, which a GPU host need not have."""

import time
from dataclasses import replace
from pathlib import Path

from expunge.case import Case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import evaluate
from expunge.evaluation.gate import GateThresholds, judge
from expunge.judges.load_panel import load_panel
from expunge.models.resolver import read_folder
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.pictures.picture_store import PictureStore
from expunge.prompts.named_targets import read_targets
from expunge.prompts.world import Level, World
from expunge.unlearning.diversification import diversify
from expunge.unlearning.job import measure_gradients, unlearn_model
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)
from tests.tiny_clip import make_tiny_clip

STEPS = 10  # of unlearning; of sampling
WORLD = World(
    templates={
        "train": ["a {subject} in {style} style", "the {subject} by {style}"],
        "held_out": ["{style} {subject}"],
    },
    factors={
        "subject": {name: Level(train=[name], held_out=[name]) for name in ("cat", "dog", "horse", "car")},
        "style": {name: Level(train=[name], held_out=[name]) for name in ("noto", "twemoji", "fluent")},
    },
)


def takedown(model: TextToImage, device: str, home: Path) -> list[list[str]]:
    """Have a model forget a cat; rows of steps and their seconds.

    Args:
        model: is saved, and its folder read again.
        device: where it runs.
        home: an empty folder.
    """
    rows, began = list[list[str]](), time.perf_counter()

    def done(step: str) -> None:
        nonlocal began
        rows.append([step, f"{time.perf_counter() - began:.1f}"])
        print(*rows[-1], sep=" · ", flush=True)
        began = time.perf_counter()

    drawing = DrawingSettings(steps=STEPS, guidance=2.0, batch_size=8)
    panel = load_panel(f"local-dir:{make_tiny_clip(home / 'clip')}", WORLD, device)
    case = Case.of(WORLD, panel, drawing).about(read_targets(["object:cat"], WORLD))
    case = case.model_copy(update={"device": device, "precision": "bf16"})
    model.save(home / "base")
    base = case.placed(read_folder(home / "base"))
    done("save and load")
    sizes = DiversificationSettings(pool_per_stratum=1, forget_size=8, paired_size=4)
    pool = draw_over_world(base, WORLD, "train", sizes.pool_per_stratum, sizes.seed, drawing)
    done("draw pool")
    sets = diversify(base, pool, case, sizes)
    done("diversify")
    how = UnlearnSettings(
        steps=STEPS,
        learning_rate=1e-6,
        pace=None,
        stop_at=None,
        forget_batch_size=4,
        retain_batch_size=4,
        check_every=5,
    )
    training = TrainingSets(sets.forget, sets.retain)
    cache = measure_gradients(base, training, GradientSettings(batch_size=4), how.forgetting())
    done("cache gradients")
    check = CheckSettings(pictures=4, steps=STEPS)
    unlearned, trace = unlearn_model(base, replace(training, cache=cache), case, how, check)
    done(f"unlearn, {len(trace.rows)} steps")
    measured = EvaluationSettings(held_out_per_stratum=1, target_pictures=6, reference_pictures=12)
    scores = evaluate(unlearned, base, case, measured, PictureStore(home / "pictures")).scores
    done("evaluate")
    judge(scores.result.evaluation, GateThresholds())
    unlearned.save(home / "unlearned")
    read_folder(home / "unlearned")
    done("gate, save and load")
    return rows
