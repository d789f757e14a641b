"""One of the processes that train a denoiser together: what `expunge.unlearning.launch` starts.

    python -m expunge.unlearning.rank_process FOLDER RANK

The folder holds all that is needed, and is where the first process leaves what came out. A launcher of one's own may
start it on several machines, with the folder on a disk that all of them see.
"""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from expunge.case import Case
from expunge.models.resolver import read_folder
from expunge.processes import report, take_part
from expunge.unlearning.job import measure_gradients, train
from expunge.unlearning.loop import Hooks
from expunge.unlearning.problem import trained_parameters
from expunge.unlearning.ranks import Ranks
from expunge.unlearning.sharding import gathered
from expunge.unlearning.training_sets import load_sets
from expunge.unlearning.unlearn_settings import CheckSettings, ForgetSettings, GradientSettings, UnlearnSettings

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


def main() -> None:
    """Do this process's part."""
    try:
        take_part(_work)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _work(folder: Path, rank: int, job: dict[str, Any]) -> None:
    case = Case.model_validate(job["case"])
    device = torch.device(case.device).type
    if device == "cuda":
        torch.cuda.set_device(rank % torch.cuda.device_count())
    ranks = Ranks(rank, case.processes, case.sharded, device)
    dist.init_process_group(
        BACKENDS[device], init_method=f"file://{folder / 'met'}", rank=rank, world_size=case.processes
    )
    model, sets = read_folder(folder / "model"), load_sets(folder)
    if ranks.sharded:  # each part goes there when it is cut
        model.at_size(case.drawing.size).on("cpu", case.precision)
    else:
        case.placed(model)
    if "gradients" in job:
        how = GradientSettings.model_validate(job["gradients"]), ForgetSettings.model_validate(job["forgetting"])
        cache = measure_gradients(model, sets, *how, ranks)
        if ranks.first:
            cache.save(folder / "made")
        return
    settings = UnlearnSettings.model_validate(job["unlearning"])
    hooks = Hooks(
        on_step=(lambda row: report(folder, row.model_dump_json())) if ranks.first else None,
        checkpoint_folder=Path(job["checkpoints"]) if job["checkpoints"] else None,
        progress=False,
        ranks=ranks,
    )
    twin, trace = train(model, sets, case, settings, CheckSettings.model_validate(job["check"]), hooks)
    trained = trained_parameters(twin.denoiser)
    parameters = gathered(dict(trained), trained, ranks.first)
    if ranks.first:
        (folder / "made").mkdir()
        save_file(parameters, folder / "made" / "parameters.safetensors")
        (folder / "made" / "trace.json").write_text(trace.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
