"""Progress bars on long work."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")


def progress_bar(shown: bool = True) -> Progress:
    """The bar that all long work shows; also fit for logs, where it prints its final state once."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        disable=not shown,
    )


def track(items: Sequence[Item], label: str) -> Iterable[Item]:
    """Go through ``items`` under a progress bar called ``label``; without one if it is empty."""
    if not label:
        yield from items
        return
    with progress_bar() as bar:
        task = bar.add_task(label, total=len(items), note="")
        for item in items:
            yield item
            bar.advance(task)
