"""What unlearning costs on a GPU: a step beside plain training, the update beside the memory's speed, memory, a job.

    python -m benchmarks.gpu.measure --out benchmarks/results/gpu.md                 sd15 and sdxl, eight minutes
    python -m benchmarks.gpu.measure --sizes tiny --device cpu --out /tmp/tiny.md    to see that it runs

Random weights of published sizes. Rows of a step: two half-steps of plain training (a forward and a backward pass and
torch's fused AdamW, over a forget and over a retain batch), the engine with the same two passes, and the engine as it
is by default, whose two losses also ask the original. All run in the same process, plain training before and after.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gpu.random_models import SIZES, made
from benchmarks.gpu.takedown import takedown
from benchmarks.update_speed import measure as measure_update
from benchmarks.update_speed import ratios
from expunge.benchmark.machine import command, machine
from expunge.markdown import markdown_table
from expunge.models.hardware import Precision
from expunge.models.text_to_image import TextToImage
from expunge.models.trained_part import TrainedSettings
from expunge.unlearning.batches import LatentSet, denoising_error, draw_batch, generator_of
from expunge.unlearning.methods import StepSize, get_method
from expunge.unlearning.problem import Objectives, Problem

BATCH, REPEATS = 4, 5
GIB = 2**30
AS_BEFORE = Objectives(5.0, 1.0)
BY_DEFAULT = Objectives(5.0, 1.0, "original", {"anchor": 1.0}, 0.5)


def latents_of(model: TextToImage, seed: int) -> LatentSet:
    """Random latents under the sentences of a real text encoder, each with its anchor."""
    texts = ["a cat on white", "a dog on white", "the horse in noto style", "an apple by fluent", ""]
    conditions = model.encode_texts(texts)
    count = BATCH * (REPEATS + 1)
    return LatentSet(
        latents=torch.randn(count, *model.latent_shape, generator=generator_of(seed)),
        prompt_indices=torch.arange(count) % 4,
        conditions={name: each[:4] for name, each in conditions.items()},
        strata=["all"] * count,
        anchor_indices=(torch.arange(count) + 1) % 4,
        empty={name: each[4:] for name, each in conditions.items()},
    )


def timed(step: Callable[[int], object], device: str) -> tuple[list[float], float]:
    """Seconds of each repeat but the first, and GiB at the peak (0 where torch does not count)."""
    seconds, cuda = list[float](), device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for number in range(REPEATS + 1):
        if cuda:
            torch.cuda.synchronize()
        began = time.perf_counter()
        step(number)
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return seconds[1:], torch.cuda.max_memory_allocated() / GIB if cuda else 0.0


def plain(model: TextToImage, sets: list[LatentSet], trained: TrainedSettings) -> Callable[[int], object]:
    """Two half-steps of training."""
    twin = model.to_train(trained)
    parameters = [each for each in twin.denoiser.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-6, fused=True)

    def step(number: int) -> None:
        for side, data in enumerate(sets):
            batch = draw_batch(data, indices(number), model.levels, generator_of(number, side))
            batch = batch.to(parameters[0].device, torch.float32)
            optimiser.zero_grad(set_to_none=True)
            denoising_error(twin.denoiser, model, batch).mean().backward()
            optimiser.step()

    return step


def engine(
    model: TextToImage, sets: list[LatentSet], trained: TrainedSettings, objectives: Objectives
) -> Callable[[int], object]:
    """A step of ours."""
    problem = Problem(model.to_train(trained).denoiser, model, objectives, original=model.denoiser)
    kind = get_method("stepping_metric")
    method = kind(problem, kind.settings_type.model_validate({"warm_start": False}), None)

    def step(number: int) -> None:
        forget, retain = (
            draw_batch(data, indices(number), model.levels, generator_of(number, side))
            for side, data in enumerate(sets)
        )
        method.step(forget, [retain], StepSize(1e-6))

    return step


def indices(number: int) -> torch.Tensor:
    """Members of a batch."""
    return torch.arange(BATCH) + BATCH * number


def rows_of_steps(size: str, device: str, folder: Path) -> list[list[str]]:
    """Of one model: by precision and by what is trained."""
    model, rows = made(size, folder, device), []
    sets = [latents_of(model, 1), latents_of(model, 2)]
    billions = sum(each.numel() for each in model.denoiser.parameters()) / 1e9
    precisions: tuple[Precision, ...] = ("float32", "bf16")
    for precision in precisions:
        model.on(device, precision)
        for what in ("denoiser", "lora"):
            trained = TrainedSettings.model_validate({"what": what, "gradient_checkpointing": size == "sdxl"})
            makers: dict[str, Callable[[], Callable[[int], object]]] = {
                "plain": lambda trained=trained: plain(model, sets, trained),
                "engine": lambda trained=trained: engine(model, sets, trained, AS_BEFORE),
                "engine, default": lambda trained=trained: engine(model, sets, trained, BY_DEFAULT),
                "plain again": lambda trained=trained: plain(model, sets, trained),
            }
            known: dict[str, list[float]] = {}
            for name, make in makers.items():
                known[name], peak = timed(make(), device)
                gc.collect()
                if device.startswith("cuda"):
                    torch.cuda.empty_cache()
                ratio = ratios(known[name], known["plain"])
                cells = [f"{statistics.median(known[name]):.3f}", f"{ratio['median']:.3f}"]
                cells += [f"{peak:.1f}", f"{peak / (4 * billions * 1e9 / GIB):.1f}"] if peak else ["not counted"] * 2
                rows.append([f"{size}, {billions:.3g}G", precision, what, name, *cells])
                print(*rows[-1], sep=" · ", flush=True)
    return rows


def main() -> None:
    """Measure, print each row, and write the tables."""
    parser = argparse.ArgumentParser(description="What unlearning costs on a GPU.")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["sd15", "sdxl"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parameters", type=int, default=859_500_000, help="of the update's own measurement")
    parser.add_argument("--takedown", choices=SIZES, default="sd15", help="size of the model that forgets")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        steps = [
            row for size in options.sizes for row in rows_of_steps(size, options.device, Path(home, f"words-{size}"))
        ]
        found = measure_update(options.parameters, REPEATS, options.device)
        update = [
            [name, f"{statistics.median(found[name]):.3g}", f"{ratios(found[name], found[floor])['median']:.2f}"]
            for name, floor in (("Euclid", "floor"), ("metric", "floor, metric"), ("flatten", "floor"))
        ]
        job = takedown(made(options.takedown, Path(home, "words"), options.device), options.device, Path(home))
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else "no GPU"
    facts = ", ".join(f"{key} {value}" for key, value in {"device": name, **machine()}.items())
    head = ["model", "precision", "trained", "step", "seconds", "× plain", "peak, GiB", "× the denoiser's weights"]
    text = [f"Unlearning on a GPU, batches of {BATCH} and {BATCH}. `{command()}`", markdown_table(head, steps)]
    text += [f"Forming the update, {options.parameters / 1e6:.4g}M parameters"]
    text += [markdown_table(["way", "seconds", "× the memory's floor"], update)]
    text += [f"A takedown, {options.takedown}", markdown_table(["step", "seconds"], job), facts]
    options.out.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    print(f"Wrote {options.out}")


if __name__ == "__main__":
    main()
