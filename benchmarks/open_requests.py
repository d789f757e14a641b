"""What it costs that the world does not list a target: the zoo by its grid, and by the open path.

    python -m benchmarks.open_requests --out benchmarks/results/open_requests.md          half an hour, two cores

By the open path the target is taken out of the zoo's world, the world is open, and the only judge is the zoo's CLIP,
zero-shot: what is drawn instead, what is retained and when to stop is found without the classifiers. Both are then
measured alike, by the zoo's whole panel on the whole grid, on the same prompts and noise. Default settings, one seed.
"""

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import torch

from expunge.benchmark.machine import command, machine_line
from expunge.benchmark.measuring import MeasuringSettings, measure
from expunge.case import Case
from expunge.judges.load_panel import load_panel
from expunge.markdown import markdown_table
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.pictures.picture_store import PictureStore
from expunge.prompts.load_world import load_world
from expunge.prompts.open_requests import opened
from expunge.prompts.target import resolve_target
from expunge.prompts.world import World
from expunge.takedown.request import Kind, TakedownRequest
from expunge.unlearning.diversification import diversify
from expunge.unlearning.job import measure_gradients, unlearn_model
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)
from expunge.zoo.zoo_panel import WEIGHTS

TARGETS = {"umbrella": Kind.OBJECT, "rocket": Kind.OBJECT, "blob": Kind.STYLE}
SHOWN = ("unlearning_accuracy", "unlearning_accuracy_clip", "content_kept", "proper_picture", "retain_accuracy")
DRAWING = DrawingSettings(steps=10, guidance=2.5)
SIZES = MeasuringSettings(
    held_out_pictures=192, train_pictures=96, reference_pictures=96, target_pictures=64, drawing=DRAWING
)


def without(world: World, factor: str, level: str) -> World:
    """The world with one level fewer, open."""
    left = {name: each for name, each in world.factors[factor].items() if name != level}
    return world.model_copy(update={"factors": world.factors | {factor: left}, "open": ["subject", "style"]})


def forgotten(model: TextToImage, case: Case) -> tuple[TextToImage, int]:
    """The model without the case's target, and the steps that it took; as the steps of ``unlearn_pipeline`` do it."""
    sizes, how = DiversificationSettings(), UnlearnSettings()
    pool = draw_over_world(model, case.world, "train", sizes.pool_per_stratum, sizes.seed, case.drawing)
    sets = diversify(model, pool, case, sizes)
    cache = measure_gradients(model, TrainingSets(sets.forget, sets.retain), GradientSettings(), how.forgetting())
    unlearned, trace = unlearn_model(
        model, TrainingSets(sets.forget, sets.retain, cache), case, how, CheckSettings(pictures=24, steps=10)
    )
    return unlearned, len(trace.rows)


def main() -> None:
    """Run, print, and write the table down."""
    parser = argparse.ArgumentParser(description="The zoo by its grid and by the open path.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, grid = load_text_to_image("zoo"), load_world("zoo")
    whole, clip = load_panel("zoo", grid), f"local-dir:{WEIGHTS / 'clip'}"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pictures = PictureStore(Path(folder))
        for name, kind in TARGETS.items():
            asked = TakedownRequest(id=name, kind=kind, target=name, filed_at=datetime.now(UTC))
            target = resolve_target(asked, grid)
            judged = Case.of(grid, whole, DRAWING).about([target])
            world = opened(without(grid, target.factor, target.levels[0]), [asked])
            open_case = Case.of(world, load_panel(clip, world), DRAWING).about([resolve_target(asked, world)])
            for path, case in {"grid": judged, "open": open_case}.items():
                unlearned, steps = forgotten(model, case)
                found = measure(unlearned, model, judged, SIZES, pictures).result.evaluation
                numbers = found.targets[0].numbers | found.rest
                shown = [
                    f"{100 * numbers[each].after.value:.1f} ({100 * numbers[each].before.value:.1f})" for each in SHOWN
                ]
                rows.append([f"{kind.value} {name}", path, *shown, str(steps)])
                print(*rows[-1], sep=" · ", flush=True)
    head = ["target", "path", "UA", "UA by CLIP", "content kept", "proper", "RA", "steps"]
    facts = machine_line()
    text = "In per cent, before unlearning in brackets.\n\n" + markdown_table(head, rows)
    options.out.write_text(f"{text}\n\n`{command()}`: {facts}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
