"""Checkpoints of an unlearning run: safetensors and JSON, complete or not there at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from expunge.errors import ExpungeError

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands.

    Attributes:
        step: steps done.
        run: what the run is: settings, data and starting point; a checkpoint only fits the run that wrote it.
        rows: of the trace so far, as plain data.
        parameters: trained parameters by name.
        optimiser: the method's state, and the safeguard's.
    """

    step: int
    run: dict[str, Any]
    rows: list[dict[str, Any]]
    parameters: dict[str, Tensor]
    optimiser: dict[str, Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``step-N`` into the folder under another name, rename it, then remove older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder))
    for name, tensors in (("parameters", checkpoint.parameters), ("optimiser", checkpoint.optimiser)):
        save_file({k: t.detach().contiguous() for k, t in tensors.items()}, partial / f"{name}.safetensors")
    state = {
        "format_version": FORMAT_VERSION,
        "step": checkpoint.step,
        "run": checkpoint.run,
        "rows": checkpoint.rows,
    }
    (partial / "state.json").write_text(json.dumps(state), encoding="utf-8")
    final = folder / f"step-{checkpoint.step:07d}"
    if final.exists():
        shutil.rmtree(final)
    os.replace(partial, final)
    for other in (*folder.glob("step-*"), *folder.glob("partial-*")):
        if other != final:
            shutil.rmtree(other)


def load_checkpoint(folder: Path, run: dict[str, Any]) -> Checkpoint | None:
    """The newest checkpoint in the folder; None if there is none.

    Args:
        folder: where `save_checkpoint` wrote.
        run: what the run is now.

    Raises:
        ExpungeError: the checkpoint is broken, of another format version, or of another run.
    """
    found = sorted(folder.glob("step-*"))
    if not found:
        return None
    try:
        state = json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))
        tensors = [load_file(found[-1] / f"{name}.safetensors") for name in ("parameters", "optimiser")]
    except (OSError, json.JSONDecodeError, SafetensorError) as error:
        raise ExpungeError(f"checkpoint {found[-1]}: {error}; remove it to start afresh") from error
    version = state.get("format_version")
    if version != FORMAT_VERSION:
        raise ExpungeError(
            f"checkpoint {found[-1]}: format version {version!r}, this release reads {FORMAT_VERSION}; "
            "remove it to start afresh"
        )
    for name, value in run.items():
        if state["run"].get(name) != value:
            raise ExpungeError(
                f"checkpoint {found[-1]}: {name} was {state['run'].get(name)!r} and is now {value!r}; "
                "remove the checkpoint to start afresh, or go on with what it was"
            )
    return Checkpoint(state["step"], run, state["rows"], *tensors)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
