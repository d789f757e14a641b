"""What stands on a terminal while work goes on: its streams, its width, and progress bars on long work."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")
LEAST_WIDTH = 60  # characters; less leaves columns of a table none


def make_streams_safe() -> None:
    """Let stdout and stderr write ``\\xe4`` for a letter that the locale does not know, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def console(stderr: bool = False) -> Console:
    """Standard output or error, as wide as the terminal; ``COLUMNS=0`` and the like count as not said."""
    return Console(stderr=stderr, width=max(LEAST_WIDTH, shutil.get_terminal_size().columns))


def progress_bar(shown: bool = True) -> Progress:
    """The bar that all long work shows, on stderr; in a log, a pipe or on a dumb terminal, its final state once."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console(stderr=True),
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
