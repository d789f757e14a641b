"""``expunge evaluate``: measure any model against any other."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from expunge.cli.output import as_json, print_json, print_table, say

if TYPE_CHECKING:
    from expunge.comeback.comeback_report import ComebackReport
    from expunge.evaluation.result import EvaluationResult
    from expunge.reports.evaluation_files import Files
    from expunge.reports.wording import Row


@click.command()
@click.argument("model")
@click.option("--against", default="zoo", show_default=True, help="What MODEL is measured against, named likewise.")
@click.option("--target", "targets", multiple=True, metavar="KIND:NAME", help="What should be forgotten; repeatable.")
@click.option("--profile", default="quick", show_default=True, type=click.Choice(["quick", "full"]), help="How much.")
@click.option(
    "--comeback",
    default="none",
    show_default=True,
    type=click.Choice(["none", "quick", "full"]),
    help="Try to bring each target back: by fine-tuning, searched-for words, other prompts, pictures of it.",
)
@click.option("--never-saw", metavar="MODEL", default="", help="For --comeback: a model that never saw the targets.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to.  [default: in .expunge/evaluations]")
@click.option("--world", default="zoo", show_default=True, help="'zoo' or a YAML file: what the models draw.")
@click.option("--judges", default="zoo", show_default=True, help="'zoo', or open_clip: ONE or 'ONE + OTHER'.")
@click.option(
    "--features",
    default="",
    help="What FD, KD and the like are measured between: inception, pixels, zoo, timm:MODEL:FILE or "
    "an open_clip model.  [default: the CLIP judge]",
)
@click.option("--inception-weights", default="", metavar="FILE", help="For --features inception: a safetensors file.")
@click.option("--size", type=click.IntRange(8, 4096), help="Side of the pictures in pixels.  [default: the models']")
@click.option("--device", default="auto", show_default=True, help="Where to draw: cpu, cuda; auto for a GPU if any.")
@click.option(
    "--precision", default="float32", show_default=True, type=click.Choice(["float32", "bf16"]), help="Of passes."
)
@click.option("--hide-target-pictures", is_flag=True, help="Leave pictures of the targets out of the page.")
@as_json
def evaluate(
    model: str,
    against: str,
    targets: tuple[str, ...],
    profile: str,
    comeback: str,
    never_saw: str,
    out: Path | None,
    world: str,
    judges: str,
    features: str,
    inception_weights: str,
    size: int | None,
    device: str,
    precision: str,
    hide_target_pictures: bool,
    machine: bool,
) -> None:
    """Measure MODEL against another model: what it forgot, and what else changed.

    MODEL is 'zoo', a diffusers folder, a hub id OWNER/NAME, s3://BUCKET/PREFIX, models:/NAME@ALIAS,
    models:/NAME/VERSION, or an alias or number of the registered model, e.g. champion. Without a target only
    retention and quality are measured. Pictures are kept, so that the same evaluation again draws none; what
    --comeback tries is tried anew each time.
    """
    from expunge.case import name_case
    from expunge.comeback.comeback_report import NEVER_SAW, UNLEARNED
    from expunge.comeback.comeback_settings import chosen_comeback
    from expunge.comeback.try_comeback import try_comeback  # torch takes seconds to import
    from expunge.evaluation.evaluation_settings import named_profile
    from expunge.evaluation.evaluator import evaluate as measure
    from expunge.models.hardware import HardwareSettings
    from expunge.models.resolver import open_model
    from expunge.pictures.picture_store import PictureStore
    from expunge.reports.evaluation_files import Shown, check_folder, default_folder, write_evaluation

    if out is not None:
        check_folder(out)
    tests = chosen_comeback(comeback, targets, never_saw)
    sizes, drawing = named_profile(profile)
    sizes = sizes.model_copy(update={"features": features, "inception_weights": inception_weights})
    hardware = HardwareSettings.model_validate({"device": device, "precision": precision})
    case = name_case(targets, world, judges, drawing.model_copy(update={"size": size}), hardware)
    (after, facts), (before, base) = open_model(model), open_model(against, "--against")
    tested = {UNLEARNED: after}
    if never_saw:
        tested[NEVER_SAW] = case.placed(open_model(never_saw, "--never-saw")[0])
    done = measure(after, before, case, sizes, PictureStore(), progress=not machine).called(facts, base)
    reports = []
    if tests:
        reports = [try_comeback(before, tested, case.drawn_with(tests.drawing), each, tests) for each in case.targets]
    words = ["expunge", "evaluate", model, "--against", against, *(f"--target={each}" for each in targets)]
    words += ["--profile", profile, "--world", world, "--judges", judges, "--comeback", comeback]
    optional = {"--never-saw": never_saw, "--features": features, "--inception-weights": inception_weights}
    placed = {"--size": size, "--device": device, "--precision": precision}
    usual = {"--size": None, "--device": "auto", "--precision": "float32"}
    optional |= {option: str(value) for option, value in placed.items() if value != usual[option]}
    words += [word for option, value in optional.items() if value for word in (option, value)]
    shown = Shown(
        done.shards,
        lambda number: done.drawn_before.draw(done.shards[number]),
        lambda number: done.drawn_after.draw(done.shards[number]),
        [shlex.join(words)],
        hide_target_pictures,
        reports,
    )
    result = done.scores.result
    _show(result, reports, write_evaluation(out or default_folder(result), done.scores, shown), machine)


def _show(result: "EvaluationResult", reports: Sequence["ComebackReport"], files: "Files", machine: bool) -> None:
    from expunge.reports.evaluation_tables import headline, sections

    paths = {name: str(path) for name, path in vars(files).items() if path}
    if machine:
        comeback = [each.model_dump(mode="json") for each in reports]
        print_json({"files": paths, **result.model_dump(mode="json"), "comeback": comeback})
        return
    for warning in result.warnings:
        say(f"Note: {warning}", "yellow")
    for caption, rows in sections(result):
        say(f"\n{caption}", "bold")
        print_table(["measure", "before", "→ after", "change", "n"], [_cells(row) for row in rows])
    for report in reports:
        _show_comeback(report)
    say(f"\n{headline(result)}\n", "bold")
    for name, path in paths.items():
        say(f"{name.replace('_', ' ')}: {path}")


def _show_comeback(report: "ComebackReport") -> None:
    from expunge.reports.comeback_section import comeback_views

    (view,) = comeback_views([report])
    if view.lines:
        say(f"\nHow often “{view.target}” is found, by test", "bold")
        body = [[line.test, *(" ".join(cell) for cell in line.cells), line.answer, str(line.samples)]
                for line in view.lines]  # fmt: skip
        print_table(["test", *view.columns, "back?", "n"], body)
    say(f"\n{view.headline}", "bold")
    for sentence in view.sentences:
        say(sentence)


def _cells(row: "Row") -> list[str]:
    pairs = [(row.before, row.before_range), (row.after, row.after_range), (row.difference, row.difference_range)]
    return [row.label, *(f"{value} [{interval}]" if interval else value for value, interval in pairs), row.samples]
