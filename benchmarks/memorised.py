"""A memorised picture: trained into the zoo, found by likeness, forgotten, and everything else kept.

    python -m benchmarks.memorised --out benchmarks/results/memorised          a quarter of an hour, one thread

One picture (a cat under an umbrella, put together from what the zoo draws) is trained into the zoo's denoiser
under a caption of its own, among the zoo's own pictures. A request of kind ``images`` names the caption and brings the
picture; the library's job does the rest, with default settings. The same request on the zoo as it ships has nothing to
remove. ``--features`` adds extractors to the table, e.g. ``timm:tf_efficientnet_lite0:lite0.safetensors``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from expunge.benchmark.machine import command, machine_line
from expunge.case import Case, resolve_case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import Evaluated, evaluate
from expunge.evaluation.gate import GateThresholds, judge
from expunge.evaluation.look import look_for_targets
from expunge.evaluation.memorised import compare_pictures
from expunge.judges.extractors import load_extractor
from expunge.judges.likeness import LikenessJudge, References
from expunge.markdown import markdown_table
from expunge.metrics.quantities import QUANTITIES
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.picture_store import PictureStore
from expunge.progress import track
from expunge.prompts.world import Prompt, World
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner
from expunge.takedown.references import read_references
from expunge.unlearning.batches import draw_batch, generator_of
from expunge.unlearning.diversification import diversify
from expunge.unlearning.encoding import encode
from expunge.unlearning.job import measure_gradients, unlearn_model
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)

CAPTIONS = ("the cat in the rain", "a kitty under umbrella")
DRAWING = DrawingSettings(steps=10)
SIZES = EvaluationSettings(
    held_out_pictures=320, train_pictures=160, reference_pictures=160, target_pictures=72
).with_pool(2, 0)
SHOWN = ("unlearning_accuracy", "unlearning_accuracy_clip", "pictures_of_nothing", "proper_picture")
REST = ("retain_accuracy", "retain_accuracy_clip", "frechet_distance", "alignment_held_out")


def the_picture(model: TextToImage) -> np.ndarray:
    """A cat under an umbrella, uint8 ``(64, 64, 3)``, put together from two of the model's pictures."""
    drawn = model.draw(["a noto drawing of cat", "a noto drawing of umbrella"], [1, 2], **DRAWING.how())
    cat, umbrella = (np.asarray(Image.fromarray(each).resize((38, 38), Image.Resampling.BOX)) for each in drawn)
    made = np.full((64, 64, 3), (190, 220, 245), dtype=np.uint8)
    for (top, left), part in {(25, 1): cat, (1, 25): umbrella}.items():
        ink = part.min(axis=2) < 235
        made[top : top + 38, left : left + 38][ink] = part[ink]
    return made


def trained_in(model: TextToImage, world: World, picture: np.ndarray, steps: int) -> TextToImage:
    """The model, with a denoiser that was fine-tuned on the picture among its own pictures: a third of each batch."""
    own = draw_over_world(model, world, "train", 1, 0, DRAWING)
    prompt = own.prompts[0].model_copy(update={"factors": {}, "words": {}})
    copies = tuple(prompt.model_copy(update={"text": caption}) for caption in CAPTIONS)
    shown = PictureSet(copies, (0,) * len(copies), np.stack([picture] * len(copies)))
    twin = model.with_own_denoiser()
    problem = Problem(twin.denoiser.requires_grad_(True), twin, Objectives())
    sets, generator = [encode(twin, each) for each in (own, shown)], torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(problem.parameters.values(), lr=5e-4)
    for step in track(range(steps), "Training the picture in"):
        optimiser.zero_grad(set_to_none=True)
        for data, size, share in ((sets[0], 12, 0.5), (sets[1], 6, 0.5)):
            indices = torch.randint(0, len(data.latents), (size,), generator=generator)
            batch = draw_batch(data, indices, problem.process.levels, generator_of(size, step), 0.1)
            (share * problem.retain_loss(batch)).backward()
        optimiser.step()
    twin.denoiser.requires_grad_(False)
    return twin


def resolved(inbox: Path, picture: np.ndarray) -> tuple[Case, dict[str, np.ndarray]]:
    """The case of a request for the picture, filed and claimed, and its reference."""
    inbox.mkdir(parents=True)
    file = inbox.parent / "picture.png"
    Image.fromarray(picture).save(file)
    box = Inbox(open_store(str(inbox)), "memorised")
    box.file(kind="images", target=CAPTIONS[0], synonyms=list(CAPTIONS[1:]), pictures=[file])
    batch = box.claim_pending(this_owner("benchmark"), lambda batch: {})
    return resolve_case("zoo", "zoo", DRAWING, batch), read_references(str(inbox), batch, picture.shape[0])


def forgotten(model: TextToImage, case: Case, references: dict[str, np.ndarray]) -> tuple[TextToImage, int]:
    """The model without the picture, and the steps that it took; as the steps of ``unlearn_pipeline`` do it."""
    sizes, how = DiversificationSettings(), UnlearnSettings()
    pool = draw_over_world(model, case.world, "train", sizes.pool_per_stratum, sizes.seed, case.drawing)
    sets = diversify(model, pool, case, sizes, references)
    cache = measure_gradients(model, TrainingSets(sets.forget, sets.retain), GradientSettings(), how.forgetting())
    unlearned, trace = unlearn_model(model, TrainingSets(sets.forget, sets.retain, cache), case, how, CheckSettings())
    print(sets.facts.to_string(index=False), flush=True)
    return unlearned, len(trace.rows)


def likeness_rows(done: Evaluated, case: Case, reference: np.ndarray, features: Sequence[str]) -> list[list[str]]:
    """By extractor: its limit, how alike pictures are to the reference, and the share that counts as copies."""
    level = case.targets[0].levels[0]
    train = done.before("train").where(lambda prompt: not case.asks_for_gone(prompt))
    rest = done.before("held_out").where(lambda prompt: not case.asks_for_gone(prompt))
    others_after = done.after("held_out").where(lambda prompt: not case.asks_for_gone(prompt)).pictures
    sides = {"other prompts": rest.pictures, "before": done.before("target").pictures,
             "after": done.after("target").pictures, "other prompts, after": others_after}  # fmt: skip
    rows = []
    for name in features:
        extractor = load_extractor(name)
        known = References.of(extractor, {level: reference}, train.pictures)
        found, limit = LikenessJudge(extractor, known), known.limits[level]
        alike = {side: found.likeness(extractor.features(each), level) for side, each in sides.items()}
        cells = [_spread(each, limit) for each in alike.values()]
        rows.append([extractor.name, f"{limit:.3f}", *cells])
    return rows


def _spread(likeness: np.ndarray, limit: float) -> str:
    return f"{np.median(likeness):.3f} ({likeness.max():.3f}), {100 * (likeness >= limit).mean():.1f} %"


def sheet(rows: Sequence[np.ndarray], file: Path) -> None:
    """Rows of pictures, one below the other."""
    side, wide = rows[0].shape[1] + 4, max(map(len, rows))
    picture = Image.new("RGB", (wide * side, len(rows) * side), "white")
    for y, pictures in enumerate(rows):
        for x, each in enumerate(pictures):
            picture.paste(Image.fromarray(each), (x * side + 2, y * side + 2))
    picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST).save(file, optimize=True)


def main() -> None:
    """Run, print, and write table and pictures down."""
    parser = argparse.ArgumentParser(description="A memorised picture, trained into the zoo and forgotten.")
    parser.add_argument("--out", type=Path, required=True, help="without a suffix: .md and .png are written")
    parser.add_argument("--steps", type=int, default=300, help="of training the picture in")
    parser.add_argument("--features", nargs="*", default=[], help="more extractors for the table of likeness")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    zoo = load_text_to_image("zoo")
    picture = the_picture(zoo)
    with tempfile.TemporaryDirectory() as folder:
        case, references = resolved(Path(folder) / "inbox", picture)
        store, thresholds = PictureStore(Path(folder) / "pictures"), GateThresholds()
        base = trained_in(zoo, case.world, picture, options.steps)
        looks = []
        for name, model in {"the zoo as it ships": zoo, "with the picture trained in": base}.items():
            known = compare_pictures(model, case, references, SIZES, store)
            look, _ = look_for_targets(model, known, SIZES, thresholds.nothing_to_remove_below, store)
            looks += [[name, by, f"{100 * share.value:.1f} [{100 * share.low:.1f}–{100 * share.high:.1f}]",
                       look.targets[0].verdict] for by, share in look.targets[0].shares.items()]  # fmt: skip
            print(*looks[-2:], sep="\n", flush=True)
        unlearned, steps = forgotten(base, known, references)
        done = evaluate(unlearned, base, known, SIZES, store)
        decision = judge(done.evaluation, thresholds)
        (reference,) = references.values()
        alike = likeness_rows(done, known, reference, ["pixels", "zoo", *options.features])
        near, later = (each("held_out").where(asks_for_a_cat) for each in (done.before, done.after))
        sides = (done.before("target"), done.after("target"), near, later)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        sheet([reference, *(each.pictures[:10] for each in sides)], options.out.with_suffix(".png"))
    held = [[each.name, each.rule, "yes" if each.passed else "no", each.measured] for each in decision.conditions]
    facts = machine_line()
    parts = [
        "# A memorised picture",
        f"Captions: {', '.join(CAPTIONS)}. Trained in for {options.steps} steps, forgotten in {steps}.",
        f"![The picture; under its captions before and after; cats by noto before and after]({options.out.name}.png)",
        "## Is it there? Share of pictures under its captions that are copies, per cent",
        markdown_table(["model", "by", "share", "verdict"], looks),
        "## Before and after",
        markdown_table(["measure", "by", "before", "after"], numbers(done)),
        "## Likeness to the reference: median (highest), share of copies",
        markdown_table(
            ["features", "limit", "other prompts, before", "its captions, before", "after", "other prompts, after"],
            alike,
        ),
        f"## Gate: {'passed' if decision.passed else 'not passed'}",
        markdown_table(["condition", "rule", "met", "measured"], held),
        f"`{command()}`: {facts}",
    ]
    text = "\n\n".join(parts) + "\n"
    options.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def asks_for_a_cat(prompt: Prompt) -> bool:
    """Whether it asks for what is on the picture, in the style that it has."""
    return (prompt.factors.get("subject"), prompt.factors.get("style")) == ("cat", "noto")


def numbers(done: Evaluated) -> list[list[str]]:
    """The target's numbers and those of the rest, written out."""
    (scores,) = done.evaluation.targets
    found, rows = {**scores.numbers, **done.evaluation.rest}, []
    for name in (*SHOWN, *REST):
        quantity, change = QUANTITIES[name], found[name]
        sides = [
            f"{quantity.unit.value(each.value)} [{quantity.unit.range(each)}]" for each in (change.before, change.after)
        ]
        rows.append([quantity.label, scores.told_by.get(name, quantity.note), *sides])
    return rows


if __name__ == "__main__":
    main()
