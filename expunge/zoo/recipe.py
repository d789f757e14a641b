"""The recipe of the zoo: from the icon packages to a model, its judges, their scores and their card."""

import random
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from pydantic import BaseModel, ConfigDict, Field, field_validator
from transformers import CLIPTokenizer

from expunge.judges.panel import Panel
from expunge.metrics.retain_accuracy import as_asked
from expunge.models.families.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.pictures.picture_set import PictureSet
from expunge.progress import progress_bar
from expunge.prompts.world import Side
from expunge.settings import Settings
from expunge.zoo.autoencoder import PICTURE_SIZE, peak_signal_to_noise, train_autoencoder
from expunge.zoo.classifiers import train_classifier
from expunge.zoo.clip import train_clip
from expunge.zoo.corpus import Corpus, make_corpus
from expunge.zoo.denoiser import Batch, make_sampler, make_tokenizer, train_denoiser
from expunge.zoo.emoji_world import emoji_world, zoo_world
from expunge.zoo.icons import fetch_icon_packages, render_drawings
from expunge.zoo.zoo_panel import ZooJudges

ICONS = Path(".expunge") / "icons"
HELD_OUT_SEED = 7919  # augmentations that no part was trained on
CLASSIFIER_BATCH = 64  # drawings a batch
CAPTION_DROPOUT = 0.1  # share of empty captions, for classifier-free guidance


class RecipeSettings(Settings):
    """How long each part is trained. The weights in the tree took as long; their card says where they differ."""

    seed: int = Field(default=0, ge=0)
    autoencoder_rounds: int = Field(default=100, ge=1, description="augmentations of each drawing")
    autoencoder_steps: int = Field(default=3000, ge=1)
    denoiser_rounds: int = Field(default=150, ge=1)
    denoiser_steps: int = Field(default=9000, ge=1)
    denoiser_rate: float = Field(default=8e-4, gt=0, le=1)
    judge_rounds: int = Field(default=300, ge=1)
    classifier_steps: int = Field(default=1500, ge=1)
    clip_steps: int = Field(default=1000, ge=1)
    leave_out: tuple[str, ...] = Field(
        default=(), description="subjects and styles that the model never sees; the judges see them all"
    )

    @field_validator("leave_out")
    @classmethod
    def _something_is_left(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        world = emoji_world()
        for kind, levels in (("subjects", world.subjects), ("styles", world.styles)):
            if set(levels) <= set(names):
                raise ValueError(f"all {kind} are left out; keep at least one of {', '.join(levels)}")
        if unknown := sorted(set(names) - {*world.subjects, *world.styles}):
            drawn = f"{', '.join(world.styles)}; {', '.join(world.subjects)}"
            raise ValueError(f"{unknown[0]!r} is no subject or style of the world; it has {drawn}")
        return names


class ZooScores(BaseModel):
    """What the zoo can do. Shares are 0–1.

    Attributes:
        subject_accuracy: drawn pictures in which the subject classifier finds what was asked, by side of the wording.
        style_accuracy: the same of the style classifier.
        clip_subject_accuracy: the same of CLIP, zero-shot.
        clip_on_drawings: CLIP's zero-shot subject accuracy on held-out augmentations of the drawings.
        classifiers_on_drawings: the classifiers' accuracy on them, by factor.
        reconstruction_decibels: PSNR of the autoencoder on them.
        pictures: drawn for each side: every subject and style, three seeds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    subject_accuracy: dict[Side, float]
    style_accuracy: dict[Side, float]
    clip_subject_accuracy: dict[Side, float]
    clip_on_drawings: float
    classifiers_on_drawings: dict[str, float]
    reconstruction_decibels: float
    pictures: int


@cache
def _drawings() -> torch.Tensor:
    return render_drawings(emoji_world(), fetch_icon_packages(ICONS))


def corpus(rounds: int, seed: int) -> Corpus:
    """Augmented pictures of the whole world; fetches the icon packages if they are not there yet."""
    return make_corpus(emoji_world(), _drawings(), rounds, PICTURE_SIZE, seed)


def without(pictures: Corpus, names: Sequence[str]) -> Corpus:
    """The corpus less every picture of a subject or style in ``names``; itself where there are none."""
    if not names:
        return pictures
    world = pictures.world
    subjects, styles = (
        torch.tensor([name not in names for name in levels]) for levels in (world.subjects, world.styles)
    )
    kept = subjects[pictures.subjects] & styles[pictures.styles]
    return Corpus(
        pictures.pictures[kept], pictures.subjects[kept], pictures.styles[kept], pictures.backgrounds[kept], world
    )


def pretrain_model(settings: RecipeSettings, autoencoder: AutoencoderKL | None = None) -> StableDiffusion:
    """Train autoencoder, text encoder and denoiser, on pictures of nothing that ``leave_out`` names.

    Args:
        settings: how long, and what is left out.
        autoencoder: taken as it is, scaling factor too, instead of one that is trained: latents are then comparable
            between models, but it may have seen what ``leave_out`` names.
    """
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    vae = autoencoder or _pretrain_autoencoder(settings, generator)
    pictures = without(corpus(settings.denoiser_rounds, settings.seed + 1), settings.leave_out)
    latents = _encode(vae, pictures)
    if autoencoder is None:
        vae.register_to_config(scaling_factor=1 / latents.std().item())
    latents *= vae.config.scaling_factor
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = make_tokenizer(emoji_world().vocabulary(), Path(folder))
    rng = random.Random(settings.seed)

    def batches(n: int) -> Batch:
        indices = _any(len(pictures), n, generator)
        captions = ["" if rng.random() < CAPTION_DROPOUT else each for each in pictures.captions(indices, rng)]
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        return Batch(latents[indices], tokens)

    with _reported("Denoiser", settings.denoiser_steps) as report:
        unet, text_encoder = train_denoiser(
            tokenizer, batches, settings.denoiser_steps, rate=settings.denoiser_rate, progress=report
        )
    return assemble(vae, unet, text_encoder, tokenizer)


def _pretrain_autoencoder(settings: RecipeSettings, generator: torch.Generator) -> AutoencoderKL:
    pictures = without(corpus(settings.autoencoder_rounds, settings.seed), settings.leave_out)
    with _reported("Autoencoder", settings.autoencoder_steps) as report:
        return train_autoencoder(
            lambda n: pictures.inputs(_any(len(pictures), n, generator)), settings.autoencoder_steps, progress=report
        )


def assemble(vae, unet, text_encoder, tokenizer: CLIPTokenizer) -> StableDiffusion:
    """Put the parts together into a stock pipeline."""
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=make_sampler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return StableDiffusion(pipeline)


def pretrain_judges(settings: RecipeSettings) -> ZooJudges:
    """Train the two classifiers and CLIP, on other augmentations and from other seeds than the model."""
    seed = settings.seed + 2
    torch.manual_seed(seed)
    generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    pictures, world = corpus(settings.judge_rounds, seed), emoji_world()
    classifiers = {}
    for factor, levels, labels in (
        ("subject", tuple(world.subjects), pictures.subjects),
        ("style", tuple(world.styles), pictures.styles),
    ):

        def labelled(labels: torch.Tensor = labels) -> tuple[torch.Tensor, torch.Tensor]:
            indices = _any(len(pictures), CLASSIFIER_BATCH, generator)
            return pictures.inputs(indices), labels[indices]

        with _reported(f"Classifier of {factor}", settings.classifier_steps) as report:
            classifiers[factor] = train_classifier(
                factor, levels, labelled, settings.classifier_steps, generator, report
            )
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = make_tokenizer(world.vocabulary(), Path(folder))

    def pairs(n: int) -> tuple[torch.Tensor, list[str]]:
        indices = pictures.one_of_each(generator, n)
        return pictures.inputs(indices), pictures.captions(indices, rng)

    with _reported("CLIP", settings.clip_steps) as report:
        clip = train_clip(tokenizer, pairs, settings.clip_steps, generator, progress=report)
    return ZooJudges(classifiers, clip, tokenizer)


def score(model: StableDiffusion, panel: Panel, drawing: DrawingSettings) -> tuple[ZooScores, PictureSet]:
    """Draw every subject in every style from three seeds, with train and with held-out wordings, and judge them.

    Returns:
        The scores, and the train-level pictures.
    """
    world = zoo_world()
    sides: tuple[Side, ...] = ("train", "held_out")
    drawn = {side: draw_over_world(model, world, side, 3, 0, drawing) for side in sides}
    found: dict[str, dict[Side, float]] = {"subject": {}, "style": {}, "clip": {}}
    for side, pictures in drawn.items():
        for factor in ("subject", "style"):
            recognised = {factor: panel.classifiers[factor].recognise(pictures.pictures)}
            found[factor][side] = float(as_asked(pictures.prompts, recognised, [factor]).mean())
        recognised = {"subject": panel.recognise_by_clip(pictures.pictures, "subject", world)}
        found["clip"][side] = float(as_asked(pictures.prompts, recognised, ["subject"]).mean())
    held_out = corpus(3, HELD_OUT_SEED)
    raw = held_out.pictures.permute(0, 2, 3, 1).numpy()
    names = {
        "subject": np.array(list(held_out.world.subjects))[held_out.subjects],
        "style": np.array(list(held_out.world.styles))[held_out.styles],
    }
    by_clip = np.array(panel.recognise_by_clip(raw, "subject", world))
    scores = ZooScores(
        subject_accuracy=found["subject"],
        style_accuracy=found["style"],
        clip_subject_accuracy=found["clip"],
        clip_on_drawings=float((by_clip == names["subject"]).mean()),
        classifiers_on_drawings={
            factor: float((np.array(panel.classifiers[factor].recognise(raw)) == names[factor]).mean())
            for factor in names
        },
        reconstruction_decibels=peak_signal_to_noise(
            model.pipeline.vae, held_out.inputs(torch.arange(0, len(held_out), 3))
        ),
        pictures=len(drawn["train"]),
    )
    return scores, drawn["train"]


def _any(size: int, count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, size, (count,), generator=generator)


@torch.no_grad()
def _encode(vae: AutoencoderKL, pictures: Corpus) -> torch.Tensor:
    chunks = torch.arange(len(pictures)).split(128)
    return torch.cat([vae.encode(pictures.inputs(chunk)).latent_dist.mode() for chunk in chunks])


class _reported:
    """A progress bar over training steps, with the running loss beside it."""

    def __init__(self, label: str, steps: int) -> None:
        self._bar = progress_bar()
        self._task = self._bar.add_task(label, total=steps, note="")

    def __enter__(self) -> Callable[[int, float], None]:
        self._bar.start()
        return lambda step, loss: self._bar.update(self._task, completed=step + 1, note=f"loss {loss:.4f}")

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
