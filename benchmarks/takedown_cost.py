"""What a takedown costs on models of published sizes: computed, for no GPU was at hand.

    python -m benchmarks.takedown_cost --price 2.5 --utilisation 0.35 --out benchmarks/results/takedown_cost.md

Counted: operations of one pass of the denoiser and of decoding one picture, on tensors without content (torch's own
counter; a multiplication and an addition are two), and parameters. Read: settings in ``configs/sd15.yaml``,
``sdxl.yaml`` and ``flux.yaml``, defaults where they say nothing. Reckoned from these: how many pictures a takedown
draws and how many go through training. Assumed: price, peak and utilisation, which are options; that all steps are
used, that backward costs two forward passes and checkpointing another one, and that a picture takes 1.5 bytes a pixel.
Left out: encoders, judges, calibration and loading. The champion's pictures of the run before are drawn again here;
in a workplace that keeps its store they are not.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.random_models import autoencoder, large_unet
from expunge.benchmark.machine import command
from expunge.cli.run_config import read_parameters
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.markdown import markdown_table
from expunge.pictures.drawing import DrawingSettings
from expunge.prompts.load_world import load_world
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)

ROOT = Path(__file__).resolve().parent.parent
NAMES = {"sd15": "Stable Diffusion 1.5", "sdxl": "SDXL", "flux": "FLUX.1 dev"}
TERA, GIGA = 1e12, 1e9
BYTES_A_PIXEL = 1.5
TEXT_TOKENS = {"sd15": 77, "sdxl": 77, "flux": 512}


@dataclass(frozen=True)
class Size:
    """What is counted of a model.

    Attributes:
        forward: operations of one pass of the denoiser over one picture.
        decode: operations of decoding one picture.
        parameters: of the denoiser.
    """

    forward: float
    decode: float
    parameters: int


def denoiser_call(name: str, size: int) -> tuple[Any, dict[str, Any]]:
    """A denoiser without content and what it is called with, for one picture of ``size`` × ``size`` pixels."""
    latent, tokens = size // 8, TEXT_TOKENS[name]
    if name == "flux":
        positions = (latent // 2) ** 2
        return diffusers.FluxTransformer2DModel(guidance_embeds=True), {
            "hidden_states": torch.empty(1, positions, 64),
            "encoder_hidden_states": torch.empty(1, tokens, 4096),
            "pooled_projections": torch.empty(1, 768),
            "timestep": torch.empty(1),
            "img_ids": torch.empty(positions, 3),
            "txt_ids": torch.empty(tokens, 3),
            "guidance": torch.empty(1),
        }
    given: dict[str, Any] = {"sample": torch.empty(1, 4, latent, latent), "timestep": torch.empty(1)}
    if name == "sdxl":
        added = {"text_embeds": torch.empty(1, 1280), "time_ids": torch.empty(1, 6)}
        return large_unet(), given | {"encoder_hidden_states": torch.empty(1, tokens, 2048), "added_cond_kwargs": added}
    unet = diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
    return unet, given | {"encoder_hidden_states": torch.empty(1, tokens, 768)}


def counted(name: str, size: int) -> Size:
    """Count, on tensors without content."""
    with torch.device("meta"), torch.no_grad():
        denoiser, given = denoiser_call(name, size)
        with FlopCounterMode(display=False) as forward:
            denoiser(**given)
        latents = torch.empty(1, 4, size // 8, size // 8)  # FLUX's have 16 channels, which the first layer alone sees
        with FlopCounterMode(display=False) as decode:
            autoencoder(1.0).decode(latents)
    parameters = sum(each.numel() for each in denoiser.parameters())
    return Size(forward.get_total_flops(), decode.get_total_flops(), parameters)


class Takedown:
    """The work of one run with the settings of a config.

    Args:
        name: of the config.
    """

    def __init__(self, name: str) -> None:
        given = read_parameters(ROOT / f"configs/{name}.yaml")
        self.drawing = DrawingSettings.model_validate(given["drawing"])
        self.size = counted(name, given["drawing"]["size"])
        self.diversification = DiversificationSettings.model_validate(given["diversification"])
        self.gradients = GradientSettings.model_validate(given["gradients"])
        self.unlearning = UnlearnSettings.model_validate(given["unlearning"])
        self.evaluation = EvaluationSettings.model_validate(given.get("evaluation", {}))
        self.check = CheckSettings.model_validate(given.get("check", {}))
        self.world = load_world(str(ROOT / given["world"]))
        # A model whose guidance is an input draws with one pass a step.
        self.passes_a_step = 1 if name == "flux" else 2

    def pictures(self, targets: int, held: int) -> int:
        """Drawn in one run on so many targets, where so many were forgotten before."""
        each, measured = self.diversification, self.evaluation
        pool = each.pool_per_stratum * (len(self.world.strata()) + targets * len(self.world.factors["subject"]))
        sets = targets * (each.forget_size + each.paired_size) + held * each.held_pictures
        asked = targets * measured.target_pictures + held * measured.earlier_pictures
        in_place = targets * measured.target_pictures
        twice = measured.held_out(self.world) + measured.train(self.world) + asked
        return pool + sets + 2 * twice + in_place + measured.reference_pictures

    def trained(self, targets: int, held: int) -> float:
        """Pictures that go through training, each worth a forward pass and a backward one, in forward passes."""
        each, how = self.unlearning, self.diversification
        costs, aims = 3 + each.trained.gradient_checkpointing, each.objectives()
        forgetting, retaining = costs + aims.forget_loss.forward_passes, costs + (aims.alignment == "original")
        retained = how.pool_per_stratum * len(self.world.strata()) + held * how.held_pictures
        cached = (targets * how.forget_size * forgetting + retained * costs) * self.gradients.draws
        return cached + each.steps * (each.forget_batch_size * forgetting + each.retain_batch_size * retaining)

    def checks(self, targets: int) -> int:
        """Pictures drawn while unlearning, each in ``check.steps`` steps."""
        return targets * self.check.pictures * (self.unlearning.steps // self.unlearning.check_every)

    def operations(self, targets: int, held: int) -> dict[str, float]:
        """By what they are for."""
        a_picture = self.drawing.steps * self.passes_a_step * self.size.forward + self.size.decode
        a_check = self.check.steps * self.passes_a_step * self.size.forward + self.size.decode
        return {
            "drawing": self.pictures(targets, held) * a_picture,
            "training": self.trained(targets, held) * self.size.forward,
            "checks": self.checks(targets) * a_check,
        }

    def gigabytes(self, targets: int, held: int) -> float:
        """Kept by one run: a denoiser in float32, where all of it is trained, and its pictures."""
        pixels = float(self.drawing.size or 512) ** 2
        return (4 * self.size.parameters + self.pictures(targets, held) * pixels * BYTES_A_PIXEL) / GIGA


def hours(operations: float, options: argparse.Namespace) -> float:
    """On one GPU."""
    return operations / (options.peak * TERA * options.utilisation) / 3600


def written(options: argparse.Namespace) -> str:
    """All tables, as Markdown."""
    runs = {}
    for name in NAMES:
        runs[name] = Takedown(name)
        print(name, runs[name].size, flush=True)
    one = [[*_facts(NAMES[name], run, options)] for name, run in runs.items()]
    head = ["model", "parameters, 10⁹", "a pass, 10¹² operations", "decoding", "pictures", "of it drawing", "GPU hours"]
    grown = [
        [f"{targets:,}", f"{held:,}", *(_cost(run, targets, held, options) for run in runs.values())]
        for targets, held in ((1, 0), (10, 0), (100, 0), (1, 10), (1, 100), (1, 1000), (100, 10_000))
    ]
    return "\n".join(
        [
            "Computed, not measured: no GPU was at hand. "
            f"Peak {options.peak:g}·10¹² operations a second, of which {options.utilisation:.0%} are assumed, and "
            f"{options.price:g} an hour; `{command()}`.\n\nOne request, nothing forgotten before:\n",
            markdown_table([*head, "price", "GB kept"], one),
            "\nGPU hours and price of one run, by how many requests are pending and how many targets were forgotten:\n",
            markdown_table(["pending", "forgotten before", *NAMES.values()], grown),
            "",
        ]
    )


def _facts(title: str, run: Takedown, options: argparse.Namespace) -> list[str]:
    parts = run.operations(1, 0)
    took = hours(sum(parts.values()), options)
    return [
        title,
        f"{run.size.parameters / GIGA:.3g}",
        f"{run.size.forward / TERA:.3g}",
        f"{run.size.decode / TERA:.3g}",
        str(run.pictures(1, 0) + run.checks(1)),
        f"{(parts['drawing'] + parts['checks']) / sum(parts.values()):.0%}",
        f"{took:.2g}",
        f"{took * options.price:.2g}",
        f"{run.gigabytes(1, 0):.3g}",
    ]


def _cost(run: Takedown, targets: int, held: int, options: argparse.Namespace) -> str:
    took = hours(sum(run.operations(targets, held).values()), options)
    return f"{took:,.3g} h, {took * options.price:,.3g}"


def main() -> None:
    """Count, reckon, write."""
    parser = argparse.ArgumentParser(description="What a takedown costs on models of published sizes, computed.")
    parser.add_argument("--price", type=float, default=2.5, help="of a GPU hour, in whatever money")
    parser.add_argument("--peak", type=float, default=989.0, help="10¹² operations a second; H100 SXM, bf16, dense")
    parser.add_argument("--utilisation", type=float, default=0.35, help="share of the peak that is reached, 0–1")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/takedown_cost.md"))
    options = parser.parse_args()
    options.out.write_text(written(options), encoding="utf-8")


if __name__ == "__main__":
    main()
