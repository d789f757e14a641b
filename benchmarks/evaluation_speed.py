"""How long an evaluation takes, where the time goes, and whether memory grows with the number of pictures.

    python benchmarks/evaluation_speed.py                               2,000 and 500 pictures; five minutes
    python benchmarks/evaluation_speed.py --pictures 200 --drawing-steps 5
    python benchmarks/evaluation_speed.py --json benchmarks/results/evaluation_speed.json

Pictures count those of both models together. Every size runs in a process of its own, from models on disk to
written page, with an empty picture store. Drawing is everything inside the diffusion pipeline.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PARTS = ("drawing", "judging", "scoring", "page", "in all")


def measure(pictures: int, drawing_steps: int) -> dict[str, Any]:
    """Seconds by part and peak memory in MB of one evaluation of the zoo against a slightly changed zoo."""
    import torch

    from expunge.benchmark.peak_memory import PeakMemory
    from expunge.case import name_case
    from expunge.evaluation import evaluator as run
    from expunge.evaluation.evaluation_settings import EvaluationSettings
    from expunge.models.resolver import load_text_to_image
    from expunge.pictures.drawing import DrawingSettings
    from expunge.pictures.picture_store import PictureStore
    from expunge.reports.evaluation_files import Shown, write_evaluation

    model, against = load_text_to_image("zoo"), load_text_to_image("zoo")
    generator = torch.Generator().manual_seed(0)
    for parameter in model.denoiser.parameters():  # two models, so that nothing is drawn once for both
        parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=1e-4)
    case = name_case(["object:cat"], "zoo", "zoo", DrawingSettings(steps=drawing_steps))
    reference = pictures // 8
    each = (pictures - reference) // 2
    target = each // 10
    settings = EvaluationSettings(
        held_out_pictures=(each - target) // 2,
        train_pictures=each - target - (each - target) // 2,
        reference_pictures=reference,
        target_pictures=target,
    )
    seconds = dict.fromkeys(PARTS, 0.0)

    def timed(part: str, function: Any) -> Any:
        def watched(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            found = function(*given, **named)
            seconds[part] += time.perf_counter() - began
            return found

        return watched

    for one in (model, against):
        one.draw = timed("drawing", one.draw)  # type: ignore[method-assign]
    run.judge_shard = timed("judging", run.judge_shard)
    run.score = timed("scoring", run.score)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, PeakMemory() as memory:
        store = PictureStore(Path(folder) / "pictures")
        done = run.evaluate(model, against, case, settings, store, progress=False)
        sides = [
            lambda number, drawer=drawer: drawer.draw(done.shards[number])
            for drawer in (done.drawn_before, done.drawn_after)
        ]
        timed("page", write_evaluation)(Path(folder) / "page", done.scores, Shown(done.shards, *sides, ["-"]))
        drawn = sum(len(shard) * (1 if shard.part == "reference" else 2) for shard in done.shards)
    seconds["in all"] = time.perf_counter() - began
    return {"pictures": drawn, "seconds": seconds, "peak_mb": memory.megabytes}


def main() -> None:
    """Measure a large and a small evaluation, print, and write the numbers down if asked."""
    from expunge.benchmark.machine import command, machine

    parser = argparse.ArgumentParser(description="Time and memory of an evaluation.")
    parser.add_argument("--pictures", type=int, default=2000, help="of both models together")
    parser.add_argument("--drawing-steps", type=int, default=10, help="DDIM steps of each picture")
    parser.add_argument("--json", type=Path, default=None, help="write the numbers to this file")
    options = parser.parse_args()
    if options.pictures < 160:
        parser.error(f"--pictures is {options.pictures}: must be at least 160")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        sizes = [options.pictures, options.pictures // 4]
        found = [pool.apply(measure, (size, options.drawing_steps)) for size in sizes]
    large, small = found
    drawing = large["seconds"]["drawing"] / large["seconds"]["in all"]
    growth = large["peak_mb"] - small["peak_mb"]
    table = Table(title=f"Evaluation of the zoo, {options.drawing_steps} DDIM steps: seconds")
    for heading in ("pictures", *PARTS, "peak MB"):
        table.add_column(heading, justify="right")
    for each in found:
        parts = (f"{each['seconds'][part]:.1f}" for part in PARTS)
        table.add_row(str(each["pictures"]), *parts, f"{each['peak_mb']:.0f}")
    console = Console()
    console.print(table)
    console.print(f"Drawing takes {drawing:.0%} of the time; four times the pictures take {growth:+.0f} MB of memory.")
    facts = machine() | {"command": command(), "drawing_steps": options.drawing_steps}
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        rows = {"facts": facts, "runs": found, "drawing_share": drawing, "memory_growth_mb": growth}
        options.json.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
