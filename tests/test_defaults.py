"""The defaults forget and leave pictures: the main job on the zoo, no setting changed, judged by its gate and in stock
diffusers."""

from pathlib import Path

import numpy as np
import pytest

from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.zoo.zoo_panel import zoo_panel

pytestmark = pytest.mark.slow

OBJECT, STYLE = "umbrella", "blob"
OTHERS = ("noto", "twemoji", "fluent")


def test_the_defaults_forget_an_object_and_a_style_and_leave_proper_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zenml_home: Path
) -> None:
    from diffusers import StableDiffusionPipeline

    from expunge.release.registry import Registry
    from pipelines.unlearn_pipeline import unlearn_pipeline

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    box = Inbox(open_store(".expunge/inbox"))
    filed = [box.file(kind=kind, target=name).request.id for kind, name in (("object", OBJECT), ("style", STYLE))]

    run = unlearn_pipeline()

    decision = run.steps["gate"].outputs["gate_decision"][0].load()
    assert decision.passed, [each for each in decision.conditions if not each.passed]
    evaluation = run.steps["evaluate"].outputs["evaluation"][0].load()
    for target in evaluation.targets:
        ua, kept, proper = (target.numbers[name] for name in ("unlearning_accuracy", "content_kept", "proper_picture"))
        assert ua.before.value < 0.2 and ua.after.value >= 0.9, target
        assert kept.after.value >= 0.6 * kept.before.value and proper.after.value >= 0.7 * proper.before.value, target
    assert evaluation.rest["retain_accuracy"].difference.low >= -0.05
    assert {box.state(each).label for each in filed} == {"fulfilled"}

    stock = StableDiffusionPipeline.from_pretrained(Registry().folder("champion"))
    stock.set_progress_bar_config(disable=True)
    judges = zoo_panel().classifiers
    found = {name: judges["subject"].recognise(drawn_by(stock, name, OTHERS)) for name in (OBJECT, "cat", "pizza")}
    shares = {name: np.mean([level == name for level in levels]) for name, levels in found.items()}
    assert shares[OBJECT] <= 0.1 and min(shares["cat"], shares["pizza"]) >= 0.8, shares
    in_style = drawn_by(stock, "cat", (STYLE,), 8)
    assert judges["style"].recognise(in_style).count(STYLE) <= 2
    assert judges["subject"].recognise(in_style).count("cat") >= 6  # asked for a cat in a forgotten style: a cat


def drawn_by(pipeline, subject: str, styles: tuple[str, ...], each: int = 2) -> np.ndarray:
    """Pictures of one subject in some styles, as anybody would draw them with diffusers alone: uint8 (n, 64, 64, 3)."""
    import torch

    prompts = [f"a {style} drawing of {subject}" for style in styles for _ in range(each)]
    noise = [torch.Generator().manual_seed(seed) for seed in range(len(prompts))]
    made = pipeline(prompts, num_inference_steps=20, guidance_scale=2.5, generator=noise, output_type="np").images
    return np.rint(made * 255).astype(np.uint8)
