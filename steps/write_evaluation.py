"""Write the evaluation down: page, numbers, tables."""

from pathlib import Path
from typing import Annotated

import pandas as pd
from zenml import step
from zenml.types import HTMLString, MarkdownString

import materializers  # noqa: F401
from expunge.comeback.comeback_report import ComebackReport
from expunge.evaluation.result import EvaluationResult
from expunge.evaluation.score import Scores
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.shards import Shard
from expunge.reports import evaluation_files as run


@step(enable_cache=False)
def write_evaluation(
    result: EvaluationResult,
    pictures: pd.DataFrame,
    shards: list[Shard],
    shown: list[int],
    drawn_before: list[PictureSet],
    drawn_after: list[PictureSet],
    comeback: list[ComebackReport],
    folder: str,
    hide_target_pictures: bool,
) -> tuple[Annotated[HTMLString, "evaluation_page"], Annotated[MarkdownString, "evaluation_table"]]:
    """One self-contained page and its numbers, in the folder and as artifacts; of the shards it shows, the pictures."""
    where = run.default_folder(result, Path(folder))
    first, second = dict(zip(shown, drawn_before, strict=True)), dict(zip(shown, drawn_after, strict=True))
    command = "zenml pipeline run pipelines.evaluation_pipeline.evaluation_pipeline -c configs/evaluation.yaml"
    views = run.Shown(shards, first.__getitem__, second.__getitem__, [command], hide_target_pictures, comeback)
    files = run.write_evaluation(where, Scores(result, pictures), views)
    print(f"Evaluation written to {files.page}")
    return HTMLString(files.page.read_text(encoding="utf-8")), MarkdownString(files.table.read_text(encoding="utf-8"))
