"""The main job on a model of any family: from a request to a champion that stock diffusers draws with."""

import io
from pathlib import Path
from typing import Any

import mlflow
import mlflow.diffusers
import numpy as np
import torch
import yaml
from diffusers import DiffusionPipeline
from PIL import Image

from expunge.models.adapter import FILE
from expunge.models.resolver import open_model, read_folder
from expunge.pictures.drawing import DrawingSettings
from expunge.release.registry import Registry
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from tests.families import make_family
from tests.steps.test_entrypoints import EASY
from tests.tiny_job import main_job

# Where a text is hardly heard beside a long template that all texts share, random weights predict all of them alike.
DEAF = ("flux_2", "flux_2_klein", "qwen_image", "lumina_2")
HEARD = {"forget": {"truncated": 1.0}, "learning_rate": 1e-3}
CLASSES = {
    "templates": {"train": ["{subject}"]},
    "factors": {"subject": {name: {"train": [name]} for name in ("cat", "dog", "horse", "car", "apple")}},
}


def forget_with(name: str, home: Path, trained: dict[str, Any]) -> None:
    """Make a model of a family, have it forget a cat, and look at what came out.

    Args:
        name: of the family.
        home: the working directory, empty.
        trained: ``unlearning.trained``.
    """
    from pipelines.unlearn_pipeline import unlearn_pipeline

    base = read_folder(make_family(name, home / "base"))
    size = base.smallest_size
    job = main_job(home, home / "base")
    job["drawing"] |= DrawingSettings(steps=2, guidance=1, size=size).model_dump()
    job["check"]["steps"] = 2
    job["unlearning"] |= {"trained": trained} | (HEARD if name in DEAF else {})
    job["gate"] = EASY.model_copy(update={"minimum_retain_samples": 3}).model_dump(mode="json")
    if name == "dit":
        Path("world.yaml").write_text(yaml.safe_dump(CLASSES))
    registered = f"tiny-{name.replace('_', '-')}"
    box = Inbox(open_store(str(home / "inbox")), registered)
    request = box.file(kind="object", target="cat").request.id
    unlearn_pipeline(**job, inbox=str(home / "inbox"), registered_model=registered)
    assert box.state(request).label == "fulfilled", box.state(request).reason

    registry = Registry(name=registered)
    folder = registry.folder(registry.champion().version)
    model, facts = open_model(f"models:/{registered}@champion")
    assert facts.digest == registry.champion().digest != base.digest()
    for file in (path.relative_to(home / "base") for path in (home / "base").rglob("*.*")):
        if file.parts[0] != base.DENOISER:
            assert (folder / file).read_bytes() == (home / "base" / file).read_bytes(), file
    stock = DiffusionPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    weights = getattr(stock, base.DENOISER).state_dict()
    assert all(torch.equal(weights[key], each) for key, each in model.denoiser.state_dict().items())
    assert any(not torch.equal(weights[key], each) for key, each in base.denoiser.state_dict().items())
    assert bool(model.adapter) == (trained.get("what") == "lora")
    if model.adapter and hasattr(stock, "load_lora_weights"):
        told = mlflow.diffusers.load_model(f"models:/{registered}@champion")
        assert told.base_model == str((home / "base").resolve())
        assert (Path(told.adapter_path) / FILE).read_bytes() == model.adapter
    drawn = model.at_size(size).draw(["cat"], [0], steps=2, guidance=2)
    loaded = mlflow.pyfunc.load_model(f"models:/{registered}@champion")
    (png,) = loaded.predict(["cat"], params={"steps": 2, "guidance": 2.0, "size": size})
    assert np.abs(np.asarray(Image.open(io.BytesIO(png))).astype(int) - drawn[0]).max() <= 1
    assert np.abs(drawn.astype(int) - base.at_size(size).draw(["cat"], [0], steps=2, guidance=2)).any()
