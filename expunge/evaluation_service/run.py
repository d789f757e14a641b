"""Evaluate one model against another: draw and judge shard by shard, score, write everything down."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from expunge.comeback.report import ComebackReport
from expunge.errors import ExpungeError
from expunge.evaluation_service.page import Loader, choose, load_pairs, render_evaluation
from expunge.evaluation_service.plan import Shard, plan_evaluation
from expunge.evaluation_service.result import EvaluationResult
from expunge.evaluation_service.score import Question, Scores, score
from expunge.evaluation_service.store import PictureStore
from expunge.evaluation_service.tables import as_markdown
from expunge.metrics.judged import JudgedPictures, judge_pictures
from expunge.metrics.panel import Panel
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.progress import progress_bar
from expunge.prompts.grid import PromptGrid
from expunge.reports.comeback import comeback_markdown

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


def evaluate_models(
    question: Question,
    model: StableDiffusion,
    against: StableDiffusion,
    grid: PromptGrid,
    panel: Panel,
    store: PictureStore,
    progress: bool = True,
) -> tuple[Scores, list[Shard]]:
    """Draw the plan with both models and score it. One shard of pictures is in memory at a time.

    Args:
        question: what the evaluation is about.
        model: what is measured.
        against: what it is measured against.
        store: where pictures are kept.
        progress: show progress bars.

    Raises:
        ExpungeError: the models draw pictures of different sizes, or as in ``judge_shard`` and ``score``.
    """
    check_sizes(model, against)
    shards = plan_evaluation(question.targets, grid, question.profile)
    drawing, sides = question.profile.drawing, ((against, question.against), (model, question.model))
    judged: list[list[JudgedPictures]] = []
    for each, facts in sides:
        with progress_bar() as bar:
            bar.disable = not progress
            total = sum(len(shard.prompts) for shard in shards)
            task = bar.add_task(f"Pictures of {facts.source}", total=total, note="")
            judged.append([])
            for shard in shards:
                judged[-1].append(judge_shard(store.pictures(each, facts.digest, shard, drawing), panel))
                bar.advance(task, len(shard.prompts))
    return score(question, shards, judged[0], judged[1], grid, panel), shards


def judge_shard(pictures: PictureSet, panel: Panel) -> JudgedPictures:
    """What the panel says of a shard.

    Raises:
        ExpungeError: the judges do not take pictures of this size.
    """
    try:
        return judge_pictures(pictures, panel)
    except ExpungeError:
        raise
    except ValueError as error:
        raise ExpungeError(f"judges: {error}. Name judges for this model, e.g. an open_clip one.") from error


def check_sizes(model: StableDiffusion, against: StableDiffusion) -> None:
    """Refuse models whose pictures cannot be compared.

    Raises:
        ExpungeError: they draw pictures of different sizes.
    """
    if model.size != against.size:
        raise ExpungeError(
            f"against: draws pictures of {against.size} pixels, the model of {model.size}; compare models of one size. "
            "Name the base of this model with --against."
        )


def default_folder(result: EvaluationResult, root: Path = Path(".expunge/evaluations")) -> Path:
    """Where an evaluation goes if no folder is named: one for each pair of models and set of prompts."""
    return root / "-".join(each[:8] for each in (result.model.digest, result.against.digest, result.prompts_digest))


def stored(
    store: PictureStore, model: StableDiffusion, digest: str, shards: Sequence[Shard], question: Question
) -> Loader:
    """Gives a shard's pictures by its number, from the store."""
    return lambda number: store.pictures(model, digest, shards[number], question.profile.drawing)


def write_evaluation(
    folder: Path,
    scores: Scores,
    shards: Sequence[Shard],
    before: Loader,
    after: Loader,
    commands: Sequence[str],
    hide_target_pictures: bool = False,
    comeback: Sequence[ComebackReport] = (),
) -> Files:
    """Write page, numbers, table, one row per picture, and the comes-back tests if they were made.

    Args:
        before: gives a shard's pictures by its number, of the model measured against.
        after: the same of the model measured.
        commands: what to type to get the same again.
        hide_target_pictures: leave pictures of the targets out of the page altogether.
        comeback: one report a target.

    Raises:
        ExpungeError: the folder cannot be written.
    """
    check_folder(folder)
    result = scores.result
    shown = choose(scores, hide_target_pictures)
    pairs = load_pairs(shown, shards, before, after)
    page = render_evaluation(scores, shown, pairs, datetime.now(UTC), commands, comeback)
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
        files.page.write_text(page)
        files.result.write_text(result.model_dump_json(indent=1) + "\n")
        files.table.write_text(as_markdown(result) + comeback_markdown(comeback))
        if files.comeback:
            files.comeback.write_bytes(REPORTS.dump_json(list(comeback), indent=1) + b"\n")
        scores.pictures.to_parquet(files.pictures)
        scores.pictures.to_csv(files.pictures_csv, index=False)
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
