"""A table that is written row by row, so that a benchmark that was stopped goes on where it was."""

from collections.abc import Sequence
from pathlib import Path

from expunge.benchmark.machine import command, machine_line
from expunge.markdown import markdown_table


def read_rows(path: Path) -> list[list[str]]:
    """The cells of each row that `write_rows` wrote; none if there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")][2:]


def write_rows(path: Path, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write the table as Markdown, with the command above it and the machine below."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{title} `{command()}`\n\n{markdown_table(head, rows)}\n\n{machine_line()}\n", encoding="utf-8")
