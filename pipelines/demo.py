"""``make demo``: file two takedown requests, run ``unlearn_pipeline`` on them, and say what changed."""

import os
import time
import warnings
from pathlib import Path

from rich.console import Console
from rich.table import Table

from expunge.evaluation.evaluation import Evaluation
from expunge.metrics.quantities import QUANTITIES
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from pipelines.console import speak_clearly

CONFIG = Path("configs/demo.yaml")
INBOX = ".expunge/inbox"
REQUESTS = (("style", "twemoji", "The artist asks to be taken out."), ("object", "cat", "A rights holder's character."))


SHOWN_OF_TARGETS = ("unlearning_accuracy", "unlearning_accuracy_clip", "content_kept", "proper_picture")
SHOWN_OF_THE_REST = (
    "retain_accuracy", "retain_accuracy_clip", "frechet_distance", "alignment_train", "alignment_held_out",
)  # fmt: skip


def main() -> None:
    """The demo, from filing to certificate."""
    started = time.perf_counter()
    speak_clearly()
    console = Console()
    box = Inbox(open_store(INBOX))
    for kind, target, reason in REQUESTS:
        filing = box.file(kind=kind, target=target, reason=reason)
        what = "Filed" if filing.created else f"Already there ({filing.state.label})"
        console.print(f"[bold]{what}:[/bold] {filing.request.id}")
    os.environ.setdefault("ZENML_ANALYTICS_OPT_IN", "false")
    if not console.is_terminal:
        os.environ.setdefault("ZENML_LOGGING_COLORS_DISABLED", "true")
    warnings.filterwarnings("ignore", category=FutureWarning)
    console.print("Starting ZenML …")
    from pipelines.unlearn_pipeline import unlearn_pipeline

    run = unlearn_pipeline.with_options(config_path=str(CONFIG))()
    _print_outcome(console, box, run, time.perf_counter() - started)


def _print_outcome(console: Console, box: Inbox, run, seconds: float) -> None:  # type: ignore[no-untyped-def]
    from expunge.release.registry import Registry
    from steps.timing import step_seconds

    spent = step_seconds(run)
    if "evaluate" in spent:
        step = run.steps["evaluate"]
        _print_numbers(console, step.outputs["evaluation"][0].load())
        _print_times(console, spent, seconds)
    for entry in box.requests():
        console.print(f"Request [bold]{entry.id}[/bold]: {entry.state.label}: {entry.state.reason}")
    registry = Registry()
    champion, versions = registry.champion(), registry.history()
    if versions:
        console.print(f"Newest version: [bold]{versions[0].name} {versions[0].version}[/bold]; champion: "
                      f"{champion.version if champion else 'none yet'}")  # fmt: skip
        console.print(f"Report: {registry.latest_report()}")
    console.print('Next: [bold].venv/bin/expunge draw "a twemoji drawing of cat" --out cat.png[/bold]')


def _print_numbers(console: Console, evaluation: Evaluation) -> None:
    table = Table("", "before", "after", "95 % interval", "samples", title="What changed, on held-out prompts")
    rows = [(f" {target.name}", QUANTITIES[name], target.numbers.get(name))
            for target in evaluation.targets for name in SHOWN_OF_TARGETS]  # fmt: skip
    rows += [("", QUANTITIES[name], evaluation.rest.get(name)) for name in SHOWN_OF_THE_REST]
    for of, quantity, change in rows:
        if change is not None:
            before, after = (quantity.unit.value(each.value) for each in (change.before, change.after))
            interval = quantity.unit.range(change.after)
            table.add_row(f"{quantity.label}{of}", before, after, interval, str(change.after.samples))
    console.print(table)


def _print_times(console: Console, spent: dict[str, float], seconds: float) -> None:
    table = Table("step", "seconds", title="Where the time went")
    for name, took in spent.items():
        table.add_row(name, f"{took:.1f}")
    table.add_row("ZenML, imports and the rest", f"{seconds - sum(spent.values()):.1f}")
    table.add_row("[bold]in all[/bold]", f"[bold]{seconds:.1f}[/bold]")
    console.print(table)


if __name__ == "__main__":
    main()
