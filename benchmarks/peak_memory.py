"""How much memory unlearning takes at its highest, beside what `expunge doctor` says before the model is loaded.

    python -m benchmarks.peak_memory --out benchmarks/results/peak_memory.md      five minutes

A Stable Diffusion pipeline with random weights, on the CPU, each row in a process of its own: gradients at the start,
the measured learning rate, steps and a checkpoint after each. Counted is the memory that the process has for itself
(resident and not of a file), at its most, less what it had before the model was read. Parameters' worth: in units of
the denoiser's float32 parameters, activations included. What weights held in bf16 came as lies in the file meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from expunge.benchmark.machine import command, machine_line
from expunge.benchmark.peak_memory import PeakMemory
from expunge.markdown import markdown_table
from expunge.models.blueprint import blueprint
from expunge.models.hardware import HardwareSettings
from expunge.models.resolver import read_folder
from expunge.pictures.drawing import DrawingSettings
from expunge.unlearning.batches import LatentSet, LatentSets
from expunge.unlearning.gradient_cache import GradientCache, cache_gradients
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.memory import Memory, reckon
from expunge.unlearning.problem import Problem
from expunge.unlearning.unlearn_settings import GradientSettings, UnlearnSettings

SIDE, TOKENS = 16, 16  # latents; tokens of a prompt
ROWS: dict[str, dict[str, Any]] = {
    "everything, one picture at a time": {"batch": 1},
    "everything": {},
    "everything, batches of 8": {"batch": 8},
    "cross-attention": {"trained": {"what": "cross_attention"}},
    "adapter, one picture at a time": {"trained": {"what": "lora", "rank": 16}, "batch": 1},
    "adapter": {"trained": {"what": "lora", "rank": 16}},
    "adapter, gradient checkpointing": {"trained": {"what": "lora", "rank": 16, "gradient_checkpointing": True}},
    "everything, bf16": {"precision": "bf16"},
    "adapter, bf16": {"trained": {"what": "lora", "rank": 16}, "precision": "bf16"},
    "adapter, one picture at a time, bf16": {"trained": {"what": "lora", "rank": 16}, "batch": 1, "precision": "bf16"},
}
MIB, UNIT = 2**20, 4  # bytes; of a float32 number


def hardware_of(row: str) -> HardwareSettings:
    """As the row says."""
    return HardwareSettings(device="cpu", precision=ROWS[row].get("precision", "float32"))


def make_model(folder: Path, channels: int) -> Path:
    """A folder of Stable Diffusion whose denoiser grows with the channels: 160 are 55M parameters."""
    from tests.families import make_family

    make_family("stable_diffusion", folder)
    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=SIDE,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(channels, 2 * channels, 3 * channels),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=8,
    ).save_pretrained(folder / "unet")
    return folder


def settings_of(row: str) -> tuple[DrawingSettings, GradientSettings, UnlearnSettings]:
    """As the row says; nothing is drawn."""
    batch = ROWS[row].get("batch", 2)
    how = {name: each for name, each in ROWS[row].items() if name == "trained"}
    sizes = {"forget_batch_size": batch, "retain_batch_size": {1: 1, 2: 8, 8: 16}[batch]}
    unlearning = UnlearnSettings.model_validate({**how, **sizes, "steps": 2, "checkpoint_every": 1})
    return DrawingSettings(batch_size=1, guidance=1), GradientSettings(batch_size=batch), unlearning


def latents(count: int, width: int) -> LatentSet:
    """Random ones, with anchors and the empty prompt."""
    return LatentSet(
        latents=torch.randn(count, 4, SIDE, SIDE),
        prompt_indices=torch.arange(count) % 2,
        conditions={"encoder_hidden_states": torch.randn(4, 77, width)},
        strata=["all"] * count,
        anchor_indices=2 + torch.arange(count) % 2,
        empty={"encoder_hidden_states": torch.randn(1, 77, width)},
    )


def measured(folder: Path, row: str) -> dict[str, float]:
    """Peaks of this process, MiB, by phase."""
    torch.set_num_threads(1)
    _, gradients, unlearning = settings_of(row)
    torch.nn.functional.conv2d(torch.randn(1, 4, 8, 8, requires_grad=True), torch.randn(4, 4, 3, 3)).sum().backward()
    with PeakMemory() as empty:
        pass
    model = read_folder(folder).on("cpu", hardware_of(row).precision)
    with torch.no_grad():  # weights lie in a file until somebody writes to them; on a device they do not
        for part in model.parts().values():
            for each in part.parameters() if isinstance(part, torch.nn.Module) else ():
                each.copy_(each.clone())
    sets, forgetting = LatentSets(latents(8, 16), latents(32, 16)), unlearning.forgetting()
    with PeakMemory() as first:
        twin = model.to_train(unlearning.trained, to_step=False)
        problem = Problem(twin.denoiser, model, forgetting.objectives(), sets, twin.denoiser)
        cache_gradients(problem, gradients, "model", progress=False).save(folder / "cache")
    del twin, problem
    cache = GradientCache.load(folder / "cache")  # as the step that unlearns has it, from a file
    twin = model.to_train(unlearning.trained)
    hooks = Hooks(checkpoint_folder=folder / "checkpoints", progress=False, original=model.denoiser)
    with PeakMemory() as second:
        unlearn(twin.denoiser, model, sets, unlearning, cache, hooks)
    return {"start": first.megabytes - empty.megabytes, "steps": second.megabytes - empty.megabytes}


def reckoned(folder: Path, row: str) -> Memory:
    """What the doctor says, without loading anything."""
    drawing, gradients, unlearning = settings_of(row)
    return reckon(blueprint(str(folder)), drawing, gradients, unlearning, hardware_of(row))


def compare(folder: Path, row: str) -> list[str]:
    """A row of the table."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    run = [sys.executable, "-m", "benchmarks.peak_memory", "--measure", row, "--model", str(folder)]
    found = json.loads(subprocess.run(run, check=True, capture_output=True, encoding="utf-8", env=environment).stdout)
    said = reckoned(folder, row)
    phases = said.phases
    said_by = {"start": phases["gradients at the start"], "steps": max(phases[name] for name in STEPS)}
    unit, cells = UNIT * sum(p.numel() for p in blueprint(str(folder)).denoiser.parameters()) / MIB, [row]
    for name in ("start", "steps"):
        cells += [
            f"{found[name] / unit:.2f}",
            f"{said_by[name] / MIB / unit:.2f}",
            f"{said_by[name] / MIB / found[name]:.2f}",
        ]
    return cells


RATIOS = (3, 6)  # places in a row
STEPS = ("measuring the rate", "forget gradient", "retain gradient")


def main() -> None:
    """Measure, print, and write the table down."""
    parser = argparse.ArgumentParser(description="Memory at its highest.")
    parser.add_argument("--channels", type=int, default=160, help="of the denoiser; 160 are 55M parameters")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument(
        "--within", type=float, default=1.0, help="exit status 1 if a ratio is further from 1 than that"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", choices=ROWS)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.model, options.measure)))
        return
    rows = []
    for row in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compare(make_model(Path(folder) / "model", options.channels), row))
    heads = ["trained", "start, measured", "doctor", "ratio", "steps, measured", "doctor", "ratio"]
    text = f"Peak memory, parameters' worth. `{command()}`\n\n{markdown_table(heads, rows)}\n\n"
    text += f"{machine_line()}\n"
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    sys.exit(any(abs(float(row[place]) - 1) > options.within for row in rows for place in RATIOS))


if __name__ == "__main__":
    main()
