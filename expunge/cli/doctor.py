"""``expunge doctor``: whether a model fits, before it is loaded."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from expunge.cli.output import as_json, print_json, print_table, say
from expunge.cli.run_config import read_parameters
from expunge.errors import ExpungeError
from expunge.settings import Settings
from expunge.takedown.plain_yaml import describe

GIB = 2**30
REMEDIES = (
    "hardware.precision: bf16",
    "unlearning.trained.what: lora",
    "unlearning.trained.gradient_checkpointing: true",
    "smaller unlearning.forget_batch_size, retain_batch_size, gradients.batch_size, drawing.batch_size",
    "hardware: {processes: N, sharded: true}",
)


@click.command()
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="As unlearn_pipeline's -c."
)
@click.option("--model", default="", help="A diffusers folder or a named model, in place of the config's base_model.")
@as_json
def doctor(config: Path | None, model: str, machine: bool) -> None:
    """Say whether and how unlearning a model fits into memory, from its configuration alone: no weights are read.

    What torch, the judges and the runtime of a GPU take comes on top.
    """
    given = read_parameters(config) if config else {}
    source = model or given.get("base_model", "zoo")
    from expunge.models.blueprint import blueprint  # torch takes seconds to import
    from expunge.models.device import choose_device
    from expunge.models.hardware import HardwareSettings
    from expunge.pictures.drawing import DrawingSettings
    from expunge.unlearning.memory import reckon
    from expunge.unlearning.unlearn_settings import GradientSettings, UnlearnSettings

    drawing = _read(DrawingSettings, given, "drawing")
    hardware = _read(HardwareSettings, given, "hardware")
    unlearning = _read(UnlearnSettings, given, "unlearning")
    need = reckon(blueprint(source), drawing, _read(GradientSettings, given, "gradients"), unlearning, hardware)
    device = choose_device(hardware.device)
    there = _available(device)
    fits = need.peak <= there
    if machine:
        print_json({**asdict(need), "peak": need.peak, "device": device, "available": there, "fits": fits})
        return
    say(f"{source} on {device}, GiB for each process:")
    by_size = sorted(need.phases.items(), key=lambda each: -each[1])
    print_table(["phase", "at most"], [[name, f"{size / GIB:.2f}"] for name, size in by_size])
    unit = need.denoiser / GIB
    others, trained = need.others / GIB, need.trained / GIB
    say(f"Denoiser {unit:.2f} GiB in {hardware.precision}, other parts {others:.2f}, trained {trained:.2f}.")
    say(f"On top of a champion a run has the first model's denoiser beside all of these: {unit:.2f} GiB more.")
    if need.unknown:
        say("Activations are not in it: this family's text encoder looks into its tokens, which only weights can tell.")
    if fits:
        say(
            f"Fits: {need.peak / GIB:.2f} of {there / GIB:.2f} GiB, {need.peak / need.denoiser:.1f} times the denoiser."
        )
    else:
        say(f"Does not fit: {need.peak / GIB:.2f} GiB, and there are {there / GIB:.2f}. What takes less:")
        for remedy in REMEDIES:
            say(f"  {remedy}")


def _read(kind: type[Settings], given: dict[str, Any], field: str) -> Any:
    try:
        return kind.model_validate(given.get(field) or {})
    except ValidationError as error:
        first = error.errors()[0]
        separated = "." if first["loc"] else ": "
        raise ExpungeError(f"config: {field}{separated}{describe(first, kind.model_fields)}") from error


def _available(device: str) -> int:
    """Bytes that are free where the model will be."""
    if device == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    import torch

    return int(torch.cuda.mem_get_info(device)[0])
