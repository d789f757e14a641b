"""How a diffusers folder lies in MLflow: as a pyfunc model that draws, kept as source and without pickles.

Where an adapter lies in it that stock diffusers reads, and its base has a name that it finds, there is MLflow's flavour
for adapters too: ``mlflow.diffusers.load_model(URI).load_pipeline()`` is the base with the adapter beside it.
"""

import importlib.metadata
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from expunge.errors import ExpungeError

# MLflow takes fewer signs here than in the name of a registered model, so all are called the same.
LOGGED_NAME = "pictures"
REQUIREMENTS = ("mlflow", "torch", "diffusers", "transformers", "safetensors", "pillow", "pandas")
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
SIGNATURE = ModelSignature(
    # Without a name, so that MLflow takes a plain list of prompts as well as a table with a column of them.
    inputs=Schema([ColSpec("string")]),
    outputs=Schema([ColSpec("binary")]),
    params=ParamSchema(
        [
            ParamSpec("seed", "long", 0),
            ParamSpec("steps", "long", 20),
            ParamSpec("guidance", "double", 2.5),
            ParamSpec("size", "long", 0),
        ]
    ),
)


def check_folder(folder: Path) -> None:
    """Refuse what is no diffusers folder or holds a pickle.

    Raises:
        ExpungeError: it is.
    """
    if not (folder / "model_index.json").is_file():
        raise ExpungeError(f"folder: {folder} is no diffusers folder: it has no model_index.json.")
    pickles = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in PICKLES)
    if pickles:
        raise ExpungeError(
            f"folder: {folder} holds {', '.join(pickles)}, which can run code when loaded. Save it with "
            "save_pretrained(..., safe_serialization=True)."
        )


@dataclass(frozen=True)
class _AdapterToo:
    """What MLflow saves a model with: as ``mlflow.pyfunc`` does, and told as an adapter of a base as well.

    Attributes:
        base: a hub id, or the path of a folder.
        weights: the adapter's folder within the stored model.
    """

    base: str
    weights: str

    def save_model(self, path: str, mlflow_model: Model, **given: Any) -> None:
        """Called by ``Model.log``."""
        version = importlib.metadata.version("diffusers")
        told = {"base_model": self.base, "adapter_type": "lora", "adapter_weights": self.weights}
        mlflow_model.add_flavor("diffusers", **told, diffusers_version=version, code=None)
        mlflow.pyfunc.save_model(path, mlflow_model=mlflow_model, **given)


def _flavour(folder: Path, base: str) -> Any:
    """What the folder is saved with. A base that only Expunge knows by its name is none that diffusers could load."""
    from expunge.models.diffusers_model import ADAPTER  # with torch
    from expunge.models.resolver import HUB_ID

    if not (folder / ADAPTER).is_file():
        return mlflow.pyfunc
    import diffusers

    kind = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_class_name"]
    if not hasattr(getattr(diffusers, kind, None), "load_lora_weights"):
        return mlflow.pyfunc
    if Path(base).is_dir():
        base = str(Path(base).resolve())
    elif not HUB_ID.fullmatch(base):
        return mlflow.pyfunc
    return _AdapterToo(base, f"artifacts/{folder.name}/{Path(ADAPTER).parent}")


def log_folder(folder: Path, run_id: str, base: str = "") -> tuple[str, str]:
    """Log the folder as a model of a run in the store that MLflow points at.

    Args:
        folder: of a model.
        run_id: of the run.
        base: what the model was made from, as it was named.

    Returns:
        The model's URI and its id.
    """
    with mlflow.start_run(run_id=run_id, nested=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example was not provided")
        logged = Model.log(
            artifact_path=None,
            name=LOGGED_NAME,
            flavor=_flavour(folder, base),
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"pipeline": str(folder)},
            signature=SIGNATURE,
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in REQUIREMENTS],
        )
    return logged.model_uri, logged.model_id


def diffusers_folder(stored: Path) -> Path:
    """The diffusers folder in a stored model. Read without MLflow, which unquotes paths as if they were addresses."""
    described = yaml.safe_load((stored / "MLmodel").read_text(encoding="utf-8"))
    return stored / described["flavors"]["python_function"]["artifacts"]["pipeline"]["path"]
