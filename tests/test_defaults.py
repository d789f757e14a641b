"""The defaults forget: the main job on the zoo, no setting changed, judged by its gate and in stock diffusers."""

from pathlib import Path

import numpy as np
import pytest

from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.zoo.zoo_panel import zoo_panel

pytestmark = pytest.mark.slow

TARGET = "umbrella"
STYLES = ("noto", "blob", "twemoji", "fluent")


def test_the_defaults_forget_a_target_and_keep_the_rest(tmp_path: Path, monkeypatch, zenml_home: Path) -> None:
    from diffusers import StableDiffusionPipeline

    from expunge.release.registry import Registry
    from pipelines.unlearn_pipeline import unlearn_pipeline

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    box = Inbox(open_store(".expunge/inbox"))
    request = box.file(kind="object", target=TARGET).request.id

    run = unlearn_pipeline()

    decision = run.steps["gate"].outputs["gate_decision"][0].load()
    assert decision.passed, decision.conditions
    evaluation = run.steps["evaluate"].outputs["evaluation"][0].load()
    ua = evaluation.targets[0].numbers["unlearning_accuracy"]
    ra = evaluation.rest["retain_accuracy"]
    assert ua.before.value < 0.2 and ua.after.value >= 0.95 and ua.after.low >= 0.8
    assert ra.before.value > 0.8 and ra.difference.low >= -0.05
    assert box.state(request).label == "fulfilled"

    stock = StableDiffusionPipeline.from_pretrained(Registry().folder("champion"))
    stock.set_progress_bar_config(disable=True)
    found = {name: drawn_by(stock, name) for name in (TARGET, "cat", "pizza")}
    judge = zoo_panel().classifiers["subject"]
    shares = {name: np.mean([level == name for level in judge.recognise(each)]) for name, each in found.items()}
    assert shares[TARGET] <= 0.1 and min(shares["cat"], shares["pizza"]) >= 0.8, shares


def drawn_by(pipeline, subject: str) -> np.ndarray:
    """Pictures of one subject in every style, as anybody would draw them with diffusers alone: uint8 (8, 64, 64, 3)."""
    import torch

    prompts = [f"a {style} drawing of {subject}" for style in STYLES for _ in range(2)]
    noise = [torch.Generator().manual_seed(seed) for seed in range(len(prompts))]
    made = pipeline(prompts, num_inference_steps=20, guidance_scale=2.5, generator=noise, output_type="np").images
    return np.rint(made * 255).astype(np.uint8)
