"""Train the model that never saw a target: the reference that a forgotten target is measured against.

    python benchmarks/never_saw.py --leave-out cat                     about two hours on one core
    python benchmarks/never_saw.py --leave-out cat --steps 3000        a third of that; softer pictures

Denoiser and text encoder are trained from nothing by the zoo's recipe, on every picture but the target's. The
autoencoder is the zoo's own: it says how pictures are coded, not what is drawn, and so latents, embeddings and
noise mean the same in both models.
"""

import argparse
import time
from pathlib import Path

import torch

from expunge.benchmark.machine import command, machine
from expunge.models.resolver import load_text_to_image
from expunge.pictures.drawing import DrawingSettings
from expunge.zoo.recipe import RecipeSettings, pretrain_model, score
from expunge.zoo.zoo_panel import zoo_panel


def main() -> None:
    """Train, score, save."""
    parser = argparse.ArgumentParser(description="Train a zoo model that never sees some of its world.")
    parser.add_argument("--leave-out", nargs="+", default=["cat"], metavar="NAME", help="subjects or styles")
    parser.add_argument("--steps", type=int, default=RecipeSettings().denoiser_steps, help="of the denoiser")
    parser.add_argument("--threads", type=int, default=None, help="default: as torch chooses")
    parser.add_argument("--output", type=Path, default=None, help="default: .expunge/never-saw-NAMES")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    settings = RecipeSettings(leave_out=tuple(options.leave_out), denoiser_steps=options.steps)
    output = options.output or Path(".expunge") / f"never-saw-{'-'.join(options.leave_out)}"
    started = time.perf_counter()
    model = pretrain_model(settings, load_text_to_image("zoo").pipeline.vae)
    minutes = (time.perf_counter() - started) / 60
    output.mkdir(parents=True, exist_ok=True)
    model.save(output / "emoji")
    scores, _ = score(model, zoo_panel(), DrawingSettings())
    print(f"{output}: {minutes:.0f} minutes; {scores.model_dump_json()}")
    print(f"{command()}; {machine()}")


if __name__ == "__main__":
    main()
