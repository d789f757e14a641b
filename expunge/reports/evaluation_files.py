"""An evaluation as files: page, numbers, table, one row per picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from expunge.comeback.comeback_report import ComebackReport
from expunge.errors import ExpungeError
from expunge.evaluation.result import EvaluationResult
from expunge.evaluation.score import Scores
from expunge.pictures.shards import Shard
from expunge.reports.comeback_section import comeback_markdown
from expunge.reports.evaluation_page import Loader, choose, load_pairs, render_evaluation
from expunge.reports.evaluation_tables import as_markdown

REPORTS = TypeAdapter(list[ComebackReport])


@dataclass(frozen=True)
class Files:
    """Where an evaluation lies; without comes-back tests there is no ``comeback``."""

    page: Path
    result: Path
    table: Path
    pictures: Path
    pictures_csv: Path
    comeback: Path | None = None


def default_folder(result: EvaluationResult, root: Path = Path(".expunge/evaluations")) -> Path:
    """Where an evaluation goes if no folder is named: one for each pair of models and set of prompts."""
    return root / "-".join(each[:8] for each in (result.model.digest, result.against.digest, result.prompts_digest))


@dataclass(frozen=True)
class Shown:
    """What a page shows beside the numbers.

    Attributes:
        shards: the plan.
        before: gives a shard's pictures by its number, of the model measured against.
        after: the same of the model measured.
        commands: what to type to get the same again.
        hide_target_pictures: leave pictures of the targets out of the page altogether.
        comeback: the comes-back tests, one report a target; empty if they were not made.
    """

    shards: Sequence[Shard]
    before: Loader
    after: Loader
    commands: Sequence[str]
    hide_target_pictures: bool = False
    comeback: Sequence[ComebackReport] = ()


def write_evaluation(folder: Path, scores: Scores, shown: Shown) -> Files:
    """Write page, numbers, table, one row per picture, and the comes-back tests if they were made.

    Raises:
        ExpungeError: the folder cannot be written.
    """
    check_folder(folder)
    result, comeback = scores.result, shown.comeback
    chosen = choose(scores, shown.hide_target_pictures)
    pairs = load_pairs(chosen, shown.shards, shown.before, shown.after)
    page = render_evaluation(scores, chosen, pairs, datetime.now(UTC), shown.commands, comeback)
    files = Files(
        page=folder / "evaluation.html",
        result=folder / "evaluation.json",
        table=folder / "evaluation.md",
        pictures=folder / "pictures.parquet",
        pictures_csv=folder / "pictures.csv",
        comeback=folder / "comeback.json" if comeback else None,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.page.write_text(page, encoding="utf-8")
        files.result.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
        files.table.write_text(as_markdown(result) + comeback_markdown(comeback), encoding="utf-8")
        if files.comeback:
            files.comeback.write_bytes(REPORTS.dump_json(list(comeback), indent=1) + b"\n")
        scores.pictures.to_parquet(files.pictures)
        scores.pictures.to_csv(files.pictures_csv, index=False, encoding="utf-8")
    except OSError as error:
        raise ExpungeError(f"out: {folder} cannot be written: {error.strerror or error}.") from error
    return files


def check_folder(folder: Path) -> None:
    """Refuse, before any work, a folder that is a file or lies in one.

    Raises:
        ExpungeError: it is.
    """
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise ExpungeError(f"out: '{folder}' given, but {path} is a file; name a folder.")
