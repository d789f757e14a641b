"""What bf16 changes: gradients, the update made of them, and the products if they were made in bf16 too.

    python -m benchmarks.precision --out benchmarks/results/precision.md      a few minutes

On the embedded model at θ₀, for a style that is to be forgotten (truncated loss, data retain loss, which conflict).
Batches are the same in both precisions, and so are noise and its levels; in bf16, weights are held in bf16, of which
the trained ones have float32 masters, and passes go through autocast. Rows are means over batches:

- cosine between a batch's gradient in float32 and in bf16, of either objective, and between the two updates
  u = P⁻¹ (c_f g_f + c_r g_r), with products in float64 in both;
- products of the gradients in bf16, if their vectors, and their sums parameter by parameter, were bf16 too: by how much
  that changes the larger of c_f and c_r; and, with the right and with these coefficients, the larger of the changes of
  both losses to first order, −<g,d>, as a share of |g| |d|, of the worst batch. The guarantee is that it is at most 0.
  The same where the second gradient is turned against the first, to a cosine of −0.999; 0 is a step that stands still;
- the update, if it were added to weights in bf16 instead of float32 masters: share of the entries that would not move.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from expunge.benchmark.machine import command, machine_line
from expunge.case import name_case
from expunge.markdown import markdown_table
from expunge.models.hardware import Precision
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.models.trained_part import TrainedSettings
from expunge.pictures.drawing import DrawingSettings, draw_with_own_seeds
from expunge.prompts.pairing import forget_prompts
from expunge.unlearning.batches import Batch, LatentSets, draw_batch, generator_of
from expunge.unlearning.gradients import Coefficients, coefficients
from expunge.unlearning.job import latent_sets
from expunge.unlearning.problem import Objectives, Problem

TARGET, SIZE, RETAIN_WEIGHT, EPSILON = "style:blob", 8, 5.0, 1e-8
PARTS = {"everything": TrainedSettings(), "cross-attention": TrainedSettings(what="cross_attention")}
OPPOSED = -0.999
RATE = 3e-4  # η, for a u whose entries are about 1
HEADS = (
    "g_f · g_r in the metric", "g_f", "g_r", "update", "c off by bf16 products", "worst change", "by bf16 products",
    "at −0.999", "by bf16 products",
    "entries that bf16 weights would not move",
)  # fmt: skip
Pair = tuple[Tensor, Tensor]  # g_f and g_r, each as one vector
Products = Callable[[Tensor, Tensor, Sequence[int]], float]


def sets_of(model: TextToImage, count: int) -> LatentSets:
    """Pictures of the target, and of the rest of the world, drawn by the model."""
    case = name_case([TARGET], "zoo", "zoo", DrawingSettings(steps=10))
    (target,) = case.targets
    forget = forget_prompts(target, case.world, "train", count, 0)
    retain = [each for each in case.world.sample("train", 1, 1) if each.factors["style"] not in target.levels][:count]
    drawn = (draw_with_own_seeds(model, each, "precision", case.drawing, "") for each in (forget, retain))
    return latent_sets(model, *drawn, Objectives())


def gradients(model: TextToImage, sets: LatentSets, trained: TrainedSettings, batches: int) -> list[Pair]:
    """Of each batch, at the model as it is held."""
    twin = model.to_train(trained, to_step=False)
    problem = Problem(twin.denoiser, model, Objectives(RETAIN_WEIGHT), sets, twin.denoiser)

    def batch(data: int, number: int) -> Batch:
        indices = torch.arange(number * SIZE, (number + 1) * SIZE)
        side = (sets.forget, sets.retain)[data]
        return draw_batch(side, indices % len(side), model.levels, generator_of(data, number))

    def flat(found: list[Tensor | None]) -> Tensor:
        known = zip(found, problem.parameters.values(), strict=True)
        return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in known])

    return [
        (
            flat(problem.gradient(problem.forget_loss, [batch(0, number)])[1]),
            flat(problem.gradient(problem.data_loss, [batch(1, number)])[1]),
        )
        for number in range(batches)
    ]


def exactly(a: Tensor, b: Tensor, sizes: Sequence[int]) -> float:
    """A product in float64."""
    return float(a.double() @ b.double())


def in_bf16(a: Tensor, b: Tensor, sizes: Sequence[int]) -> float:
    """The same with vectors and sums in bf16."""
    total = torch.zeros((), dtype=torch.bfloat16)
    for one, other in zip(a.bfloat16().split(list(sizes)), b.bfloat16().split(list(sizes)), strict=True):
        total += one @ other
    return float(total)


def chosen(f: Tensor, r: Tensor, sizes: Sequence[int], product: Products) -> Coefficients:
    """c_f and c_r of two vectors in the metric."""
    ff, fr, rr = product(f, f, sizes), product(f, r, sizes), product(r, r, sizes)
    return coefficients(ff, fr, rr, RETAIN_WEIGHT)


def along(f: Tensor, r: Tensor, how: Coefficients) -> Tensor:
    """c_f g_f + c_r g_r."""
    return f * how.forget + r * how.retain


def cosine(a: Tensor, b: Tensor) -> float:
    """Between two vectors, in float64."""
    a, b = a.double(), b.double()
    return float(a @ b / (a.norm() * b.norm()))


def worst(f: Tensor, r: Tensor, how: Coefficients) -> float:
    """The larger of the changes of both losses, to first order, as a share of |g| |d|; 0 where nothing moves."""
    if how.forget == how.retain == 0:
        return 0.0
    d = along(f.double(), r.double(), how)
    return max(-cosine(f, d), -cosine(r, d))


def opposed(f: Tensor, r: Tensor) -> Pair:
    """The same gradients, the second turned so far that their cosine is ``OPPOSED``."""
    f, r = f.double(), r.double()
    across = r - (f @ r) / (f @ f) * f
    turned = OPPOSED * f / f.norm() + (1 - OPPOSED**2) ** 0.5 * across / across.norm()
    return f.float(), (turned * r.norm()).float()


def row(name: str, pairs: dict[Precision, list[Pair]], weights: Sequence[Tensor]) -> list[str]:
    """Means over the batches, and their worst."""
    exact, sizes = pairs["float32"], [each.numel() for each in weights]
    # One P for both: what differs is what is stepped along.
    squares = torch.stack([f.square() + RETAIN_WEIGHT**2 * r.square() for f, r in exact])
    root = (squares.mean(0).sqrt() + EPSILON).sqrt()
    scaled = {kind: [(f / root, r / root) for f, r in each] for kind, each in pairs.items()}
    near = [opposed(*each) for each in scaled["bf16"]]
    right, rounded = ([chosen(*each, sizes, how) for each in scaled["bf16"]] for how in (exactly, in_bf16))
    updates = {
        kind: [along(*each, chosen(*each, sizes, exactly)) / root for each in found] for kind, found in scaled.items()
    }
    flat = torch.cat([each.detach().flatten() for each in weights]).bfloat16()
    still = [((flat - RATE * u.bfloat16()) == flat).double().mean().item() for u in updates["bf16"]]
    off = [max(abs(b.forget / a.forget - 1), abs(b.retain / a.retain - 1)) for a, b in zip(right, rounded, strict=True)]
    changes = [max(worst(*g, c) for g, c in zip(scaled["bf16"], of, strict=True)) for of in (right, rounded)]
    changes += [max(worst(*g, chosen(*g, sizes, how)) for g in near) for how in (exactly, in_bf16)]
    alike = [[cosine(a[side], b[side]) for a, b in zip(*pairs.values(), strict=True)] for side in (0, 1)]
    alike.append([cosine(a, b) for a, b in zip(*updates.values(), strict=True)])
    between = np.mean([cosine(*each) for each in scaled["float32"]])
    cells = [f"{between:.2f}", *(f"{np.mean(each):.4f}" for each in alike)]
    return [name, *cells, f"{np.mean(off):.2%}", *(f"{each:+.4f}" for each in changes), f"{np.mean(still):.0%}"]


def main() -> None:
    """Measure, print, and write the table down."""
    parser = argparse.ArgumentParser(description="What bf16 changes.")
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_text_to_image("zoo")
    sets, rows = sets_of(model, SIZE * options.batches), []
    kinds: tuple[Precision, ...] = ("float32", "bf16")
    for name, trained in PARTS.items():
        pairs = {kind: gradients(model.on("cpu", kind), sets, trained, options.batches) for kind in kinds}
        model.on("cpu", "float32")
        weights = [p for p in model.to_train(trained).denoiser.parameters() if p.requires_grad]
        rows.append(row(name, pairs, weights))
    heads = ["trained", *HEADS]
    text = f"Float32 against bf16; what each column is, the script says. `{command()}`\n\n"
    text += f"{markdown_table(heads, rows)}\n\n"
    text += f"{machine_line()}\n"
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
