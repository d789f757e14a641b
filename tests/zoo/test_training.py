"""Two steps of each part of the training, on the real drawings; the results load in diffusers and open_clip."""

import math
import random
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from diffusers import StableDiffusionPipeline

from expunge.errors import ExpungeError
from expunge.zoo.autoencoder import peak_signal_to_noise, train_autoencoder
from expunge.zoo.classifiers import train_classifier
from expunge.zoo.clip import train_clip
from expunge.zoo.corpus import make_corpus
from expunge.zoo.denoiser import Batch, make_tokenizer, train_denoiser
from expunge.zoo.emoji_world import emoji_world
from expunge.zoo.icons import fetch_icon_packages, render_drawings
from expunge.zoo.recipe import assemble
from expunge.zoo.zoo_panel import ZooJudges, zoo_panel

WORLD = emoji_world()


def test_npm_says_why_it_could_not_install(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("npm_config_offline", "true")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(ExpungeError, match="npm could not install the icon packages: .+"):
        fetch_icon_packages(tmp_path / "icons")
    assert not (tmp_path / "icons" / "node_modules").exists()


class Losses:
    """Collects the loss of every step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def __call__(self, step: int, loss: float) -> None:
        assert step == len(self.values)
        self.values.append(loss)

    def check(self) -> None:
        assert len(self.values) == 2 and all(map(math.isfinite, self.values))


@pytest.mark.slow
def test_every_part_trains_on_the_real_drawings_and_loads_elsewhere(tmp_path: Path):
    modules = fetch_icon_packages(tmp_path / "icons")
    written = (modules / "@iconify-json/noto/icons.json").stat().st_mtime_ns
    assert fetch_icon_packages(tmp_path / "icons") == modules
    assert (modules / "@iconify-json/noto/icons.json").stat().st_mtime_ns == written  # not fetched again
    drawings = render_drawings(WORLD, modules)
    subjects, styles = len(WORLD.subjects), len(WORLD.styles)
    assert drawings.shape == (subjects, styles, 4, 128, 128)
    assert len(drawings.flatten(0, 1).flatten(1).unique(dim=0)) == subjects * styles  # all differ
    assert (drawings[:, :, 3].mean(dim=(-1, -2)) > 0.1).all()  # none is empty

    torch.manual_seed(0)
    corpus = make_corpus(WORLD, drawings, rounds=1, size=64, seed=0)
    generator, rng = torch.Generator().manual_seed(0), random.Random(0)

    def some(n: int) -> torch.Tensor:
        return torch.randint(0, len(corpus), (n,), generator=generator)

    def pictures(n: int) -> torch.Tensor:
        return corpus.inputs(some(n))

    losses = [Losses() for _ in range(4)]
    vae = train_autoencoder(pictures, 2, batch_size=4, progress=losses[0])
    assert math.isfinite(peak_signal_to_noise(vae, pictures(4)))

    tokenizer = make_tokenizer(WORLD.vocabulary(), tmp_path / "tokenizer")

    def batches(n: int) -> Batch:
        indices = some(n)
        captions = corpus.captions(indices, rng)
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            return Batch(vae.encode(corpus.inputs(indices)).latent_dist.mode(), tokens)

    trained = train_denoiser(tokenizer, batches, 2, batch_size=4, progress=losses[1])
    model = assemble(vae, *trained, tokenizer)
    model.save(tmp_path / "emoji")
    stock = StableDiffusionPipeline.from_pretrained(tmp_path / "emoji")
    stock.set_progress_bar_config(disable=True)
    drawn = stock("a noto drawing of cat", num_inference_steps=2, output_type="np").images
    assert drawn.shape == (1, 64, 64, 3) and np.isfinite(drawn).all()

    def labelled() -> tuple[torch.Tensor, torch.Tensor]:
        indices = some(8)
        return corpus.inputs(indices), corpus.styles[indices]

    style = train_classifier("style", tuple(WORLD.styles), labelled, 2, generator, losses[2])
    subject = train_classifier(
        "subject", tuple(WORLD.subjects), lambda: (pictures(8), torch.arange(8) % subjects), 2, generator
    )

    def pairs(n: int) -> tuple[torch.Tensor, list[str]]:
        indices = corpus.one_of_each(generator, n)
        return corpus.inputs(indices), corpus.captions(indices, rng)

    clip = train_clip(tokenizer, pairs, 2, generator, batch_size=8, progress=losses[3])
    for each in losses:
        each.check()

    ZooJudges({"subject": subject, "style": style}, clip, tokenizer).save(tmp_path)
    panel = zoo_panel(tmp_path)
    raw = corpus.pictures[:4].permute(0, 2, 3, 1).numpy()
    assert {factor: len(found) for factor, found in panel.recognise(raw).items()} == {
        "subject": 4,
        "style": 4,
    }
    judge, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'clip'}")
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'clip'}")(["a noto drawing of cat", "zebra"])
    wanted = tokenizer(["a noto drawing of cat", "zebra"], padding="max_length", return_tensors="pt").input_ids
    assert torch.equal(tokens, wanted)
    with torch.no_grad():
        found = judge.eval().encode_text(tokens, normalize=True)
        torch.testing.assert_close(found, clip.encode_text(wanted, normalize=True), rtol=0, atol=1e-5)
    np.testing.assert_allclose(panel.clip.text_features(["zebra"])[0], found[1].numpy(), atol=1e-5)
