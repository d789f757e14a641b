"""Put freshly trained weights where ``zoo`` finds them, with their card."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from expunge.errors import ExpungeError
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.pictures.picture_set import PictureSet
from expunge.reports.figures import grid_png
from expunge.zoo.emoji_world import emoji_world
from expunge.zoo.recipe import RecipeSettings, ZooScores
from expunge.zoo.zoo_panel import ZooJudges

LIMIT = 30 * 2**20  # bytes of all weights together

CARD = """# The emoji zoo

A small text-to-image model and its judges, trained by Expunge's own recipe (`make pretrain`) and shipped with it.

| folder | what it is |
| --- | --- |
| `emoji/` | a stock diffusers `StableDiffusionPipeline`: 64×64 pixels, 8×8×8 latents, v-prediction |
| `clip/` | a small open_clip model (`local-dir:`), the CLIP judge |
| `classifiers/` | independent classifiers of subject and style, each with a class `none` |

**EmojiWorld.** {subjects} subjects × {styles} styles ({style_names}) on {backgrounds} plain backgrounds; captions with
synonyms in {templates} templates. The wordings are in `expunge/zoo/world.yaml`.

**Data and licences.** Emoji drawings from npm packages, fetched and rendered at build time, none of them kept:
`@iconify-json/noto` 1.2.9 (Apache-2.0), `@iconify-json/noto-v1` 1.2.5 (Apache-2.0; style `blob`),
`@iconify-json/twemoji` 1.2.5 (CC-BY-4.0), `@iconify-json/fluent-emoji-flat` 1.2.6 (MIT; style `fluent`). See `NOTICE`.

**Recipe.** `{recipe}`.

**Scores.** {pictures} pictures for each side of the wordings: every subject in every style from three seeds, as
configs/pretrain.yaml says, with the scheduler in `emoji/scheduler`.

| score | train wordings | held-out wordings |
| --- | --- | --- |
| subject accuracy (classifier) | {subject_train:.1%} | {subject_held_out:.1%} |
| style accuracy (classifier) | {style_train:.1%} | {style_held_out:.1%} |
| subject accuracy (CLIP, zero-shot) | {clip_train:.1%} | {clip_held_out:.1%} |

On held-out augmentations of the drawings: CLIP zero-shot {clip_drawings:.1%}, subject classifier
{subject_drawings:.1%}, style classifier {style_drawings:.1%}, autoencoder {decibels:.1f} dB PSNR.

**Weak spots.** There is one drawing per subject and style: the model knows these drawings under mild augmentation
(scale, place, angle, background), not the idea of a cat. It knows only the words of its world; others fall into
letters. Fine detail is soft. Two subjects in one prompt were never shown to it.
"""


def publish(
    model: StableDiffusion,
    judges: ZooJudges,
    scores: ZooScores,
    drawn: PictureSet,
    settings: RecipeSettings,
    folder: Path,
) -> None:
    """Write model, judges, scores, card and a grid of pictures to ``folder``, replacing what is there.

    Denoiser and autoencoder are stored in half precision, and computed in float32.

    Raises:
        ExpungeError: the weights are larger than 30 MB; nothing is replaced.
    """
    with tempfile.TemporaryDirectory() as temporary:
        new = Path(temporary)
        model.save(new / "emoji")
        for part in ("unet", "vae"):
            _halve(new / "emoji" / part / "diffusion_pytorch_model.safetensors")
        judges.save(new)
        size = sum(path.stat().st_size for path in new.rglob("*.safetensors"))
        if size > LIMIT:
            raise ExpungeError(f"the zoo's weights are {size / 2**20:.1f} MB: at most {LIMIT / 2**20:.0f} may ship")
        (new / "scores.json").write_text(scores.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (new / "README.md").write_text(card(scores, settings), encoding="utf-8")
        one_each = drawn.select(np.arange(0, len(drawn), 3).tolist())
        grid_png(one_each, columns=20).save(new / "grid.png")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(new, folder)


def card(scores: ZooScores, settings: RecipeSettings) -> str:
    """The model card, in Markdown."""
    world = emoji_world()
    return CARD.format(
        subjects=len(world.subjects),
        styles=len(world.styles),
        style_names=", ".join(world.styles),
        backgrounds=len(world.backgrounds),
        templates=sum(map(len, world.templates.values())),
        recipe=settings.model_dump_json(),
        pictures=scores.pictures,
        subject_train=scores.subject_accuracy["train"],
        subject_held_out=scores.subject_accuracy["held_out"],
        style_train=scores.style_accuracy["train"],
        style_held_out=scores.style_accuracy["held_out"],
        clip_train=scores.clip_subject_accuracy["train"],
        clip_held_out=scores.clip_subject_accuracy["held_out"],
        clip_drawings=scores.clip_on_drawings,
        subject_drawings=scores.classifiers_on_drawings["subject"],
        style_drawings=scores.classifiers_on_drawings["style"],
        decibels=scores.reconstruction_decibels,
    )


def _halve(path: Path) -> None:
    halved = {name: each.half() if each.is_floating_point() else each for name, each in load_file(path).items()}
    save_file(halved, path, metadata={"format": "pt"})
