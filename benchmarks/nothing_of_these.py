"""What zero-shot judges call nothing: the zoo's CLIP on its model's pictures, on other things, and on no pictures.

    python -m benchmarks.nothing_of_these --out benchmarks/results/nothing_of_these.md          three minutes, one core

The CLIP knows some of the world's levels by their sentences alone. Limits are set on pictures that the base drew, as an
evaluation does (``expunge/judges/zero_shot.py``); all others are fresh. *Other things*: what the base draws for levels
that the judge's world does not list. Bars, shuffled and scrambled pictures are of no kind that the judge was shown.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from expunge.benchmark.machine import command, machine_line
from expunge.judges.null_pictures import null_pictures
from expunge.judges.open_clip_judge import OpenClipJudge
from expunge.judges.protocols import NOTHING
from expunge.judges.zero_shot import ZeroShotClassifier, null_features
from expunge.markdown import markdown_table
from expunge.metrics.intervals import proportion
from expunge.models.resolver import load_text_to_image
from expunge.pictures.drawing import DrawingSettings, draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.load_world import load_world
from expunge.prompts.world import World
from expunge.zoo.zoo_panel import WEIGHTS

DRAWING = DrawingSettings(steps=10, guidance=2.5)
NULLS = ("plain", "2×2 colours", "4×4 colours", "8×8 colours", "16×16 colours", "squares", "stripes", "noise")
EACH = 64


def listing(world: World, factor: str, keep_each: int) -> World:
    """The world with every ``keep_each``-th level of a factor."""
    kept = dict(list(world.factors[factor].items())[::keep_each])
    return world.model_copy(update={"factors": world.factors | {factor: kept}})


def unseen(pictures: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Pictures that show nothing, of kinds that the judge was not shown: bars, and the given ones in pieces."""
    count, side = len(pictures), pictures.shape[1]
    bars = np.full_like(pictures, 230)
    for each in bars:
        start = rng.integers(0, side - 14)
        each[:, start : start + rng.integers(4, 14)] = rng.integers(0, 80)
    tile = side // 8
    tiles = pictures.reshape(count, 8, tile, 8, tile, 3).transpose(0, 1, 3, 2, 4, 5).reshape(count, 64, tile, tile, 3)
    mixed = rng.permuted(np.tile(np.arange(64), (count, 1)), axis=1)
    tiles = np.take_along_axis(tiles, mixed[:, :, None, None, None], axis=1).reshape(count, 8, 8, tile, tile, 3)
    shuffled = tiles.transpose(0, 1, 3, 2, 4, 5).reshape(pictures.shape)
    pixels = pictures.reshape(count, -1, 3).copy()
    for each in pixels:
        rng.shuffle(each)
    return {"dark bars": bars, "shuffled tiles": shuffled, "scrambled pixels": pixels.reshape(pictures.shape)}


def share(found: np.ndarray) -> str:
    """A share in per cent with its exact interval."""
    made = proportion(found.astype(bool), None, what="share")
    return f"{100 * made.value:.1f} [{100 * made.low:.0f}–{100 * made.high:.0f}]"


def rows_of(
    factor: str, keep_each: int, own: PictureSet, fresh: PictureSet, nothing: Mapping[str, np.ndarray]
) -> list[list[str]]:
    """One row per kind of picture: right, another level and nothing, by the nearest level and with limits."""
    clip, world = OpenClipJudge(f"local-dir:{WEIGHTS / 'clip'}", name="zoo-clip"), load_world("zoo")
    plain = ZeroShotClassifier(clip, factor, listing(world, factor, keep_each))
    strict = plain.limited(clip.picture_features(own.pictures), own.prompts, null_features(clip))
    asked = np.array([prompt.factors[factor] for prompt in fresh.prompts])
    listed = np.isin(asked, plain.levels)
    shown = {"what the base draws of them": (fresh.pictures[listed], asked[listed])}
    if not listed.all():
        shown["other things"] = (fresh.pictures[~listed], asked[~listed])
    shown |= {name: (pictures, np.full(len(pictures), NOTHING)) for name, pictures in nothing.items()}
    rows = []
    for name, (pictures, truth) in shown.items():
        nearest, found = np.array(plain.recognise(pictures)), np.array(strict.recognise(pictures))
        known = np.isin(truth, plain.levels)
        right, right_nearest = (share(each == truth) if known.all() else "" for each in (found, nearest))
        title = f"{len(plain.levels)} {factor}s"
        rows.append([title, name, str(len(pictures)), right_nearest, right, share(found == NOTHING)])
    return rows


def main() -> None:
    """Draw, judge, print, and write the table down."""
    parser = argparse.ArgumentParser(description="What zero-shot judges call nothing.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, world = load_text_to_image("zoo"), load_world("zoo")

    def drawn(side, seed: int) -> PictureSet:
        return draw_with_own_seeds(model, world.sample(side, 1, seed), f"{seed}", DRAWING, f"Drawing {side} world")

    own = concatenate([drawn("train", 1), drawn("held_out", 2)])
    fresh = concatenate([drawn("held_out", 3), drawn("held_out", 4)])
    shown = null_pictures(EACH, seed=9)
    nothing = {name: shown[i * EACH : (i + 1) * EACH] for i, name in enumerate(NULLS)}
    nothing |= unseen(fresh.pictures[:EACH], np.random.default_rng(5))
    rows = []
    for factor, keep_each in (("subject", 1), ("subject", 3), ("style", 1)):
        rows += rows_of(factor, keep_each, own, fresh, nothing)
    head = ["judge knows", "picture", "n", "right, nearest level", "right, with limits", "nothing"]
    facts = machine_line()
    told = f"In per cent with 95 % intervals. Limits set on {len(own)} pictures of the base."
    text = f"{told}\n\n{markdown_table(head, rows)}"
    options.out.write_text(f"{text}\n\n`{command()}`: {facts}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
