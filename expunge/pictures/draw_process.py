"""One of the processes that draw together: what `expunge.pictures.draw_together` starts.

python -m expunge.pictures.draw_process FOLDER NUMBER
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from expunge.models.resolver import read_folder
from expunge.pictures.draw_together import DRAWN, MODEL
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.shards import Shard
from expunge.processes import report, take_part


def main() -> None:
    """Do this process's part."""
    take_part(_work)


def _work(folder: Path, number: int, job: dict[str, Any]) -> None:
    if job["device"] == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())
    drawing = DrawingSettings.model_validate(job["drawing"])
    model = read_folder(folder / MODEL).at_size(drawing.size).on(job["device"], job["precision"])
    for place, piece in enumerate(job["pieces"]):
        if not _is_mine(folder / f"taken-{place}"):
            continue
        shard = Shard.model_validate(piece)
        pictures = model.draw([prompt.text for prompt in shard.prompts], shard.seeds, **drawing.how())
        partial = folder / f"partial-{number}"
        save_file({"pictures": np.ascontiguousarray(pictures)}, partial)
        os.replace(partial, folder / DRAWN / f"{place}.safetensors")
        report(folder, str(place))


def _is_mine(mark: Path) -> bool:
    """Whether nobody else draws it: who is free takes what is next, since devices are not equally fast."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":
    main()
