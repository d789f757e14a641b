"""How a diffusers folder lies in MLflow: as a pyfunc model that draws, kept as source and without pickles."""

import importlib.metadata
import warnings
from pathlib import Path

import mlflow
import yaml
from mlflow.models import ModelSignature
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


def log_folder(folder: Path, run_id: str) -> tuple[str, str]:
    """Log the folder as a model of a run in the store that MLflow points at.

    Returns:
        The model's URI and its id.
    """
    with mlflow.start_run(run_id=run_id, nested=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example was not provided")
        logged = mlflow.pyfunc.log_model(
            name=LOGGED_NAME,
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
