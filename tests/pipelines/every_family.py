"""The main job on a model of any family: from a request to a champion that stock diffusers draws with."""

import io
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
import yaml
from diffusers import DiffusionPipeline
from PIL import Image

from expunge.case import ON_CPU
from expunge.models.resolver import open_model, read_folder
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings
from expunge.release.registry import Evidence, Registry
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)
from tests.families import make_family
from tests.steps.test_entrypoints import EASY
from tests.tiny_job import main_job

# Where a text is hardly heard beside a long template that all texts share, random weights predict all of them alike.
DEAF = ("flux_2", "flux_2_klein", "qwen_image", "lumina_2")
HEARD = {"forget": {"truncated": 1.0}, "learning_rate": 1e-3}
# Of these the whole job trains an adapter, of the others all of the denoiser: a U-Net, two transformers that stock
# diffusers has adapters for, and one that it has none for.
ADAPTER_BY_THE_JOB = ("stable_diffusion_xl", "flux", "lumina_2", "pixart_sigma")
CLASSES = {
    "templates": {"train": ["{subject}"]},
    "factors": {"subject": {name: {"train": [name]} for name in ("cat", "dog", "horse", "car", "apple")}},
}


def forget_with(name: str, home: Path, trained: dict[str, Any]) -> None:
    """Make a model of a family, have the main job forget a cat with it, and look at what came out.

    Args:
        name: of the family.
        home: the working directory, empty.
        trained: ``unlearning.trained``.
    """
    from pipelines.unlearn_pipeline import unlearn_pipeline

    base, job = _prepare(name, home, trained)
    box = Inbox(open_store(job["inbox"]), job["registered_model"])
    request = box.file(kind="object", target="cat").request.id
    unlearn_pipeline(**job)
    assert box.state(request).label == "fulfilled", box.state(request).reason
    _look_at_the_champion(base, home, job)


def train_with(name: str, home: Path, trained: dict[str, Any]) -> None:
    """As ``forget_with``, by the job's own steps that train, without a run around them; nothing is evaluated."""
    from steps.cache_gradients import cache_gradients
    from steps.diversify_datasets import diversify_datasets
    from steps.draw_pool import draw_pool
    from steps.resolve_case import resolve_case
    from steps.unlearn import unlearn

    base, job = _prepare(name, home, trained)
    drawing, sizes = (
        kind.model_validate(job[key])
        for kind, key in ((DrawingSettings, "drawing"), (DiversificationSettings, "diversification"))
    )
    how = UnlearnSettings.model_validate(job["unlearning"])
    box = Inbox(open_store(job["inbox"]), job["registered_model"])
    box.file(kind="object", target="cat")
    batch = box.claim_pending(this_owner("a-run"), lambda batch: {})
    case = resolve_case.entrypoint(job["world"], job["judges"], drawing, batch, ON_CPU)
    pool = draw_pool.entrypoint(base, case, sizes)
    forget, retain, _ = diversify_datasets.entrypoint(base, pool, case, job["inbox"], sizes)
    how_measured = GradientSettings.model_validate(job["gradients"])
    cache = cache_gradients.entrypoint(base, forget, retain, case, how_measured, how.forgetting())
    check = CheckSettings.model_validate(job["check"])
    unlearned, _ = unlearn.entrypoint(base, forget, retain, cache, case, how, check)
    unlearned.save(home / "unlearned")
    registry = Registry(name=job["registered_model"])
    version = registry.register(home / "unlearned", unlearned.digest(), Evidence("a-run"))
    registry.call_champion(version.version, None)
    _look_at_the_champion(base, home, job)


def _prepare(name: str, home: Path, trained: dict[str, Any]) -> tuple[TextToImage, dict[str, Any]]:
    """The model, and the main job's parameters."""
    base = read_folder(make_family(name, home / "base"))
    job = main_job(home, home / "base")
    job["drawing"] |= DrawingSettings(steps=2, guidance=1, size=base.smallest_size).model_dump()
    job["check"]["steps"] = 2
    job["unlearning"] |= {"trained": trained} | (HEARD if name in DEAF else {})
    job["gate"] = EASY.model_copy(update={"minimum_retain_samples": 3}).model_dump(mode="json")
    if name == "dit":
        Path("world.yaml").write_text(yaml.safe_dump(CLASSES))
    return base, job | {"inbox": str(home / "inbox"), "registered_model": f"tiny-{name.replace('_', '-')}"}


def _look_at_the_champion(base: TextToImage, home: Path, job: dict[str, Any]) -> None:
    registered, size = job["registered_model"], base.smallest_size
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
    assert bool(model.adapter) == (job["unlearning"]["trained"].get("what") == "lora")
    drawn = model.at_size(size).draw(["cat"], [0], steps=2, guidance=2)
    loaded = mlflow.pyfunc.load_model(f"models:/{registered}@champion")
    (png,) = loaded.predict(["cat"], params={"steps": 2, "guidance": 2.0, "size": size})
    assert np.abs(np.asarray(Image.open(io.BytesIO(png))).astype(int) - drawn[0]).max() <= 1
    assert np.abs(drawn.astype(int) - base.at_size(size).draw(["cat"], [0], steps=2, guidance=2)).any()
