"""What each method of a benchmark leaves where the target was: the same prompts and noise, method below method.

    python -m benchmarks.side_by_side --config configs/benchmark-instead.yaml --targets object:umbrella style:blob \
        --out benchmarks/results/instead/pictures.png                                       a minute a picture's row

Models are made as the benchmark makes them, with its first seed and the learning rates that its tuning chose; cells
that are in its folder are not run again. Prompts are held out and spread evenly: none is chosen by eye.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expunge.benchmark.bench import Bench, Materials
from expunge.benchmark.benchmark_settings import BenchmarkSettings, TargetEntry
from expunge.benchmark.run_cell import made, step_cost
from expunge.benchmark.runner import cell_of, tuned_rates
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.progress import track
from expunge.prompts.pairing import forget_prompts

SEED = 11  # of prompts and noise
WIDE = 0.62  # inches a picture


def drawn(bench: Bench, target: TargetEntry, rates: dict[str, float], count: int) -> list[tuple[str, np.ndarray]]:
    """Labels and uint8 pictures ``(count, h, w, 3)``: the base model, then each method.

    Raises:
        ExpungeError: the target is unknown, or a method refuses it.
    """
    settings = bench.settings
    resolved = target.resolve(bench.case.world)
    materials = Materials.of(bench, resolved)
    prompts = forget_prompts(resolved, bench.case.world, "held_out", count, SEED)

    def shown(model: TextToImage) -> np.ndarray:
        return draw_with_own_seeds(model, prompts, f"side by side/{SEED}", bench.case.drawing, "").pictures

    rows = [("base model", shown(bench.model))]
    comparison = next(iter(settings.comparisons))
    for entry in track(settings.entries, f"Unlearning {target.name}"):
        cell = cell_of(settings, entry, target, settings.seeds[0], comparison, rates)
        rows.append((entry.name, shown(made(cell, bench, materials, step_cost(cell, bench, materials)).model)))
    return rows


def picture(shown: dict[str, list[tuple[str, np.ndarray]]]) -> Figure:
    """A block for each target, a row for each model."""
    count = len(next(iter(shown.values()))[0][1])
    rows = sum(len(each) for each in shown.values())
    figure = Figure(figsize=(1.7 + count * WIDE, (rows + 0.5 * len(shown)) * WIDE), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(shown), 1, height_ratios=[len(each) for each in shown.values()]))
    with matplotlib.rc_context({"font.size": 8}):
        for part, (name, models) in zip(parts, shown.items(), strict=True):
            part.suptitle(name, x=0.01, ha="left", fontsize=9)
            axes: Sequence[Axes] = np.atleast_1d(part.subplots(len(models), 1)).tolist()
            for each, (label, pictures) in zip(axes, models, strict=True):
                each.imshow(np.concatenate(list(pictures), axis=1))
                each.set_ylabel(label, rotation=0, ha="right", va="center")
                each.set_xticks([])
                each.set_yticks([])
                each.spines[:].set_visible(False)
    return figure


def main() -> None:
    """Make the models that are shown, and write the picture."""
    parser = argparse.ArgumentParser(description="What each method leaves where the target was.")
    parser.add_argument("--config", type=Path, required=True, help="of benchmark_pipeline")
    parser.add_argument("--targets", nargs="+", required=True, metavar="KIND:NAME")
    parser.add_argument("--methods", nargs="+", metavar="LABEL", help="default: all")
    parser.add_argument("--pictures", type=int, default=10, help="a row")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    given = yaml.safe_load(options.config.read_text(encoding="utf-8"))["parameters"]
    settings = BenchmarkSettings.model_validate(given["benchmark"])
    bench = Bench.named(given["base_model"], given["world"], given["judges"], settings)
    rates = tuned_rates(bench, Path(given["folder"]))
    if options.methods:
        entries = tuple(each for each in settings.entries if each.name in options.methods)
        bench = Bench(bench.model, bench.case, bench.pool, settings.model_copy(update={"methods": entries}))
    shown = {}
    for each in options.targets:
        kind, _, name = each.partition(":")
        target = TargetEntry.model_validate({"kind": kind, "name": name})
        shown[f"{kind} {name}"] = drawn(bench, target, rates, options.pictures)
    picture(shown).savefig(options.out, dpi=110, facecolor="white")
    print(f"Wrote {options.out}")


if __name__ == "__main__":
    main()
