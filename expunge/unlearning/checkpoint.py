"""Checkpoints of an unlearning run: safetensors and JSON, complete or not there at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from expunge.errors import ExpungeError

FORMAT_VERSION = 2
PARAMETERS = "parameters"


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


def save_checkpoint(folder: Path, checkpoint: Checkpoint, wait: Callable[[], None] = lambda: None) -> None:
    """Write ``step-N`` into the folder under another name, rename it, then remove older ones.

    Args:
        folder: made if need be.
        checkpoint: what is written.
        wait: returns when all who save parts of it have written theirs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder))
    files = _files(checkpoint)
    for name, tensors in files.items():
        save_file({k: t.detach().contiguous() for k, t in tensors.items()}, partial / f"{name}.safetensors")
    state = {
        "format_version": FORMAT_VERSION,
        "step": checkpoint.step,
        "run": checkpoint.run,
        "rows": checkpoint.rows,
        "files": list(files),
    }
    (partial / "state.json").write_text(json.dumps(state), encoding="utf-8")
    final = folder / f"step-{checkpoint.step:07d}"
    if final.exists():
        shutil.rmtree(final)
    os.replace(partial, final)
    wait()
    for other in (*folder.glob("step-*"), *folder.glob("partial-*")):
        if other != final:
            shutil.rmtree(other)


def _files(checkpoint: Checkpoint) -> dict[str, dict[str, Tensor]]:
    """What is in which file: one kind of tensor each, since writing a file may take memory for all that is in it."""
    files = {PARAMETERS: checkpoint.parameters}
    for name, tensor in checkpoint.optimiser.items():
        files.setdefault(f"optimiser-{name.partition('/')[0]}", {})[name] = tensor
    return files


def load_checkpoint(
    folder: Path, run: dict[str, Any], agree: Callable[[int], int] = lambda newest: newest
) -> Checkpoint | None:
    """The newest checkpoint in the folder; None if there is none.

    Args:
        folder: where `save_checkpoint` wrote.
        run: what the run is now.
        agree: given the newest step here, 0 for none, the newest that all have who saved parts of it.

    Raises:
        ExpungeError: the checkpoint is broken, of another format version, or of another run.
    """
    steps = [int(each.name.removeprefix("step-")) for each in folder.glob("step-*")]
    step = agree(max(steps, default=0))
    if not step:
        return None
    found = folder / f"step-{step:07d}"
    try:
        state = json.loads((found / "state.json").read_text(encoding="utf-8"))
        _refuse_another(found, state, run)
        tensors = {name: load_file(found / f"{name}.safetensors") for name in state["files"]}
    except (OSError, json.JSONDecodeError, SafetensorError) as error:
        raise ExpungeError(f"checkpoint {found}: {error}; remove it to start afresh") from error
    parameters = tensors.pop(PARAMETERS)
    optimiser = {name: tensor for file in tensors.values() for name, tensor in file.items()}
    return Checkpoint(state["step"], run, state["rows"], parameters, optimiser)


def _refuse_another(found: Path, state: dict[str, Any], run: dict[str, Any]) -> None:
    """Raise if a checkpoint is of another format version or of another run."""
    version = state.get("format_version")
    if version != FORMAT_VERSION:
        raise ExpungeError(
            f"checkpoint {found}: format version {version!r}, this release reads {FORMAT_VERSION}; "
            "remove it to start afresh"
        )
    for name, value in run.items():
        if state["run"].get(name) != value:
            raise ExpungeError(
                f"checkpoint {found}: {name} was {state['run'].get(name)!r} and is now {value!r}; "
                "remove the checkpoint to start afresh, or go on with what it was"
            )


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
